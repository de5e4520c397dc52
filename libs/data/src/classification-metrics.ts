import { at } from '@blindfit/base';
import { DatasetError } from './dataset-error.ts';
import { confusionMatrix } from './evaluate.ts';

/** How well one class is found. */
export interface ClassMetrics {
  /** Samples of the class. */
  readonly support: number;
  /** Samples that were predicted as the class. */
  readonly predicted: number;
  /** Share of the predictions of the class that are right; undefined if there are none. */
  readonly precision: number | undefined;
  /** Share of the class's samples that are found; undefined if there are none. */
  readonly recall: number | undefined;
  /** Harmonic mean of both; 0 for a class that is never found, undefined if nothing is of the class or predicted so. */
  readonly f1: number | undefined;
}

export interface ClassificationMetrics {
  readonly samples: number;
  /** Share of samples that are predicted right. */
  readonly accuracy: number;
  /** Mean recall of the classes that have samples. */
  readonly balancedAccuracy: number;
  /** Mean F1 of the classes that have samples or predictions. */
  readonly macroF1: number;
  /** Accuracy of naming the commonest class of these samples always. */
  readonly majority: number;
  /** Whether the accuracy is no better than the majority's beyond two standard errors (McNemar's test). */
  readonly withinNoise: boolean;
  /** By class. */
  readonly classes: readonly ClassMetrics[];
  /** Row: actual class, column: predicted class. */
  readonly confusion: readonly (readonly number[])[];
}

/** Standard errors that a difference must exceed. */
const STANDARD_ERRORS = 2;

/**
 * Compares predictions with what is true.
 * @param c number of classes
 * @throws DatasetError `bad-shape`
 */
export function classificationMetrics(
  predicted: ArrayLike<number>,
  actual: ArrayLike<number>,
  c: number,
): ClassificationMetrics {
  return metricsOf(confusionMatrix(predicted, actual, c));
}

/** @param confusion row: actual class, column: predicted class; at least one sample */
export function metricsOf(confusion: readonly (readonly number[])[]): ClassificationMetrics {
  const classes = confusion.map((row, k): ClassMetrics => {
    const right = at(row, k, 'confusion matrix');
    const support = sumOf(row);
    const predicted = sumOf(confusion.map((other) => at(other, k, 'confusion matrix')));
    return {
      support,
      predicted,
      precision: share(right, predicted),
      recall: share(right, support),
      f1: share(2 * right, support + predicted),
    };
  });
  const samples = sumOf(classes.map(({ support }) => support));
  const right = sumOf(confusion.map((row, k) => at(row, k, 'confusion matrix')));
  const supports = classes.map(({ support }) => support);
  const commonest = supports.indexOf(Math.max(...supports));
  const majority = at(supports, commonest, 'classes');
  const rightInMajority = at(at(confusion, commonest, 'confusion matrix'), commonest, 'confusion matrix');
  // Samples that only the model has right, and those that only the majority has right.
  const [gained, lost] = [right - rightInMajority, majority - rightInMajority];
  return {
    samples,
    accuracy: right / samples,
    balancedAccuracy: meanOf(classes.map(({ recall }) => recall)),
    macroF1: meanOf(classes.map(({ f1 }) => f1)),
    majority: majority / samples,
    withinNoise: gained - lost <= STANDARD_ERRORS * Math.sqrt(gained + lost),
    classes,
    confusion,
  };
}

/**
 * Log-loss of probabilities: the mean of -log p of the actual class, in nats; ln c for equal probabilities, 0 at best.
 * A probability below the rounding unit of a double counts as that.
 * @param probabilities n x c, row-major
 * @param actual n class indices
 * @throws DatasetError `bad-shape`
 */
export function logLoss(probabilities: Float64Array, actual: ArrayLike<number>, c: number): number {
  if (actual.length === 0 || probabilities.length !== actual.length * c)
    throw new DatasetError(
      'bad-shape',
      `${probabilities.length} probabilities do not make ${actual.length} rows of ${c} classes`,
    );
  let sum = 0;
  for (let i = 0; i < actual.length; i++) {
    const label = at(actual, i, 'labels');
    if (!(label >= 0 && label < c))
      throw new DatasetError('bad-shape', `sample ${i} has class ${label}; class indices must be 0 to ${c - 1}`);
    sum -= Math.log(Math.max(at(probabilities, i * c + label, 'probabilities'), Number.EPSILON));
  }
  return sum / actual.length;
}

/** A class that was taken for another one. */
export interface Confusion {
  readonly actual: number;
  readonly predicted: number;
  readonly samples: number;
  /** Share of the actual class's samples. */
  readonly share: number;
}

/** The commonest mistakes, the most frequent first; of equals the first classes. */
export function worstConfusions(confusion: readonly (readonly number[])[], limit: number): readonly Confusion[] {
  return confusion
    .flatMap((row, actual) => {
      const support = sumOf(row);
      return row.flatMap((samples, predicted) =>
        samples === 0 || predicted === actual ? [] : [{ actual, predicted, samples, share: samples / support }],
      );
    })
    .sort((a, b) => b.samples - a.samples)
    .slice(0, limit);
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function share(part: number, whole: number): number | undefined {
  return whole === 0 ? undefined : part / whole;
}

function meanOf(values: readonly (number | undefined)[]): number {
  const present = values.filter((value) => value !== undefined);
  return sumOf(present) / present.length;
}
