/** The owner's side of a training job, from data to decrypted model. The servers see ciphertexts, shapes and timings. */
import type { BlindfitClient } from '@blindfit/client';
import {
  decryptIterates,
  decryptModel,
  encryptJob,
  manifestFor,
  openKeyset,
  RefreshSession,
  stepBound,
  type JobData,
  type Keyset,
  type StepBound,
} from '@blindfit/owner';
import type { JobResult, JobView } from '@blindfit/protocol';
import { choosePlan, trainClear, type Hyperparameters, type Plan, type PlanRequest } from '@blindfit/training';
import { CliError } from '../errors.ts';
import { formatBytes } from '../format.ts';
import type { Progress } from '../progress.ts';
import { accuraciesOf, evaluate, shuffled, type Accuracies, type TrainingData } from './data.ts';
import { followTraining, isBetter, type Followed, type RefreshCosts } from './follow.ts';
import { guardRanges } from './range-guard.ts';
import { uploadKeys } from './upload-keys.ts';

export interface TrainingRequest extends Pick<PlanRequest, 'precision' | 'refreshEvery' | 'modelLevel'> {
  readonly data: TrainingData;
  readonly hyperparameters: Hyperparameters;
  readonly keysDirectory: string;
  readonly name?: string;
  /** Stop when so many evaluations on the held-out data in a row are no better than the best; the best weights are the model then. */
  readonly patience?: number;
  /** Told when the job is submitted, with what its owner must keep to come back to it later. */
  readonly onSubmitted?: (job: JobView, bound: StepBound) => Promise<void>;
}

export interface TrainingReport {
  readonly job: string;
  /** Classes x (features + 1), decrypted. */
  readonly weights: readonly Float64Array[];
  /** The iteration whose weights these are. */
  readonly iteration: number;
  /** The iteration after which patience ran out. */
  readonly stoppedAfter: number | undefined;
  /** W_t after every iteration: decrypted where refreshes or the result showed it, and of the clear twin. */
  readonly history: {
    readonly encrypted: readonly (readonly Float64Array[] | undefined)[];
    readonly clear: readonly (readonly Float64Array[])[];
  };
  readonly refresh: RefreshCosts;
  readonly parameters: {
    readonly name: string;
    readonly ring: number;
    readonly log2QP: number;
    readonly levels: number;
    readonly scaleBits: number;
  };
  readonly seconds: {
    readonly keygen: number;
    readonly encrypt: number;
    readonly upload: number;
    readonly loadKeys: number;
    readonly train: number;
    readonly download: number;
    readonly iterations: readonly number[];
  };
  readonly bytes: { readonly data: number; readonly keys: number; readonly model: number };
  /** Undefined when the training was stopped early. */
  readonly operations: JobResult['operations'] | undefined;
  readonly evaluators?: NonNullable<JobResult['evaluators']>;
  /** Largest absolute difference to the clear twin's weights. */
  readonly maxWeightError: number;
  readonly accuracy: { readonly encrypted: Accuracies; readonly clear: Accuracies };
}

/**
 * @throws CliError when the job fails or is cancelled, and whatever planning, keys, encryption and the API throw
 * @param signal aborting it cancels the job
 */
