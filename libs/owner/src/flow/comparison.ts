/**
 * How good a model is, beside the clear twin and beside plain softmax regression, which its owner could have trained at
 * home.
 */
import { at } from '@blindfit/base';
import {
  applyPreprocessing,
  argmaxRows,
  calibratedProbabilities,
  classificationMetrics,
  classIndices,
  fitPreprocessing,
  logLoss,
  probabilitiesOf,
  scores,
  softmaxRegression,
  withBias,
  type ClassificationMetrics,
  type LabelledDataset,
  type Model,
  type Weights,
} from '@blindfit/data';
import type { TrainingReport } from './train.ts';
import type { Scorable, TrainingData } from './training-data.ts';

export interface Quality extends ClassificationMetrics {
  /** Of the shown probabilities, in nats a sample. */
  readonly logLoss: number;
}

export interface Comparison {
  /** What is judged by: data that were held out, where there are any. */
  readonly judgedBy: 'held-out' | 'training';
  readonly encrypted: Quality;
  readonly clear: Quality;
  /** Softmax regression on the standardised features. */
  readonly plain: Quality;
  /** Samples that the encrypted and the clear training put into different classes. */
  readonly parted: number;
  /** Indices of features that do not vary in the training data, from 0. */
  readonly constant: readonly number[];
}

export interface Compared {
  readonly model: Pick<Model, 'classes' | 'calibration'>;
  readonly weights: Weights;
  /** The weights of the clear twin at the same iteration. */
  readonly twin: Weights;
  readonly data: TrainingData;
  /** The data before preprocessing. */
  readonly raw: { readonly training: LabelledDataset; readonly validation?: LabelledDataset | undefined };
}

/** Bounds the time of plain regression on large data. */
const MAX_PRODUCTS = 3e9;
const ITERATIONS = { least: 20, most: 200 } as const;

/** @throws DatasetError when arithmetic leaves the range of a double */
export function compare({ model, weights, twin, data, raw }: Compared): Comparison {
  const judged = data.validation ?? data.training;
  const [encrypted, clear] = [scores(weights, judged.x), scores(twin, judged.x)];
  const c = model.classes.length;
  const [ours, twins] = [argmaxRows(encrypted, c), argmaxRows(clear, c)];
  return {
    judgedBy: data.validation === undefined ? 'training' : 'held-out',
    encrypted: qualityOf(encrypted, probabilitiesOf(model, encrypted), judged),
    clear: qualityOf(clear, probabilitiesOf(model, clear), judged),
    ...plainRegression(model.classes, raw, judged.actual),
    parted: ours.reduce((count, predicted, i) => count + (predicted === twins[i] ? 0 : 1), 0),
  };
}

/** The comparison of a finished training. @param raw the data before preprocessing */
export function compareTraining(
  { model, weights, iteration, history }: TrainingReport,
  data: TrainingData,
  raw: Compared['raw'],
): Comparison {
  const twin = at(history.clear, iteration - 1, 'weights of the clear twin');
  return compare({ model, weights, twin, data, raw });
}

/** Whether encryption has changed more predictions than ties explain: more than one, and more than one in 1,000. */
export function isParted({ parted, encrypted }: Pick<Comparison, 'parted' | 'encrypted'>): boolean {
  return parted > Math.max(1, encrypted.samples / 1000);
}

function plainRegression(
  classes: readonly string[],
  { training, validation = training }: Compared['raw'],
  actual: Int32Array,
): Pick<Comparison, 'plain' | 'constant'> {
  const c = classes.length;
  const preprocessing = fitPreprocessing('standardize', training);
  const x = withBias(applyPreprocessing(preprocessing, training));
  const iterations = Math.floor(MAX_PRODUCTS / (2 * x.length * c));
  const weights = softmaxRegression(x, classIndices(training.labels, classes), c, {
    maxIterations: Math.min(ITERATIONS.most, Math.max(ITERATIONS.least, iterations)),
  });
  const z = scores(weights, withBias(applyPreprocessing(preprocessing, validation)));
  return {
    plain: qualityOf(z, calibratedProbabilities(z, c, 1), { actual }),
    constant:
      preprocessing.kind === 'standardize' ? preprocessing.scale.flatMap((scale, j) => (scale === 0 ? [j] : [])) : [],
  };
}

function qualityOf(z: Float64Array, probabilities: Float64Array, { actual }: Pick<Scorable, 'actual'>): Quality {
  const c = z.length / actual.length;
  return {
    ...classificationMetrics(argmaxRows(z, c), actual, c),
    logLoss: logLoss(probabilities, actual, c),
  };
}

/** Most classes and features that a warning names. */
const MAX_NAMED = 10;

/** What a reader of the accuracy alone would miss, one sentence each. */
export function warningsOf(comparison: Comparison, classes: readonly string[]): readonly string[] {
  const { judgedBy, encrypted, parted, constant } = comparison;
  const warnings: string[] = [];
  const never = encrypted.classes.flatMap(({ support, predicted }, k) =>
    support > 0 && predicted === 0 ? [`${at(classes, k, 'classes')} (${support} samples)`] : [],
  );
  if (never.length > 0)
    warnings.push(`the model never predicts ${listed(never)}: it does not find these among the ${judgedBy} samples`);
  if (encrypted.withinNoise)
    warnings.push(
      `the accuracy of ${percent(encrypted.accuracy)} is within noise of ${percent(encrypted.majority)}, ` +
        'which naming the commonest class always would reach',
    );
  if (parted > 0)
    warnings.push(
      `encrypted and clear training part in ${parted} of ${encrypted.samples} predictions` +
        (isParted(comparison) ? ': the encrypted model is not precise enough' : ''),
    );
  if (constant.length > 0)
    warnings.push(
      `${constant.length} of the features do not vary in the training data and say nothing: ` +
        `numbers ${listed(constant.map((j) => String(j + 1)))}`,
    );
  return warnings;
}

function listed(names: readonly string[]): string {
  const more = names.length - MAX_NAMED;
  return names.slice(0, MAX_NAMED).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function percent(part: number): string {
  return `${(100 * part).toFixed(2)} %`;
}
