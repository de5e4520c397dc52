/** The owner's side of a training job, from data to decrypted model. The servers see ciphertexts, shapes and timings. */
import { readFile } from 'node:fs/promises';
import type { BlindfitClient } from '@blindfit/client';
import { isFinal, type JobResult, type JobView } from '@blindfit/contracts';
import { choosePlan, trainClear, type Hyperparameters, type Plan } from '@blindfit/he';
import { decryptIterates, decryptModel, encryptJob, manifestFor, openKeyset, type Keyset } from '@blindfit/owner';
import { CliError } from '../errors.ts';
import { formatBytes } from '../format.ts';
import type { Progress } from '../progress.ts';
import { accuraciesOf, type Accuracies, type TrainingData } from './data.ts';
import { guardRanges } from './range-guard.ts';

export interface TrainingRequest {
  readonly data: TrainingData;
  readonly hyperparameters: Hyperparameters;
  /** Wanted largest absolute error of a weight. */
  readonly precision?: number;
  readonly keysDirectory: string;
  readonly name?: string;
}

export interface TrainingReport {
  readonly job: string;
  /** Classes x (features + 1), decrypted. */
  readonly weights: readonly Float64Array[];
  /** W_t after every iteration: decrypted, and of the clear twin. */
  readonly history: { readonly encrypted: readonly (readonly Float64Array[])[]; readonly clear: readonly (readonly Float64Array[])[] };
  readonly parameters: { readonly name: string; readonly ring: number; readonly log2QP: number; readonly levels: number; readonly scaleBits: number };
  readonly seconds: { readonly keygen: number; readonly encrypt: number; readonly upload: number; readonly loadKeys: number; readonly train: number; readonly download: number; readonly iterations: readonly number[] };
  readonly bytes: { readonly data: number; readonly keys: number; readonly model: number };
  readonly operations: JobResult['operations'];
  /** Largest absolute difference to the clear twin's weights. */
  readonly maxWeightError: number;
  readonly accuracy: { readonly encrypted: Accuracies; readonly clear: Accuracies };
}

/**
 * @throws CliError when the job fails or is cancelled, and whatever planning, keys, encryption and the API throw
 * @param signal aborting it cancels the job
 */
export async function runTraining(client: BlindfitClient, request: TrainingRequest, progress: Progress, signal: AbortSignal): Promise<TrainingReport> {
  const { data, hyperparameters } = request;
  const clear = trainClear(data.job.x, data.shape.samples, data.shape.features, data.job.labels, hyperparameters);
  const { threads } = await client.cluster();
  const plan = choosePlan({
    shape: data.shape,
    hyperparameters,
    vcpus: Math.max(1, threads),
    ...(request.precision === undefined ? {} : { precision: request.precision }),
  });
  guardRanges(clear, plan, data, hyperparameters, (line) => progress.log(line));
  using keyset = await openKeyset({
    directory: request.keysDirectory,
    plan,
    create: true,
    onProgress: (done, total) => {
      signal.throwIfAborted();
      progress.update({ phase: 'making keys', done, total });
    },
  });
  const { blobs, encrypt, upload, bytes } = await encryptAndUpload(client, keyset, plan, data, progress, signal);
  const submitted = await client.submit(manifestFor(plan, blobs, keyset, request.name));
  const finished = await follow(client, submitted, progress, signal);
  const result = resultOf(finished);
  const downloading = performance.now();
  const models = await client.result(finished.id, result.models);
  const weights = decryptModel(keyset, plan, models);
  const iterates = await Promise.all(result.iterates.map((row) => Promise.all(row.map((digest) => client.blob(digest)))));
  const encryptedHistory = decryptIterates(keyset, plan, iterates);
  const download = (performance.now() - downloading) / 1000;
  const { parameters } = plan;
  return {
    job: finished.id,
    weights,
    history: { encrypted: encryptedHistory, clear: clear.history },
    parameters: { name: parameters.name, ring: parameters.ring, log2QP: parameters.logQP, levels: parameters.maxLevel, scaleBits: parameters.scaleBits },
    seconds: { keygen: keyset.seconds.generate, encrypt, upload, loadKeys: result.seconds.loadKeys, train: result.seconds.train, download, iterations: result.seconds.iterations },
    bytes: { ...bytes, model: models.reduce((sum, model) => sum + model.length, 0) },
    operations: result.operations,
    maxWeightError: largestDifference(weights, clear.weights),
    accuracy: { encrypted: accuraciesOf(weights, data), clear: accuraciesOf(clear.weights, data) },
  };
}

