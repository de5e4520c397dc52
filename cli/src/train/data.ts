/** From data sets to what is encrypted: classes, preprocessing, the matrix with its bias column. All in the clear, all local. */
import {
  accuracy,
  applyPreprocessing,
  argmaxScores,
  classesOf,
  classIndices,
  fitPreprocessing,
  logLikelihoodLoss,
  oneHot,
  requireKnownLabels,
  scores,
  argmaxRows,
  withBias,
  type LabelledDataset,
  type Preprocessing,
  type PreprocessingChoice,
  type Weights,
} from '@blindfit/data';
import type { JobData } from '@blindfit/owner';
import { permutation, type JobShape } from '@blindfit/training';
import { UsageError } from '../errors.ts';

/** A data set ready to be scored: X with its bias column, and the class of every row. */
export interface Scorable {
  /** n x (d + 1), row-major. */
  readonly x: Float64Array;
  /** By row, an index into the classes. */
  readonly actual: Int32Array;
}

export interface TrainingData {
  readonly classes: readonly string[];
  readonly preprocessing: Preprocessing;
  readonly shape: JobShape;
  readonly job: JobData;
  readonly training: Scorable;
  readonly validation: Scorable | undefined;
}

export interface DataRequest {
  readonly training: LabelledDataset;
  readonly validation?: LabelledDataset;
  readonly preprocessing: PreprocessingChoice;
  /** The classes to train; by default those of the training labels. */
  readonly classes?: readonly string[];
}

/**
 * @throws DatasetError for labels that do not fit
 * @throws UsageError when the validation data have another number of features
 */
export function prepareData(request: DataRequest): TrainingData {
  const { training, validation } = request;
  const classes = classesOf(training.labels, request.classes);
  if (validation !== undefined) {
    requireKnownLabels(validation.labels, classes, 'validation');
    if (validation.d !== training.d) {
      throw new UsageError(
        `the validation data have ${validation.d} features and the training data ${training.d}`,
        'both must have the same columns',
      );
    }
  }
  const preprocessing = fitPreprocessing(request.preprocessing, training);
  const scorable = (data: LabelledDataset): Scorable => ({
    x: withBias(applyPreprocessing(preprocessing, data)),
    actual: classIndices(data.labels, classes),
  });
  const train = scorable(training);
  const targets = oneHot(training.labels, classes);
  const shape = { samples: training.n, features: train.x.length / training.n, classes: classes.length };
  return {
    classes,
    preprocessing,
    shape,
    training: train,
    validation: validation === undefined ? undefined : scorable(validation),
    job: {
      x: train.x,
      samples: shape.samples,
      features: shape.features,
      labels: classes.map((_, k) =>
        Float64Array.from({ length: training.n }, (_unused, i) => targets[i * classes.length + k] ?? 0),
      ),
    },
  };
}

export interface Accuracies {
  /** Parts of 1. */
  readonly train: number;
  readonly validation?: number;
}

export function accuraciesOf(weights: readonly Float64Array[], data: TrainingData): Accuracies {
  const of = ({ x, actual }: Scorable): number => accuracy(argmaxScores(weights, x), actual);
  return { train: of(data.training), ...(data.validation === undefined ? {} : { validation: of(data.validation) }) };
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
  actual.forEach((k, i) => (targets[i * classes + k] = 1));
  const z = scores(weights, x);
  return { accuracy: accuracy(argmaxRows(z, classes), actual), loss: logLikelihoodLoss(z, targets, classes) };
}

/** The same samples in another order, so that mini-batches, which are runs of samples, are fair samples of all. */
export function shuffled({ x, samples, features, labels }: JobData, seed: number): JobData {
  const order = permutation(samples, seed);
  const rows = new Float64Array(x.length);
  order.forEach((from, to) => rows.set(x.subarray(from * features, (from + 1) * features), to * features));
  return {
    x: rows,
    samples,
    features,
    labels: labels.map((column) => Float64Array.from(order, (from) => column[from] ?? 0)),
  };
}
