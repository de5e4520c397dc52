/** How good out-of-fold scores are: what a search compares. */
import {
  argmaxRows,
  calibratedProbabilities,
  classificationMetrics,
  fitTemperature,
  logLoss,
  type ClassificationMetrics,
} from '@blindfit/data';

export const METRICS = ['accuracy', 'macro-f1', 'log-loss'] as const;
export type Metric = (typeof METRICS)[number];

export interface Outcome extends Pick<ClassificationMetrics, 'accuracy' | 'macroF1'> {
  /** Nats a sample, of the probabilities at the best temperature. */
  readonly logLoss: number;
}

/** @param z n x c scores, row-major @param actual class indices */
export function judge(z: Float64Array, actual: ArrayLike<number>, c: number): Outcome {
  const { accuracy, macroF1 } = classificationMetrics(argmaxRows(z, c), actual, c);
  const probabilities = calibratedProbabilities(z, c, fitTemperature(z, actual));
  return { accuracy, macroF1, logLoss: logLoss(probabilities, actual, c) };
}

/** The value of a metric, in parts of 1, higher being better; log-loss counts in parts of guessing. */
export function valueOf({ accuracy, macroF1, logLoss: loss }: Outcome, metric: Metric, classes: number): number {
  const likelihood = 1 - loss / Math.log(classes);
  // A little of the likelihood tells apart what a few hundred samples cannot.
  if (metric === 'accuracy') return accuracy + 0.1 * likelihood;
  if (metric === 'macro-f1') return macroF1 + 0.05 * likelihood;
  return likelihood;
}