export async function runTraining(
  client: BlindfitClient,
  request: TrainingRequest,
  progress: Progress,
  signal: AbortSignal,
): Promise<TrainingReport> {
  const { hyperparameters, patience, modelLevel, precision, refreshEvery } = request;
  const job =
    hyperparameters.batch === undefined ? request.data.job : shuffled(request.data.job, hyperparameters.batch.seed);
  const data = { ...request.data, job };
  const clear = trainClear(job.x, data.shape.samples, data.shape.features, job.labels, hyperparameters);
  const { threads } = await client.cluster();
  const plan = choosePlan({
    shape: data.shape,
    hyperparameters,
    vcpus: Math.max(1, threads),
    ...(precision === undefined ? {} : { precision }),
    ...(refreshEvery === undefined ? {} : { refreshEvery }),
    ...(modelLevel === undefined ? {} : { modelLevel }),
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
  const { blobs, encrypt, upload, bytes } = await encryptAndUpload(client, keyset, plan, job, progress, signal);
  const bound = stepBound(job, hyperparameters);
  const submitted = await client.submit(manifestFor(plan, blobs, keyset, request.name));
  await request.onSubmitted?.(submitted, bound);
  const { validation } = data;
  const followed = await followTraining(
    client,
    submitted,
    {
      plan,
      session: new RefreshSession(keyset, plan, bound),
      ...(validation === undefined
        ? {}
        : { evaluate: (weights) => evaluate(weights, validation, data.classes.length) }),
      ...(patience === undefined ? {} : { patience }),
      cancel: true,
    },
    progress,
    signal,
  );
  const downloading = performance.now();
  const outcome = await outcomeOf(
    client,
    keyset,
    plan,
    followed,
    patience !== undefined && validation !== undefined
      ? (weights) => evaluate(weights, validation, data.classes.length)
      : undefined,
  );
  const download = (performance.now() - downloading) / 1000;
  const { parameters } = plan;
  const { weights, iteration, result } = outcome;
  return {
    job: submitted.id,
    weights,
    iteration,
    stoppedAfter: followed.stoppedAfter,
    history: { encrypted: outcome.history, clear: clear.history.slice(0, Math.max(iteration, outcome.history.length)) },
    refresh: followed.refresh,
    parameters: {
      name: parameters.name,
      ring: parameters.ring,
      log2QP: parameters.logQP,
      levels: parameters.maxLevel,
      scaleBits: parameters.scaleBits,
    },
    seconds: {
      keygen: keyset.seconds.generate,
      encrypt,
      upload,
      loadKeys: result?.seconds.loadKeys ?? 0,
      train: result?.seconds.train ?? elapsedOf(followed.job),
      download,
      iterations: result?.seconds.iterations ?? [],
    },
    bytes: { ...bytes, model: outcome.modelBytes },
    operations: result?.operations,
    ...(result?.evaluators === undefined ? {} : { evaluators: result.evaluators }),
    maxWeightError: largestDifference(weights, clear.history[iteration - 1] ?? []),
    accuracy: { encrypted: accuraciesOf(weights, data), clear: accuraciesOf(clear.history[iteration - 1] ?? [], data) },
  };
}

/** The trained model, from a job that has ended or was stopped. */
export interface Outcome {
  readonly weights: readonly Float64Array[];
  /** The iteration whose weights these are. */
  readonly iteration: number;
  /** W_t by iteration, where known. */
  readonly history: readonly (readonly Float64Array[] | undefined)[];
  readonly result: JobResult | undefined;
  readonly modelBytes: number;
}

/**
 * Downloads and opens the model; with patience, the best weights seen are the model.
 * @param judge tells how good weights are; given when the best ones are wanted
 * @throws CliError when the job has failed, or was cancelled by somebody else
 */
export async function outcomeOf(
  client: BlindfitClient,
  keyset: Keyset,
  plan: Plan,
  followed: Followed,
  judge: ((weights: readonly Float64Array[]) => ReturnType<typeof evaluate>) | undefined,
): Promise<Outcome> {
  const { job, best, stoppedAfter } = followed;
  if (stoppedAfter !== undefined && best !== undefined && job.state === 'cancelled') {
    return {
      weights: best.weights,
      iteration: best.iteration,
      history: followed.history,
      result: undefined,
      modelBytes: 0,
    };
  }
  const result = resultOf(job);
  const models = await client.result(job.id, result.models);
  const last = decryptModel(keyset, plan, models);
  const iterates = await Promise.all(
    result.iterates.map((row) => Promise.all(row.map((digest) => client.blob(digest)))),
  );
  const { iterations } = plan.hyperparameters;
  const history =
    result.iterates.length > 0
      ? decryptIterates(keyset, plan, iterates)
      : Array.from({ length: iterations }, (_, index) => (index === iterations - 1 ? last : followed.history[index]));
  const modelBytes = models.reduce((sum, model) => sum + model.length, 0);
  const kept =
    judge !== undefined && best !== undefined && !isBetter(judge(last), best.evaluation)
      ? best
      : { weights: last, iteration: iterations };
  return { weights: kept.weights, iteration: kept.iteration, history, result, modelBytes };
}

function elapsedOf({ startedAt, finishedAt }: JobView): number {
  return startedAt === undefined || finishedAt === undefined
    ? 0
    : (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000;
}

interface Uploaded {
  readonly blobs: Awaited<ReturnType<typeof encryptJob>>;
  /** Seconds. */
  readonly encrypt: number;
  readonly upload: number;
  readonly bytes: { readonly data: number; readonly keys: number };
}

/** One ciphertext at a time, so that any amount of data fits in memory; keys come from their files. */
async function encryptAndUpload(
  client: BlindfitClient,
  keyset: Keyset,
  plan: Plan,
  job: JobData,
  progress: Progress,
  signal: AbortSignal,
): Promise<Uploaded> {
  const started = performance.now();
  let uploading = 0;
  let dataBytes = 0;
  const blobs = await encryptJob(keyset, plan, job, {
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
  const keysStarted = performance.now();
  const keyBytes = await uploadKeys(client, keyset, progress, signal);
  uploading += performance.now() - keysStarted;
  return { blobs, encrypt: encrypting / 1000, upload: uploading / 1000, bytes: { data: dataBytes, keys: keyBytes } };
}

/** @throws CliError for a job that has failed or was cancelled, with the reason */
export function resultOf(job: JobView): JobResult {
  if (job.state === 'succeeded' && job.result !== undefined) return job.result;
  if (job.state === 'cancelled') throw new CliError(`${job.id} was cancelled`);
  throw new CliError(
    `${job.id} ${job.state}: ${job.error?.message ?? 'no reason given'}`,
    job.error?.task === undefined ? undefined : `it happened in task ${job.error.task}; the worker's log says more`,
  );
}

function largestDifference(a: readonly Float64Array[], b: readonly Float64Array[]): number {
  return a.reduce(
    (most, row, k) => row.reduce((max, value, j) => Math.max(max, Math.abs(value - (b[k]?.[j] ?? NaN))), most),
    0,
  );
}
