/**
 * The owner's side of an encrypted prediction: samples and scores travel encrypted, and the model is never decrypted.
 */
import type { SigningKey } from '@blindfit/base/signature';
import type { BlindfitClient } from '@blindfit/client';
import { applyPreprocessing, DatasetError, inputFeatures, withBias, type Dataset } from '@blindfit/data';
import { cancelStatement, isFinal, type JobView } from '@blindfit/protocol';
import { predictionPlan, type Plan } from '@blindfit/training';
import { decryptScores } from '../decrypt-scores.ts';
import { encryptSamples } from '../encrypt-samples.ts';
import { ModelError, OwnerError } from '../errors.ts';
import type { KeyStore } from '../key-store.ts';
import { openKeyset } from '../keyset.ts';
import { predictManifestFor } from '../manifest.ts';
import { interruptible } from './interruptible.ts';
import { resultOf } from './outcome.ts';
import { sameJob } from './same-job.ts';
import { jobState, type FlowOptions } from './states.ts';
import { submit } from './submit.ts';
import { submittedPlan } from './submitted-plan.ts';
import type { Ticket } from './ticket.ts';
import { uploadBehind } from './upload-behind.ts';
import { uploadKeys } from './upload-keys.ts';

/**
 * The plan of an own job whose model can predict.
 * @throws OwnerError when the job has not succeeded, has no such model, or is not the one that was submitted
 */
export async function servablePlan(client: BlindfitClient, ticket: Ticket): Promise<Plan> {
  const { job, plan } = await submittedPlan(client, ticket);
  if (plan.schedule.modelLevel !== 1)
    throw new OwnerError(`the model of ${job.id} has no level left to predict with`, {
      hint: 'train with `servable`',
    });
  if (!isFinal(job.state))
    throw new OwnerError(`${job.id} is ${job.state} and has no model yet`, {
      hint: `wait for its end: attach to ${job.id}`,
    });
  resultOf(job);
  return plan;
}

/** Features of a sample before preprocessing. */
export function rawFeatures({ preprocessing }: Ticket, { layout }: Plan): number {
  return inputFeatures(preprocessing) ?? layout.features - 1;
}

export interface PredictRequest extends FlowOptions {
  readonly ticket: Ticket;
  /** The keys that the training job was submitted with. */
  readonly keys: KeyStore;
  /** Raw features. */
  readonly data: Dataset;
  /** Of the training job. @default asked for from the server, and checked */
  readonly plan?: Plan | undefined;
  /** Shown in listings, and visible to the server. */
  readonly name?: string | undefined;
}

/**
 * Classifies samples on the servers with the encrypted model of a job. An abort cancels the prediction.
 * @returns scores before the sigmoid: samples x classes, row-major
 * @throws DatasetError `bad-shape` for other features than the training's; OwnerError when the job fails; and whatever
 *   keys, encryption and the API throw
 */
export async function predict(server: BlindfitClient, request: PredictRequest): Promise<Float64Array> {
  const client = interruptible(server, request.signal);
  const { ticket, data, signal, onProgress } = request;
  const training = request.plan ?? (await servablePlan(client, ticket));
  const features = rawFeatures(ticket, training);
  if (data.d !== features) {
    throw new DatasetError(
      'bad-shape',
      `the model was trained on ${features} features and the data has ${data.d}; ` +
        'use data with the same features as the training',
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
    keys: request.keys,
    plan,
    create: false,
    onProgress: (done, total) => {
      signal?.throwIfAborted();
      onProgress?.({ phase: 'making keys', done, total });
    },
  });
  let bytes = 0;
  const upload = uploadBehind(client);
  const blobs = await encryptSamples(keyset, plan, samples, {
    store: async (blob) => {
      signal?.throwIfAborted();
      await upload.put(blob);
      bytes += blob.bytes.length;
    },
    onProgress: (done, total) => onProgress?.({ phase: 'encrypting', done, total, bytes }),
  });
  await upload.end();
  await uploadKeys(client, keyset, request);
  const submitted = await submit(client, predictManifestFor(plan, blobs, keyset, ticket.job, request.name));
  const { scores } = resultOf(await endOf(server, submitted, keyset.secret.signer, request));
  if (scores === undefined)
    throw new ModelError(
      `${submitted.id} has succeeded without scores`,
      'the server is not to be trusted, or of another version',
    );
  let done = 0;
  const total = scores.length * plan.layout.pairs;
  return await decryptScores(keyset, plan, scores, async (digest) => {
    signal?.throwIfAborted();
    onProgress?.({ phase: 'decrypting', done: done++, total });
    return await client.blob(digest);
  });
}

/** The job as it ended. An abandoned one is cancelled: its result has no reader. */
async function endOf(
  client: BlindfitClient,
  submitted: JobView,
  signer: SigningKey,
  { signal, onProgress }: FlowOptions,
): Promise<JobView> {
  let last = submitted;
  try {
    for await (const job of client.events(submitted.id, signal === undefined ? {} : { signal })) {
      last = sameJob(job, submitted.manifest);
      onProgress?.(jobState(job, 'predicting'));
    }
    return last;
  } catch (error) {
    if (signal?.aborted === true && !isFinal(last.state))
      await client.cancel(submitted.id, signer.sign(cancelStatement(submitted))).catch(() => undefined);
    throw error;
  }
}
