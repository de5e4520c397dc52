/** How good out-of-fold scores are: what a search compares. */

export const METRICS = ['accuracy', 'macro-f1', 'log-loss'] as const;
export type Metric = (typeof METRICS)[number];

export interface Outcome {
  /** Part of 1. */
  readonly accuracy: number;
  /** Mean of the classes' F1, part of 1. */
  readonly macroF1: number;
  /** Nats a sample, of softmax(temperature * z). */
  readonly logLoss: number;
  /** The factor of the scores with the least log-loss. */
  readonly temperature: number;
}

/** @param z n x c scores, row-major @param actual class indices */
export function judge(z: Float64Array, actual: ArrayLike<number>, c: number): Outcome {
  const n = actual.length;
  const hits = new Float64Array(c);
  const predicted = new Float64Array(c);
  const members = new Float64Array(c);
  for (let i = 0; i < n; i++) {
    let best = 0;
    for (let k = 1; k < c; k++) if (z[i * c + k]! > z[i * c + best]!) best = k;
    predicted[best]!++;
    members[actual[i]!]!++;
    if (best === actual[i]) hits[best]!++;
  }
  let f1 = 0;
  let present = 0;
  for (let k = 0; k < c; k++) {
    if (members[k] === 0) continue;
    present++;
    f1 += (2 * hits[k]!) / (members[k]! + predicted[k]!);
  }
  const temperature = bestTemperature(z, actual, c);
  return {
    accuracy: hits.reduce((sum, count) => sum + count, 0) / n,
    macroF1: f1 / present,
    logLoss: logLoss(z, actual, c, temperature),
    temperature,
  };
}

/** The value of a metric, in parts of 1, higher being better; log-loss counts in parts of guessing. */
export function valueOf({ accuracy, macroF1, logLoss }: Outcome, metric: Metric, classes: number): number {
  const likelihood = 1 - logLoss / Math.log(classes);
  // A little of the likelihood tells apart what a few hundred samples cannot.
  if (metric === 'accuracy') return accuracy + 0.1 * likelihood;
  if (metric === 'macro-f1') return macroF1 + 0.05 * likelihood;
  return likelihood;
}

/** Golden section over the logarithm of the factor. */
function bestTemperature(z: Float64Array, actual: ArrayLike<number>, c: number): number {
  const ratio = (Math.sqrt(5) - 1) / 2;
  let [low, high] = [Math.log(0.05), Math.log(100)];
  let [a, b] = [high - ratio * (high - low), low + ratio * (high - low)];
  let [atA, atB] = [logLoss(z, actual, c, Math.exp(a)), logLoss(z, actual, c, Math.exp(b))];
  for (let round = 0; round < 18; round++) {
    if (atA < atB) {
      [high, b, atB] = [b, a, atA];
      a = high - ratio * (high - low);
      atA = logLoss(z, actual, c, Math.exp(a));
    } else {
      [low, a, atA] = [a, b, atB];
      b = low + ratio * (high - low);
      atB = logLoss(z, actual, c, Math.exp(b));
    }
  }
  return Math.exp((low + high) / 2);
}

/** Nats a sample of softmax(temperature * z). */
export function logLoss(z: Float64Array, actual: ArrayLike<number>, c: number, temperature: number): number {
  let loss = 0;
  for (let i = 0; i < actual.length; i++) {
    let largest = -Infinity;
    for (let k = 0; k < c; k++) largest = Math.max(largest, z[i * c + k]!);
    let sum = 0;
    for (let k = 0; k < c; k++) sum += Math.exp(temperature * (z[i * c + k]! - largest));
    loss += Math.log(sum) - temperature * (z[i * c + actual[i]!]! - largest);
  }
  return loss / actual.length;
}
