import type { BlindfitClient } from '@blindfit/client';
import type { Input, LabelledDataset } from '@blindfit/data';
import {
  compareTraining,
  hyperparametersOf,
  OwnerError,
  requireTrainable,
  planRequestOf,
  prepareData,
  train as trainEncrypted,
  type KeyStore,
} from '@blindfit/owner';
import type { JobView, Priority } from '@blindfit/protocol';
import { choosePlan } from '@blindfit/training';
import { storeOf } from '../keys.ts';
import { labelled, type LabelledSource, type Samples } from './datasets.ts';
import { Training } from './model.ts';
import { withServer } from './server.ts';
import { readHeldOut, readTraining, type TableOptions } from './tables.ts';
import { settle, type PreprocessingSpelling, type TuningOptions } from './tune.ts';

export interface TrainOptions extends TuningOptions, TableOptions, Partial<Samples> {
  /** Training data; or `x` and `y`. */
  readonly features?: LabelledSource | undefined;
  /** Held-out data. They never leave this machine. @default none */
  readonly validation?: LabelledSource | undefined;
  /** How rows of a file became the features, where they are a data set. @default of a file: what is found out */
  readonly input?: Input | undefined;
  /** The classes to train. @default all labels of the training data */
  readonly classes?: readonly string[] | undefined;
  /**
   * What to do to the features before encryption: `none`, `center`, `standardize`, `quantile`, `degree2`, `fourier:K`,
   * `pca:K`, `pca:K:whiten`, or several joined by `+`. @default what is best; `none` with the preset `paper`
   */
  readonly preprocess?: PreprocessingSpelling | undefined;
  /**
   * Directory of the secret key, its public keys and the tickets of jobs; or `directoryKeys` for keys under a
   * passphrase. @default `keys` in the data directory
   */
  readonly keys?: string | KeyStore | undefined;
  /** A running API, from `connect`. @default an embedded stack that is started for the job and stopped after it */
  readonly server?: BlindfitClient | undefined;
  /** Compute threads of the embedded stack. @default all cores */
  readonly threads?: number | undefined;
  /**
   * Stops when so many looks at the held-out data in a row are no better than the best; its weights are the model.
   * @default never
   */
  readonly patience?: number | undefined;
  /** Keeps a level in the trained model, so that servers can predict with it. Needs `server`. @default false */
  readonly servable?: boolean | undefined;
  /** Shown in listings, and visible to the server. */
  readonly name?: string | undefined;
  /** The part of the job among those of its tenant. @default 'normal' */
  readonly priority?: Priority | undefined;
  /** The network that made the features of images, for the model file. */
  readonly backbone?: string | undefined;
  /** Whether an abort cancels the job; otherwise it goes on, and `attach` comes back to it. @default true */
  readonly cancelOnAbort?: boolean | undefined;
  /** Is called when the job is submitted and can be come back to. */
  readonly onSubmitted?: ((job: JobView) => void | Promise<void>) | undefined;
}

/**
 * Encrypts data on this machine, has them trained on by servers that cannot read them, and decrypts the model here.
 *
 * ```ts
 * const model = await train({ features: 'train.csv', validation: 'test.csv' });
 * ```
 * @throws DatasetError for data that cannot be used, PlanError for a job that no secure parameters carry, KeysetError
 *   for keys that cannot be used, OwnerError when the job fails or the request cannot work, and what the API throws; an
 *   abort throws the signal's reason, and cancels the job unless told otherwise
 */
export async function train(options: TrainOptions): Promise<Training> {
  const { classes, patience, server, threads, servable = false, name, signal, onLog } = options;
  if (patience !== undefined && options.validation === undefined)
    throw request('patience needs held-out data', 'give validation');
  if (servable && server === undefined)
    throw request('servable needs an API that stays', 'give server: an embedded stack takes the model with it');
  const { training, validation, input } = await samplesOf(options);
  requireTrainable({ training, validation, classes });
  const { preprocessing, choices, tuned } = await settle(options, training, classes);
  const data = prepareData({
    training,
    validation,
    classes,
    preprocessing,
    classWeights: options.classWeights,
  });
  const hyperparameters = hyperparametersOf(choices);
  const job = {
    data,
    hyperparameters,
    keys: storeOf(options.keys),
    precision: options.precision,
    refreshEvery: options.refreshEvery,
    modelLevel: servable ? (1 as const) : undefined,
    patience,
    name,
    priority: options.priority,
    input,
    backbone: options.backbone,
    cancelOnAbort: options.cancelOnAbort,
    onSubmitted: options.onSubmitted,
    onProgress: options.onProgress,
    onLog,
  };
  // A job that no secure parameters carry fails here, before anything is started.
  choosePlan(planRequestOf(job));
  const details = await withServer({ server, threads, onLog, signal }, (client, running) =>
    trainEncrypted(client, { ...job, signal: running }),
  );
  const comparison = compareTraining(details, data, { training, validation });
  return new Training(details, data, hyperparameters, comparison, { title: name, tuned });
}

interface TrainingSamples {
  readonly training: LabelledDataset;
  readonly validation: LabelledDataset | undefined;
  readonly input: Input | undefined;
}

async function samplesOf(options: TrainOptions): Promise<TrainingSamples> {
  const { onLog } = options;
  const source = sourceOf(options);
  const {
    data: training,
    input,
    notes,
  } = typeof source === 'string'
    ? await readTraining(source, options)
    : { data: await labelled(source), input: options.input, notes: [] };
  for (const note of notes) onLog?.(note);
  const held = options.validation;
  if (held === undefined) return { training, validation: undefined, input };
  return {
    training,
    validation: typeof held === 'string' ? await readHeldOut(held, input, options, onLog) : await labelled(held),
    input,
  };
}

function sourceOf({ features, x, y }: TrainOptions): LabelledSource {
  const rows = x === undefined || y === undefined ? undefined : { x, y };
  const source = features ?? rows;
  if (source === undefined || (features !== undefined && (x !== undefined || y !== undefined)))
    throw request('there must be one set of training data', 'give features, or x and y');
  return source;
}

function request(message: string, hint: string): OwnerError {
  return new OwnerError(message, { code: 'OWNER_REQUEST', hint });
}
