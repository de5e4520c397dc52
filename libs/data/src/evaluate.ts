import { DatasetError } from './dataset-error.ts';

/** Weights W: c rows, one a class, of d + 1 numbers, the bias first. */
export type Weights = readonly ArrayLike<number>[];

/**
 * Linear scores z = X W^T, before the sigmoid.
 * @param weights c x (d + 1)
 * @param x n x (d + 1), row-major, with the bias column (`withBias`)
 * @returns n x c, row-major
 * @throws DatasetError `bad-shape`, or `not-finite` if a score overflows
 */
export function scores(weights: Weights, x: Float64Array): Float64Array {
  const c = weights.length;
  const width = weights[0]?.length;
  if (width === undefined || width === 0)
    throw new DatasetError('bad-shape', 'the weights need at least one class and one column');
  weights.forEach((row, k) => {
    if (row.length !== width)
      throw new DatasetError(
        'bad-shape',
        `the weights of class ${k} have ${row.length} columns, those of class 0 have ${width}`,
      );
  });
  if (x.length === 0 || x.length % width !== 0) {
    throw new DatasetError(
      'bad-shape',
      `${x.length} values do not make whole samples for weights of ${width} columns (bias included)`,
    );
  }
  const n = x.length / width;
  const z = new Float64Array(n * c);
  for (let i = 0; i < n; i++) {
    weights.forEach((row, k) => {
      let sum = 0;
      for (let j = 0; j < width; j++) sum += x[i * width + j]! * row[j]!;
      if (!Number.isFinite(sum)) {
        throw new DatasetError(
          'not-finite',
          `the score of sample ${i} for class ${k} is ${sum}; weights or features are not finite or far too large`,
        );
      }
      z[i * c + k] = sum;
    });
  }
  return z;
}

/**
 * Finds the class with the highest score for each sample; of equal scores the first class wins.
 * @param weights c x (d + 1)
 * @param x n x (d + 1), row-major, with the bias column
 * @returns n class indices
 * @throws DatasetError `bad-shape` or `not-finite`
 */
export function argmaxScores(weights: Weights, x: Float64Array): Int32Array {
  return argmaxRows(scores(weights, x), weights.length);
}

/**
 * Finds the column of the largest value of each row; of equal values the first wins.
 * @param z n x c, row-major
 * @returns n column indices
 */
export function argmaxRows(z: Float64Array, c: number): Int32Array {
  return Int32Array.from({ length: z.length / c }, (_, i) => {
    let best = 0;
    for (let k = 1; k < c; k++) if (z[i * c + k]! > z[i * c + best]!) best = k;
    return best;
  });
}

/**
 * Computes the probabilities of the classes: the sigmoids of the scores, normalised to a sum of 1, s(z_k) / sum_l
 * s(z_l). Training is one sigmoid a class, so these are the probabilities of one-vs-rest classifiers, not a softmax.
 * @param z n x c scores (`scores`), row-major
 * @returns n x c, row-major
 */
export function classProbabilities(z: Float64Array, c: number): Float64Array {
  // From the logarithms, log s(z) = -log(1 + e^-z), so that scores far below 0 do not become 0 / 0.
  const logs = z.map((score) => Math.min(score, 0) - Math.log1p(Math.exp(-Math.abs(score))));
  const probabilities = new Float64Array(z.length);
  for (let start = 0; start < z.length; start += c) {
    const row = logs.subarray(start, start + c);
    const largest = row.reduce((most, value) => Math.max(most, value), -Infinity);
    const parts = row.map((value) => Math.exp(value - largest));
    const sum = parts.reduce((total, part) => total + part, 0);
    parts.forEach((part, k) => (probabilities[start + k] = part / sum));
  }
  return probabilities;
}

/**
 * The fraction of samples whose predicted class is the actual one.
 * @throws DatasetError `bad-shape` unless both have the same length, at least 1
 */
export function accuracy(predicted: ArrayLike<number>, actual: ArrayLike<number>): number {
  requireSameLength(predicted, actual);
  let right = 0;
  for (let i = 0; i < actual.length; i++) if (predicted[i] === actual[i]) right++;
  return right / actual.length;
}

/**
 * Counts how often each class was predicted as which: entry [a][p] counts samples of class a predicted as p.
 * @param c number of classes
 * @returns c x c counts
 * @throws DatasetError `bad-shape`
 */
export function confusionMatrix(predicted: ArrayLike<number>, actual: ArrayLike<number>, c: number): number[][] {
  requireSameLength(predicted, actual);
  const matrix = Array.from({ length: c }, () => Array.from({ length: c }, () => 0));
  for (let i = 0; i < actual.length; i++) {
    const [a, p] = [actual[i]!, predicted[i]!];
    const row = matrix[a];
    if (row?.[p] === undefined) {
      throw new DatasetError('bad-shape', `sample ${i} has classes ${a} and ${p}; class indices must be 0 to ${c - 1}`);
    }
    row[p]++;
  }
  return matrix;
}

/**
 * Log-likelihood loss of c independent sigmoids, -sum_k [y log s(z) + (1 - y) log(1 - s(z))], averaged over samples, in
 * nats: c ln 2 for zero weights, 0 at best. This is what training minimises; softmax plays no part.
 * @param z n x c scores (`scores`), row-major
 * @param y n x c targets of 0 and 1 (`oneHot`), row-major
 * @param c number of classes
 * @throws DatasetError `bad-shape`
 */
export function logLikelihoodLoss(z: Float64Array, y: Float64Array, c: number): number {
  requireSameLength(z, y);
  if (!Number.isSafeInteger(c) || c < 1 || z.length % c !== 0) {
    throw new DatasetError('bad-shape', `${z.length} scores do not make whole rows of ${c} classes`);
  }
  let loss = 0;
  // log(1 + e^z) - y z, written so that no exponential can overflow.
  z.forEach((score, i) => (loss += Math.max(score, 0) + Math.log1p(Math.exp(-Math.abs(score))) - y[i]! * score));
  return loss / (z.length / c);
}

function requireSameLength(a: ArrayLike<number>, b: ArrayLike<number>): void {
  if (a.length !== b.length || a.length === 0) {
    throw new DatasetError('bad-shape', `lengths ${a.length} and ${b.length} must be equal and not 0`);
  }
}
