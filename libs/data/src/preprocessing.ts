import { DatasetError } from './dataset-error.ts';
import { createDataset, type Dataset, type LabelledDataset } from './dataset.ts';
import { arrayOrKind, isPlainObject, kindOf } from './json.ts';
import { principalComponents } from './pca.ts';
import { PREPROCESSING_KINDS, PREPROCESSING_SPELLINGS, type PreprocessingChoice } from './preprocessing-choice.ts';

/**
 * A fitted transformation, as stored in the model so that prediction repeats it. Feature j becomes
 * `none`: x; `center`: x - mean[j]; `standardize`: (x - mean[j]) * scale[j].
 * `scale` is 1/standard deviation, a factor and not a divisor, and 0 for a dead feature, which thus becomes 0.
 * `pca` replaces the d features by k: component i is the dot product of components[i] and x - mean. The rows of
 * `components` are orthonormal, or with `whiten` already divided by the standard deviation; a row of zeros is a dead
 * direction.
 */
export type Preprocessing =
  | { readonly kind: 'none' }
  | { readonly kind: 'center'; readonly mean: readonly number[] }
  | { readonly kind: 'standardize'; readonly mean: readonly number[]; readonly scale: readonly number[] }
  | {
      readonly kind: 'pca';
      readonly whiten: boolean;
      readonly mean: readonly number[];
      readonly components: readonly (readonly number[])[];
    };

/**
 * A feature is dead if its standard deviation is at most this part of its largest absolute value. Real features carry
 * float32 rounding (6e-8 relative): what varies less than some of those is constant, and scaling it up to unit
 * variance would train on noise. Relative, so that the unit of a feature does not matter.
 */
export const DEAD_FEATURE_RATIO = 1e-6;

/**
 * Fits a preprocessing to training data. `standardize` divides by the population standard deviation (over n, not n -
 * 1).
 * @param choice e.g. `'standardize'` or `{ kind: 'pca', k: 50, whiten: true }`; text is read by
 * `parsePreprocessingKind`
 * @throws DatasetError `bad-argument` for an unknown kind or a number of components that the data cannot give
 */
export function fitPreprocessing(choice: PreprocessingChoice, data: Dataset): Preprocessing {
  switch (choice) {
    case 'none':
      return Object.freeze({ kind: choice });
    case 'center':
      return Object.freeze({ kind: choice, mean: Object.freeze(moments(data).mean) });
    case 'standardize': {
      const { mean, scale } = moments(data);
      return Object.freeze({ kind: choice, mean: Object.freeze(mean), scale: Object.freeze(scale) });
    }
    default:
      return fitPca(choice, data);
  }
}

function fitPca(choice: unknown, data: Dataset): Preprocessing {
  if (!isPlainObject(choice) || choice['kind'] !== 'pca') {
    throw new DatasetError(
      'bad-argument',
      `unknown preprocessing ${kindOf(choice)}; use one of ${PREPROCESSING_SPELLINGS}`,
    );
  }
  const whiten = choice['whiten'] === true;
  const { mean } = moments(data);
  const components = principalComponents(data, mean, Number(choice['k']), whiten, DEAD_FEATURE_RATIO).map((row) =>
    Object.freeze(row),
  );
  return Object.freeze({ kind: 'pca', whiten, mean: Object.freeze(mean), components: Object.freeze(components) });
}

/** The number of raw features that a preprocessing takes; undefined if it takes any. */
export function inputFeatures(preprocessing: Preprocessing): number | undefined {
  return preprocessing.kind === 'none' ? undefined : preprocessing.mean.length;
}

/** The number of features that a preprocessing gives; undefined if it gives as many as it takes. */
export function outputFeatures(preprocessing: Preprocessing): number | undefined {
  return preprocessing.kind === 'pca' ? preprocessing.components.length : inputFeatures(preprocessing);
}

/** The spelling of users: `none`, `center`, `standardize`, `pca:50`, `pca:50:whiten`. */
export function preprocessingName(preprocessing: Preprocessing): string {
  const { kind } = preprocessing;
  return kind === 'pca' ? `pca:${preprocessing.components.length}${preprocessing.whiten ? ':whiten' : ''}` : kind;
}

/**
 * Applies a fitted preprocessing. The result has the labels of `data`, which stays unchanged.
 * @throws DatasetError `bad-shape` if it was fitted to another number of features, `not-finite` on overflow
 */
export function applyPreprocessing(preprocessing: Preprocessing, data: LabelledDataset): LabelledDataset;
export function applyPreprocessing(preprocessing: Preprocessing, data: Dataset): Dataset;
export function applyPreprocessing(preprocessing: Preprocessing, data: Dataset): Dataset {
  if (preprocessing.kind === 'none') return data;
  const { mean } = preprocessing;
  if (mean.length !== data.d) {
    throw new DatasetError(
      'bad-shape',
      `the preprocessing was fitted to ${mean.length} features and the data has ${data.d}; ` +
        'use data with the same features as the training',
    );
  }
  if (preprocessing.kind === 'pca') return project(preprocessing.components, mean, data);
  const scale = preprocessing.kind === 'standardize' ? preprocessing.scale : undefined;
  const features = new Float64Array(data.features.length);
  for (let i = 0, position = 0; i < data.n; i++) {
    for (let j = 0; j < data.d; j++, position++) {
      const factor = scale === undefined ? 1 : scale[j]!;
      // A dead feature is 0 whatever its value: without the test an overflowing difference times 0 would be NaN.
      features[position] = factor === 0 ? 0 : (data.features[position]! - mean[j]!) * factor;
    }
  }
  return createDataset(features, data.d, data.labels);
}

