/**
 * From data sets to what is encrypted: classes, preprocessing, the matrix with its bias column. All in the clear, all
 * local.
 */
import { at } from '@blindfit/base';
import {
  accuracy,
  applyPreprocessing,
  balancedWeights,
  argmaxRows,
  argmaxScores,
  classesOf,
  classIndices,
  fitPreprocessing,
  logLikelihoodLoss,
  oneHot,
  requireKnownLabels,
  scores,
  withBias,
  type LabelledDataset,
  type Preprocessing,
  type PreprocessingChoice,
  type Weights,
} from '@blindfit/data';
import { permutation, type JobShape } from '@blindfit/training';
import type { TrainingSet } from '../encrypt-job.ts';
import { OwnerError } from '../errors.ts';
import type { ClassWeights } from './choices.ts';

/** A data set ready to be scored. */
export interface Scorable {
  /** n x (d + 1), row-major, with the bias column. */
  readonly x: Float64Array;
  /** By row: an index into the classes. */
  readonly actual: Int32Array;
}

export interface TrainingData {
  readonly classes: readonly string[];
  readonly preprocessing: Preprocessing;
  readonly shape: JobShape;
  /** What is encrypted. */
  readonly set: TrainingSet;
  readonly training: Scorable;
  /** The held-out data. */
  readonly validation: Scorable | undefined;
}

export interface DataRequest {
  readonly training: LabelledDataset;
  readonly validation?: LabelledDataset | undefined;
  readonly preprocessing: PreprocessingChoice;
  /** The classes to train. @default those of the training labels */
  readonly classes?: readonly string[] | undefined;
  /** Whether samples of rare classes count more. @default none */
  readonly classWeights?: ClassWeights | undefined;
}

/**
 * @throws DatasetError for labels that do not fit
 * @throws OwnerError `OWNER_REQUEST` when the validation data have another number of features
 */
export function prepareData({ training, validation, ...request }: DataRequest): TrainingData {
  const classes = requireTrainable({ training, validation, classes: request.classes });
  const preprocessing = fitPreprocessing(request.preprocessing, training);
  const train = scorableOf(training, { classes, preprocessing });
  const targets = oneHot(training.labels, classes);
  const { n: samples } = training;
  const shape = { samples, features: train.x.length / samples, classes: classes.length };
  const column = (label: number): Float64Array =>
    Float64Array.from({ length: samples }, (_, i) => at(targets, i * classes.length + label, 'one-hot labels'));
  return {
    classes,
    preprocessing,
    shape,
    training: train,
    validation: validation === undefined ? undefined : scorableOf(validation, { classes, preprocessing }),
    set: {
      x: train.x,
      samples,
      features: shape.features,
      labels: classes.map((_, label) => column(label)),
      rowWeights: request.classWeights === 'balanced' ? balancedWeights(train.actual) : undefined,
    },
  };
}

/**
 * Checks data before anything is computed from them.
 * @returns the classes
 * @throws as {@link prepareData}
 */
export function requireTrainable({
  training,
  validation,
  ...request
}: Omit<DataRequest, 'preprocessing'>): readonly string[] {
  const classes = classesOf(training.labels, request.classes);
  if (validation === undefined) return classes;
  requireKnownLabels(validation.labels, classes, 'validation');
  if (validation.d !== training.d) {
    throw new OwnerError(`the validation data have ${validation.d} features and the training data ${training.d}`, {
      code: 'OWNER_REQUEST',
      hint: 'both must have the same columns',
    });
  }
  return classes;
}

/** Labelled data as a model of these classes and this preprocessing takes them. @throws DatasetError */
export function scorableOf(
  data: LabelledDataset,
  { classes, preprocessing }: Pick<TrainingData, 'classes' | 'preprocessing'>,
): Scorable {
  requireKnownLabels(data.labels, classes, 'validation');
  return { x: withBias(applyPreprocessing(preprocessing, data)), actual: classIndices(data.labels, classes) };
}

/** Parts of 1. */
export interface Accuracies {
  readonly train: number;
  readonly validation?: number | undefined;
}

export function accuraciesOf(weights: Weights, { training, validation }: TrainingData): Accuracies {
  const accuracyOn = ({ x, actual }: Scorable): number => accuracy(argmaxScores(weights, x), actual);
  const train = accuracyOn(training);
  return validation === undefined ? { train } : { train, validation: accuracyOn(validation) };
}

/** How good weights are on one set. */
export interface Evaluation {
  /** Part of 1. */
  readonly accuracy: number;
  /** Nats a sample. */
  readonly loss: number;
}

/** @param classes number of classes */
export function evaluate(weights: Weights, { x, actual }: Scorable, classes: number): Evaluation {
  const targets = new Float64Array(actual.length * classes);
  actual.forEach((label, i) => (targets[i * classes + label] = 1));
  const z = scores(weights, x);
  return { accuracy: accuracy(argmaxRows(z, classes), actual), loss: logLikelihoodLoss(z, targets, classes) };
}

/** The same samples in another order, so that mini-batches, which are runs of samples, are fair samples of all. */
export function shuffled({ x, samples, features, labels, rowWeights }: TrainingSet, seed: number): TrainingSet {
  const order = permutation(samples, seed);
  const rows = new Float64Array(x.length);
  order.forEach((from, to) => rows.set(x.subarray(from * features, (from + 1) * features), to * features));
  const inOrder = (column: Float64Array): Float64Array => Float64Array.from(order, (from) => at(column, from, 'rows'));
  return {
    x: rows,
    samples,
    features,
    labels: labels.map(inOrder),
    rowWeights: rowWeights && inOrder(rowWeights),
  };
}
