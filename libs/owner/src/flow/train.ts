/**
 * The owner's side of a training job, from data to decrypted model. The servers see ciphertexts, shapes and timings.
 */
import { at } from '@blindfit/base';
import type { BlindfitClient } from '@blindfit/client';
import type { Input, Model } from '@blindfit/data';
import type { JobResult, JobView, Priority } from '@blindfit/protocol';
import {
  choosePlan,
  precisionOf,
  trainClear,
  type Hyperparameters,
  type Plan,
  type PlanRequest,
} from '@blindfit/training';
import { encryptJob, type DataBlobs, type TrainingSet } from '../encrypt-job.ts';
import type { KeyStore } from '../key-store.ts';
import { openKeyset, type Keyset } from '../keyset.ts';
import { manifestFor } from '../manifest.ts';
import { RefreshSession, stepBound } from '../refresh.ts';
import { foldTemperatures } from './fold-temperatures.ts';
import { followTraining, type Judge, type RefreshCosts } from './follow.ts';
import { forSubmitted } from './give-up.ts';
import { interruptible } from './interruptible.ts';
import { modelOf, summaryOf, type ParametersSummary } from './model.ts';
import { outcomeOf } from './outcome.ts';
import { guardRanges } from './range-guard.ts';
import type { FlowOptions } from './states.ts';
import { submit } from './submit.ts';
import { writeTicket } from './ticket.ts';
import { accuraciesOf, evaluate, shuffled, type Accuracies, type TrainingData } from './training-data.ts';
import { checkAgainstTwin } from './twin.ts';
import { uploadBehind } from './upload-behind.ts';
import { uploadKeys } from './upload-keys.ts';

export interface TrainRequest extends FlowOptions {
  readonly data: TrainingData;
  readonly hyperparameters: Hyperparameters;
  /** Where the keys are, or are made. The ticket of the job is kept there. */
  readonly keys: KeyStore;
  /** Largest absolute error of a weight to plan for. @default the planner's */
  readonly precision?: number | undefined;
  /** Iterations between two refreshes. @default what is fastest */
  readonly refreshEvery?: number | undefined;
  /** 1 keeps a level in the trained model, so that servers can predict with it. @default 0 */
  readonly modelLevel?: PlanRequest['modelLevel'];
  /** Shown in listings, and visible to the server. */
  readonly name?: string | undefined;
  /** The part of the job among those of its tenant. @default normal */
  readonly priority?: Priority | undefined;
  /** How rows of a file became the features, for the model file. */
  readonly input?: Input | undefined;
  /** The network that made the features of images, for the model file. */
  readonly backbone?: string | undefined;
  /**
   * Stops when so many evaluations on the held-out data in a row are no better than the best; its weights are the
   * model.
   */
  readonly patience?: number | undefined;
  /**
   * By iteration: what turns the scores of its weights into probabilities, fitted on samples that they were not trained
   * on.
   * @default fitted by cross-validation with the clear twin
   */
  readonly temperatures?: readonly number[] | undefined;
  /** Whether an abort cancels the job; otherwise `attach` comes back to it. @default true */
  readonly cancelOnAbort?: boolean | undefined;
  /** Is called when the job is submitted and its ticket is written. */
  readonly onSubmitted?: ((job: JobView) => void | Promise<void>) | undefined;
}

export interface TrainingReport {
  readonly job: string;
  readonly model: Model;
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
  readonly parameters: ParametersSummary;
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
  readonly evaluators?: JobResult['evaluators'] | undefined;
  /** Largest absolute difference to the clear twin's weights. */
  readonly maxWeightError: number;
  readonly accuracy: { readonly encrypted: Accuracies; readonly clear: Accuracies };
}

/**
 * Plans, encrypts, submits, answers refreshes, and decrypts the model.
 * @throws OwnerError when the job fails or is cancelled; ForeignAnswerError; ModelError when the model is further from
 *   the clear twin than the plan allows; and whatever planning, keys, encryption and the API throw; an
 *   abort throws the signal's reason, and cancels the job unless told otherwise
 */