function project(components: readonly (readonly number[])[], mean: readonly number[], data: Dataset): Dataset {
  const { features, n, d, labels } = data;
  const k = components.length;
  const projected = new Float64Array(n * k);
  const centred = new Float64Array(d);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < d; j++) centred[j] = features[i * d + j]! - mean[j]!;
    components.forEach((row, component) => {
      let sum = 0;
      // A row of zeros gives 0 whatever the values, as in `applyPreprocessing`.
      for (let j = 0; j < d; j++) if (row[j] !== 0) sum += row[j]! * centred[j]!;
      projected[i * k + component] = sum;
    });
  }
  return createDataset(projected, k, labels);
}

/**
 * Validates a preprocessing read from JSON.
 * @throws DatasetError `bad-preprocessing`
 */
export function parsePreprocessing(value: unknown): Preprocessing {
  if (!isPlainObject(value)) throw bad(`must be an object such as {"kind":"none"}; it is ${kindOf(value)}`);
  const { kind } = value;
  switch (kind) {
    case 'none':
      requireKeys(value, ['kind']);
      return Object.freeze({ kind });
    case 'center':
      requireKeys(value, ['kind', 'mean']);
      return Object.freeze({ kind, mean: numbers(value['mean'], 'mean') });
    case 'standardize': {
      requireKeys(value, ['kind', 'mean', 'scale']);
      const mean = numbers(value['mean'], 'mean');
      const scale = numbers(value['scale'], 'scale');
      if (mean.length !== scale.length) {
        throw bad(`has ${mean.length} means and ${scale.length} scales; there must be one of each per feature`);
      }
      const negative = scale.findIndex((factor) => factor < 0);
      if (negative >= 0)
        throw bad(`scale[${negative}] is ${String(scale[negative])}; a scale must be 0 (a dead feature) or positive`);
      return Object.freeze({ kind, mean, scale });
    }
    case 'pca': {
      requireKeys(value, ['kind', 'whiten', 'mean', 'components']);
      const { whiten } = value;
      if (typeof whiten !== 'boolean') throw bad(`whiten must be true or false; it is ${kindOf(whiten)}`);
      const mean = numbers(value['mean'], 'mean');
      return Object.freeze({ kind, whiten, mean, components: componentRows(value['components'], mean.length) });
    }
    default:
      throw bad(`kind is ${kindOf(kind)}; allowed are ${PREPROCESSING_KINDS.join(', ')}`);
  }
}

/**
 * Computes mean and 1/std (0 if dead) of each feature. It works on x / max|x|, so that no sum or square leaves the
 * range of a double.
 */
function moments(data: Dataset): { mean: number[]; scale: number[] } {
  const { features, n, d } = data;
  const mean: number[] = [];
  const scale: number[] = [];
  for (let j = 0; j < d; j++) {
    let largest = 0;
    for (let i = j; i < features.length; i += d) largest = Math.max(largest, Math.abs(features[i]!));
    // A feature that is 0 everywhere: 0/1 instead of 0/0.
    const unit = largest === 0 ? 1 : largest;
    let sum = 0;
    for (let i = j; i < features.length; i += d) sum += features[i]! / unit;
    const centre = sum / n;
    let squares = 0;
    for (let i = j; i < features.length; i += d) squares += (features[i]! / unit - centre) ** 2;
    const deviation = Math.sqrt(squares / n);
    const factor = 1 / deviation / unit;
    mean.push(centre * unit);
    scale.push(deviation > DEAD_FEATURE_RATIO && Number.isFinite(factor) ? factor : 0);
  }
  return { mean, scale };
}

function numbers(value: unknown, name: string): readonly number[] {
  if (!Array.isArray(value) || value.length === 0)
    throw bad(
      `${name} must be an array of numbers, one per feature; it is ${Array.isArray(value) ? 'empty' : kindOf(value)}`,
    );
  return Object.freeze(
    Array.from(value as readonly unknown[], (item, j) => {
      if (typeof item !== 'number' || !Number.isFinite(item))
        throw bad(`${name}[${j}] must be a finite number; it is ${kindOf(item)}`);
      return item;
    }),
  );
}

function componentRows(value: unknown, d: number): readonly (readonly number[])[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > d) {
    throw bad(`components must be an array of 1 to ${d} rows for ${d} features; it is ${arrayOrKind(value)}`);
  }
  return Object.freeze(
    Array.from(value as readonly unknown[], (item, i) => {
      const row = numbers(item, `components[${i}]`);
      if (row.length !== d)
        throw bad(`components[${i}] has ${row.length} numbers and there are ${d} means; there must be one per feature`);
      return row;
    }),
  );
}

function requireKeys(value: Readonly<Record<string, unknown>>, allowed: readonly string[]): void {
  const unknown = Object.keys(value).filter((key) => !allowed.includes(key));
  if (unknown.length > 0) throw bad(`has the unknown key ${kindOf(unknown[0])}; allowed are ${allowed.join(', ')}`);
}

function bad(message: string): DatasetError {
  return new DatasetError('bad-preprocessing', `preprocessing ${message}`);
}
