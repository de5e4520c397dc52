import { at } from '@blindfit/base';
import { DatasetError } from './dataset-error.ts';
import { LIMITS, type DataLimits } from './limits.ts';

/**
 * Samples in the clear. Immutable by contract: nothing in this package writes to `features` after construction,
 * and callers must not either (JavaScript cannot freeze a typed array).
 */
export interface Dataset {
  /** n x d finite numbers, row-major: sample i, feature j at `i * d + j`. */
  readonly features: Float64Array;
  /** One label per row, or undefined for unlabelled samples. */
  readonly labels: readonly string[] | undefined;
  /** Number of samples (rows), at least 1. */
  readonly n: number;
  /** Number of features (columns, without bias), at least 1. */
  readonly d: number;
}

/** A dataset whose every row has a label. */
export interface LabelledDataset extends Dataset {
  readonly labels: readonly string[];
}

/**
 * Checks and freezes a dataset. It keeps `features` without copying.
 * @param features n x d numbers, row-major
 * @param d number of features per sample
 * @param labels one per row
 * @throws DatasetError `empty`, `bad-shape`, `too-large` or `not-finite`
 */
export function createDataset(
  features: Float64Array,
  d: number,
  labels: readonly string[],
  limits?: DataLimits,
): LabelledDataset;
export function createDataset(
  features: Float64Array,
  d: number,
  labels?: readonly string[],
  limits?: DataLimits,
): Dataset;
export function createDataset(
  features: Float64Array,
  d: number,
  labels?: readonly string[],
  limits: DataLimits = LIMITS,
): Dataset {
  if (!Number.isSafeInteger(d) || d < 1) {
    throw new DatasetError('bad-shape', `a dataset needs a whole number of features, at least 1; got ${d}`);
  }
  if (features.length === 0) throw new DatasetError('empty', 'a dataset needs at least one sample');
  if (features.length > limits.values) {
    throw new DatasetError('too-large', `a dataset may hold ${limits.values} values, this one has ${features.length}`);
  }
  if (features.length % d !== 0) {
    throw new DatasetError('bad-shape', `${features.length} values do not make whole rows of ${d} features`);
  }
  const n = features.length / d;
  if (n > limits.samples)
    throw new DatasetError('too-large', `a dataset may hold ${limits.samples} samples, this one has ${n}`);
  const bad = features.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    throw new DatasetError(
      'not-finite',
      `sample ${Math.floor(bad / d)}, feature ${bad % d} (counted from 0) is ${String(features[bad])}; ` +
        'features must be finite numbers',
    );
  }
  if (labels !== undefined && labels.length !== n) {
    throw new DatasetError('bad-shape', `${n} samples but ${labels.length} labels; there must be one label per sample`);
  }
  return Object.freeze({ features, labels: labels === undefined ? undefined : Object.freeze([...labels]), n, d });
}

/**
 * Labels the samples; features are shared, not copied.
 * @throws DatasetError `bad-shape` unless there is one label per sample
 */
export function withLabels(data: Dataset, labels: readonly string[]): LabelledDataset {
  return createDataset(data.features, data.d, labels);
}

/** Some samples, in the order of their rows, with their labels where there are any. */
export function samplesAt(data: LabelledDataset, rows: ArrayLike<number> & Iterable<number>): LabelledDataset;
export function samplesAt(data: Dataset, rows: ArrayLike<number> & Iterable<number>): Dataset;
export function samplesAt({ features, d, labels }: Dataset, rows: ArrayLike<number> & Iterable<number>): Dataset {
  const wanted = Array.from(rows);
  const values = rowsOf(features, d, wanted);
  return createDataset(values, d, labels === undefined ? undefined : wanted.map((row) => at(labels, row, 'labels')));
}

/** Some rows of a matrix of d columns, row-major. */
export function rowsOf(matrix: Float64Array, d: number, rows: readonly number[]): Float64Array {
  const values = new Float64Array(rows.length * d);
  rows.forEach((row, i) => values.set(matrix.subarray(row * d, (row + 1) * d), i * d));
  return values;
}