export async function train(server: BlindfitClient, request: TrainRequest): Promise<TrainingReport> {
  const client = interruptible(server, request.signal);
  const { hyperparameters, patience, signal, onProgress, onLog } = request;
  const { batch } = hyperparameters;
  const set = batch === undefined ? request.data.set : shuffled(request.data.set, batch.seed);
  const data: TrainingData = { ...request.data, set };
  const { shape } = data;
  const clear = trainClear(set.x, shape.samples, shape.features, set.labels, hyperparameters, set);
  const { threads } = await client.cluster();
  const { temperatures = foldTemperatures(request.data, hyperparameters) } = request;
  const plan = choosePlan(planRequestOf(request, Math.max(1, threads)));
  guardRanges(clear, plan, data, hyperparameters, (line) => onLog?.(line));
  using keyset = await openKeyset({
    keys: request.keys,
    plan,
    create: true,
    onProgress: (done, total) => {
      signal?.throwIfAborted();
      onProgress?.({ phase: 'making keys', done, total });
    },
  });
  const uploaded = await encryptAndUpload(client, keyset, plan, set, request);
  const bound = stepBound(set, hyperparameters);
  const precision = precisionOf(request);
  const submitted = await submit(client, manifestFor(plan, uploaded.blobs, keyset, request.name), request.priority);
  const { classes, preprocessing, validation } = data;
  await writeTicket(request.keys, {
    job: submitted.id,
    manifest: submitted.manifest,
    twin: {
      precision,
      weights: at(clear.history, hyperparameters.iterations - 1, 'weights of the clear twin').map((row) =>
        Array.from(row),
      ),
    },
    stepBound: bound,
    temperatures,
    classes,
    input: request.input,
    preprocessing,
    backbone: request.backbone,
  });
  await request.onSubmitted?.(submitted);
  const judge: Judge | undefined =
    validation === undefined ? undefined : (weights) => evaluate(weights, validation, classes.length);
  const followed = await forSubmitted(submitted.id, () =>
    followTraining(server, submitted, {
      session: new RefreshSession(keyset, plan, bound),
      judge,
      patience,
      cancel: request.cancelOnAbort !== false,
      signal,
      onProgress,
      onLog,
    }),
  );
  const downloading = performance.now();
  const outcome = await forSubmitted(submitted.id, () =>
    outcomeOf(client, keyset, plan, followed, patience === undefined ? undefined : judge),
  );
  const { weights, iteration, result } = outcome;
  const seconds = {
    keygen: keyset.seconds.generate,
    encrypt: uploaded.encrypt,
    upload: uploaded.upload,
    loadKeys: result === undefined ? 0 : result.seconds.loadKeys,
    train: result?.seconds.train ?? elapsedOf(followed.job),
    download: (performance.now() - downloading) / 1000,
    iterations: result?.seconds.iterations ?? [],
  };
  const twin = at(clear.history, iteration - 1, 'weights of the clear twin');
  const maxWeightError = checkAgainstTwin(weights, twin, precision);
  return {
    job: submitted.id,
    model: modelOf(plan, {
      job: submitted.id,
      classes,
      input: request.input,
      preprocessing,
      weights,
      iteration,
      temperature: at(temperatures, iteration - 1, 'temperatures'),
      backbone: request.backbone,
      seconds: { ...seconds, iterations: [...seconds.iterations] },
      maxWeightError,
    }),
    weights,
    iteration,
    stoppedAfter: followed.stoppedAfter,
    history: { encrypted: outcome.history, clear: clear.history.slice(0, Math.max(iteration, outcome.history.length)) },
    refresh: followed.refresh,
    parameters: summaryOf(plan.parameters),
    seconds,
    bytes: { ...uploaded.bytes, model: outcome.modelBytes },
    operations: result?.operations,
    evaluators: result?.evaluators,
    maxWeightError,
    accuracy: { encrypted: accuraciesOf(weights, data), clear: accuraciesOf(twin, data) },
  };
}

/** What the planner is asked for. @param vcpus threads of the cluster */
export function planRequestOf(
  { data, hyperparameters, precision, refreshEvery, modelLevel }: Omit<TrainRequest, 'keys'>,
  vcpus?: number,
): PlanRequest {
  return {
    shape: data.shape,
    hyperparameters,
    vcpus,
    precision,
    refreshEvery,
    modelLevel,
  };
}

function elapsedOf({ startedAt, finishedAt }: JobView): number {
  return startedAt === undefined || finishedAt === undefined
    ? 0
    : (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000;
}

interface Uploaded {
  readonly blobs: DataBlobs;
  /** Seconds. */
  readonly encrypt: number;
  readonly upload: number;
  readonly bytes: { readonly data: number; readonly keys: number };
}

/** Two ciphertexts at a time, so that any amount of data fits in memory. */
async function encryptAndUpload(
  client: BlindfitClient,
  keyset: Keyset,
  plan: Plan,
  set: TrainingSet,
  { signal, onProgress }: FlowOptions,
): Promise<Uploaded> {
  const started = performance.now();
  let uploading = 0;
  let bytes = 0;
  const upload = uploadBehind(client);
  const waitFor = async (step: Promise<unknown>): Promise<void> => {
    const from = performance.now();
    await step;
    uploading += performance.now() - from;
  };
  const blobs = await encryptJob(keyset, plan, set, {
    store: async (blob) => {
      signal?.throwIfAborted();
      await waitFor(upload.put(blob));
      bytes += blob.bytes.length;
    },
    onProgress: (done, total) => onProgress?.({ phase: 'encrypting', done, total, bytes }),
  });
  await waitFor(upload.end());
  const encrypting = performance.now() - started - uploading;
  const keysStarted = performance.now();
  const keyBytes = await uploadKeys(client, keyset, { signal, onProgress });
  uploading += performance.now() - keysStarted;
  return { blobs, encrypt: encrypting / 1000, upload: uploading / 1000, bytes: { data: bytes, keys: keyBytes } };
}
