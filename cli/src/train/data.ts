/** From data sets to what is encrypted: classes, preprocessing, the matrix with its bias column. All in the clear, all local. */
import {
  accuracy, applyPreprocessing, argmaxScores, classesOf, classIndices, fitPreprocessing, oneHot, requireKnownLabels, withBias,
  type LabelledDataset, type Preprocessing, type PreprocessingChoice,
} from '@blindfit/datasets';
import type { JobShape } from '@blindfit/he';
import type { JobData } from '@blindfit/owner';
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
      throw new UsageError(`the validation data have ${validation.d} features and the training data ${training.d}`, 'both must have the same columns');
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
      labels: classes.map((_, k) => Float64Array.from({ length: training.n }, (_unused, i) => targets[i * classes.length + k] ?? 0)),
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