interface Uploaded {
  readonly blobs: Awaited<ReturnType<typeof encryptJob>>;
  /** Seconds. */
  readonly encrypt: number;
  readonly upload: number;
  readonly bytes: { readonly data: number; readonly keys: number };
}

/** One ciphertext at a time, so that any amount of data fits in memory; keys come from their files. */
async function encryptAndUpload(client: BlindfitClient, keyset: Keyset, plan: Plan, data: TrainingData, progress: Progress, signal: AbortSignal): Promise<Uploaded> {
  const started = performance.now();
  let uploading = 0;
  let dataBytes = 0;
  const blobs = await encryptJob(keyset, plan, data.job, {
    store: async (blob) => {
      signal.throwIfAborted();
      const from = performance.now();
      await client.putBlob(blob.digest, blob.bytes);
      uploading += performance.now() - from;
      dataBytes += blob.bytes.length;
    },
    onProgress: (done, total) => progress.update({ phase: 'encrypting', done, total, text: formatBytes(dataBytes) }),
  });
  const encrypting = performance.now() - started - uploading;
  const keys = [keyset.relinearisationKey, ...keyset.galoisKeys.values()];
  const keyBytes = keys.reduce((sum, key) => sum + key.size, 0);
  const keysStarted = performance.now();
  await client.putBlobs(
    keys.map(({ digest, size, path }) => ({ digest, size, bytes: () => readFile(path) })),
    {
      signal,
      onProgress: (done, total, skipped) =>
        progress.update({ phase: 'uploading keys', done, total, text: `${formatBytes(done)}${skipped > 0 ? `, ${formatBytes(skipped)} were there already` : ''}` }),
    },
  );
  uploading += performance.now() - keysStarted;
  return { blobs, encrypt: encrypting / 1000, upload: uploading / 1000, bytes: { data: dataBytes, keys: keyBytes } };
}

async function follow(client: BlindfitClient, submitted: JobView, progress: Progress, signal: AbortSignal): Promise<JobView> {
  let last = submitted;
  try {
    for await (const job of client.events(submitted.id, { signal })) {
      last = job;
      const { phase, tasksDone, tasksTotal, iteration, iterations, classes, levelsLeft, etaSeconds } = job.progress;
      progress.update({
        phase: phase === 'queued' ? 'waiting for a worker' : 'training',
        done: tasksDone,
        total: tasksTotal,
        text: `task ${tasksDone}/${tasksTotal}, iteration ${Math.min(iteration + 1, iterations)}/${iterations}, ${levelsLeft} levels left${classes === undefined ? '' : `, class ${classes}`}`,
        ...(etaSeconds === undefined ? {} : { etaSeconds }),
      });
    }
    return last;
  } catch (error) {
    // Nobody could fetch the result of an abandoned run: free the workers.
    if (signal.aborted && !isFinal(last.state)) await client.cancel(submitted.id).catch(() => undefined);
    throw error;
  }
}

function resultOf(job: JobView): JobResult {
  if (job.state === 'succeeded' && job.result !== undefined) return job.result;
  if (job.state === 'cancelled') throw new CliError(`${job.id} was cancelled`);
  throw new CliError(`${job.id} ${job.state}: ${job.error?.message ?? 'no reason given'}`, job.error?.task === undefined ? undefined : `it happened in task ${job.error.task}; the worker's log says more`);
}

function largestDifference(a: readonly Float64Array[], b: readonly Float64Array[]): number {
  return a.reduce((most, row, k) => row.reduce((max, value, j) => Math.max(max, Math.abs(value - (b[k]?.[j] ?? NaN))), most), 0);
}
