/** The owner's side of an encrypted prediction: samples go out encrypted, scores come back encrypted, the model is never opened. */
import type { BlindfitClient } from '@blindfit/client';
import { applyPreprocessing, DatasetError, inputFeatures, withBias, type Dataset } from '@blindfit/data';
import { decryptScores, encryptSamples, ModelError, openKeyset, predictManifestFor } from '@blindfit/owner';
import { isFinal, planManifest, type JobView } from '@blindfit/protocol';
import { predictionPlan, type Plan } from '@blindfit/training';
import { CliError } from '../errors.ts';
import { formatBytes } from '../format.ts';
import type { Progress } from '../progress.ts';
import { resultOf } from '../train/run.ts';
import type { Ticket } from '../train/ticket.ts';
import { uploadKeys } from '../train/upload-keys.ts';

/**
 * The plan of a job of ours whose model can be predicted with.
 * @throws CliError when the job has not succeeded, has no such model, or is not the one that was submitted
 */
export async function servableJob(client: BlindfitClient, ticket: Ticket): Promise<Plan> {
  const job = await client.job(ticket.job);
  // With the plan of another manifest the scores would mean something else.
  if (job.manifest !== ticket.manifest)
    throw new CliError(
      `the server shows another manifest for ${job.id} than the one that was submitted`,
      'do not trust this server',
    );
  const { plan } = planManifest(JSON.parse(Buffer.from(await client.blob(ticket.manifest)).toString('utf8')));
  if (plan.schedule.modelLevel !== 1)
    throw new CliError(
      `the model of ${job.id} has no level left to predict with`,
      'train with "blindfit train --servable"',
    );
  if (!isFinal(job.state))
    throw new CliError(
      `${job.id} is ${job.state} and has no model yet`,
      `wait for its end: blindfit jobs ${job.id} --follow`,
    );
  resultOf(job);
  return plan;
}

/** Features of a sample as it comes in, before preprocessing. */
export function rawFeatures({ preprocessing }: Ticket, { layout }: Plan): number {
  return inputFeatures(preprocessing) ?? layout.features - 1;
}

export interface EncryptedRequest {
  readonly ticket: Ticket;
  /** Of the training job. */
  readonly plan: Plan;
  readonly keysDirectory: string;
  /** Raw features. */
  readonly data: Dataset;
  /** Shown in listings, and visible to the server. */
  readonly name?: string;
}

/**
 * @param signal aborting it cancels the job
 * @returns samples x classes, row-major
 * @throws DatasetError `bad-shape` for other features than the training's; CliError when the job fails; and whatever keys, encryption and the API throw
 */
export async function encryptedScores(
  client: BlindfitClient,
  request: EncryptedRequest,
  progress: Progress,
  signal: AbortSignal,
): Promise<Float64Array> {
  const { ticket, data, plan: training } = request;
  const wanted = rawFeatures(ticket, training);
  if (data.d !== wanted) {
    throw new DatasetError(
      'bad-shape',
      `the model was trained on ${wanted} features and the data has ${data.d}; use data with the same features as the training`,
    );
  }
  const samples = {
    x: withBias(applyPreprocessing(ticket.preprocessing, data)),
    samples: data.n,
    features: training.layout.features,
  };
  const { threads } = await client.cluster();
  const plan = predictionPlan(training, data.n, Math.max(1, threads));
  using keyset = await openKeyset({
    directory: request.keysDirectory,
    plan,
    create: false,
    onProgress: (done, total) => {
      signal.throwIfAborted();
      progress.update({ phase: 'making keys', done, total });
    },
  });
  let bytes = 0;
  const features = await encryptSamples(keyset, plan, samples, {
    store: async (blob) => {
      signal.throwIfAborted();
      await client.putBlob(blob.digest, blob.bytes);
      bytes += blob.bytes.length;
    },
    onProgress: (done, total) => progress.update({ phase: 'encrypting', done, total, text: formatBytes(bytes) }),
  });
  await uploadKeys(client, keyset, progress, signal);
  const submitted = await client.submit(predictManifestFor(plan, features, keyset, ticket.job, request.name));
  const { scores } = resultOf(await ended(client, submitted, progress, signal));
  if (scores === undefined)
    throw new ModelError(
      `${submitted.id} has succeeded without scores`,
      'the server is not to be trusted, or of another version',
    );
  let done = 0;
  const total = scores.length * plan.layout.pairs;
  return await decryptScores(keyset, plan, scores, async (digest) => {
    signal.throwIfAborted();
    progress.update({ phase: 'decrypting', done: done++, total });
    return await client.blob(digest);
  });
}

/** The job as it ended; nobody could use the result of an abandoned one, so it is cancelled. */
async function ended(
  client: BlindfitClient,
  submitted: JobView,
  progress: Progress,
  signal: AbortSignal,
): Promise<JobView> {
  let last = submitted;
  try {
    for await (const job of client.events(submitted.id, { signal })) {
      last = job;
      const { phase, tasksDone, tasksTotal, etaSeconds } = job.progress;
      progress.update({
        phase: phase === 'queued' ? 'waiting for a worker' : 'predicting',
        done: tasksDone,
        total: tasksTotal,
        text: `task ${tasksDone}/${tasksTotal}`,
        ...(etaSeconds === undefined ? {} : { etaSeconds }),
      });
    }
    return last;
  } catch (error) {
    if (signal.aborted && !isFinal(last.state)) await client.cancel(submitted.id).catch(() => undefined);
    throw error;
  }
}
