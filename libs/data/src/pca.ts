import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { DatasetError } from './dataset-error.ts';
import type { Dataset } from './dataset.ts';

/** Largest eigenvalue problem that is solved: about 20 s of one core, and wider than the usual CNN's last layer. */
const MAX_SIDE = 2048;

/**
 * The most components that {@link principalComponents} finds in n samples of d features; 0 where it would take too
 * long.
 */
export function maxComponents(n: number, d: number): number {
  return Math.min(n, d) > MAX_SIDE ? 0 : Math.min(n - 1, d);
}

/**
 * Computes the first k principal components of training data, the one of largest variance first.
 *
 * The rows are orthonormal; with `whiten` each is divided by its standard deviation (over n, not n - 1), so that the
 * projections of the training data have variance 1. A direction in which the data do not vary by more than `floor` of
 * their largest value is a row of zeros: there is nothing to scale up but rounding. The sign of a component, which the
 * mathematics leaves open, is that its largest entry is positive.
 *
 * Solves the smaller of two symmetric problems, the d x d covariance or the n x n Gram matrix: O(n d m + m^3), m =
 * min(n, d).
 *
 * @param mean d numbers, the means of the features
 * @param floor ratio below which a direction is dead
 * @returns k rows of d numbers
 * @throws DatasetError `bad-argument` for a k the data cannot give, `too-large`
 */
export function principalComponents(
  data: Dataset,
  mean: readonly number[],
  k: number,
  whiten: boolean,
  floor: number,
): number[][] {
  const { n, d } = data;
  const most = Math.min(n - 1, d);
  if (!Number.isSafeInteger(k) || k < 1 || k > most) {
    throw new DatasetError(
      'bad-argument',
      most < 1
        ? 'principal components need at least 2 training samples'
        : `${k} principal components asked of ${n} training samples of ${d} features; ` +
            `use a whole number from 1 to ${most}`,
    );
  }
  const side = Math.min(n, d);
  if (side > MAX_SIDE) {
    throw new DatasetError(
      'too-large',
      `principal components of ${n} samples of ${d} features would take minutes to hours; ` +
        `at most ${MAX_SIDE} features (or samples) are allowed, use standardize`,
    );
  }
  // All arithmetic is on values of at most 1 (2 when centred), so that no square leaves the range of a double.
  const unit = data.features.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0) || 1;
  const centred = new Float64Array(data.features.length);
  for (let i = 0; i < centred.length; i++) centred[i] = data.features[i]! / unit - mean[i % d]! / unit;
  const byFeature = d <= n;
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(
    byFeature ? covariance(centred, n, d) : gram(centred, n, d),
    { assumeSymmetric: true },
  );
  const order = realEigenvalues.map((_, index) => index).sort((a, b) => realEigenvalues[b]! - realEigenvalues[a]!);
  // The solver's own error in a deviation is 1e-7 of the largest one at worst.
  const dead = floor * Math.max(1, Math.sqrt(Math.max(0, realEigenvalues[order[0]!]!)));
  return order.slice(0, k).map((index) => {
    const deviation = Math.sqrt(Math.max(0, realEigenvalues[index]!));
    if (!(deviation > dead)) return new Array<number>(d).fill(0);
    const vector = eigenvectorMatrix.getColumn(index);
    const component = normalised(byFeature ? vector : combination(vector, centred, d));
    const factor = whiten ? 1 / deviation / unit : 1;
    return component.map((value) => {
      const scaled = value * factor;
      if (Number.isFinite(scaled)) return scaled;
      throw new DatasetError(
        'not-finite',
        'the features are too small to be whitened; use pca without whitening, or features in another unit',
      );
    });
  });
}

/** X^T X / n: d x d. */
function covariance(x: Float64Array, n: number, d: number): Matrix {
  const matrix = Matrix.zeros(d, d);
  const sums = new Float64Array(d * d);
  for (let i = 0; i < n; i++) {
    const row = x.subarray(i * d, (i + 1) * d);
    for (let a = 0; a < d; a++) {
      const value = row[a]! / n;
      if (value === 0) continue;
      for (let b = a; b < d; b++) sums[a * d + b] = sums[a * d + b]! + value * row[b]!;
    }
  }
  for (let a = 0; a < d; a++) {
    for (let b = a; b < d; b++) {
      matrix.set(a, b, sums[a * d + b]!);
      matrix.set(b, a, sums[a * d + b]!);
    }
  }
  return matrix;
}

/** X X^T / n: n x n, of the same eigenvalues. */
function gram(x: Float64Array, n: number, d: number): Matrix {
  const matrix = Matrix.zeros(n, n);
  for (let a = 0; a < n; a++) {
    for (let b = a; b < n; b++) {
      let sum = 0;
      for (let j = 0; j < d; j++) sum += x[a * d + j]! * x[b * d + j]!;
      matrix.set(a, b, sum / n);
      matrix.set(b, a, sum / n);
    }
  }
  return matrix;
}

/** X^T u: turns an eigenvector of the Gram matrix into one of the covariance. */
function combination(u: readonly number[], x: Float64Array, d: number): number[] {
  const sum = new Array<number>(d).fill(0);
  u.forEach((weight, i) => {
    for (let j = 0; j < d; j++) sum[j] = sum[j]! + weight * x[i * d + j]!;
  });
  return sum;
}

/** Scales a vector to length 1, with its largest entry positive. */
function normalised(vector: readonly number[]): number[] {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  const largest = vector.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0);
  const factor = (largest < 0 ? -1 : 1) / length;
  // + 0, because JSON has no -0 and the model must read as it was written.
  return vector.map((value) => value * factor + 0);
}
