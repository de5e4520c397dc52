import { createDataset, type Dataset, type LabelledDataset } from './dataset.ts';
import { DatasetError } from './dataset-error.ts';
import { isPlainObject, kindOf } from './json.ts';

/** What may be done to features in the clear before they are encrypted. */
export const PREPROCESSING_KINDS = ['none', 'center', 'standardize'] as const;

/** See {@link PREPROCESSING_KINDS}. */
export type PreprocessingKind = (typeof PREPROCESSING_KINDS)[number];

/**
 * A fitted transformation, as stored in the model so that prediction repeats it. Feature j becomes
 * `none`: x; `center`: x - mean[j]; `standardize`: (x - mean[j]) * scale[j].
 * `scale` is 1/standard deviation, a factor and not a divisor, and 0 for a dead feature, which thus becomes 0.
 */
export type Preprocessing =
  | { readonly kind: 'none' }
  | { readonly kind: 'center'; readonly mean: readonly number[] }
  | { readonly kind: 'standardize'; readonly mean: readonly number[]; readonly scale: readonly number[] };

/**
 * A feature is dead if its standard deviation is at most this part of its largest absolute value. Real features carry
 * float32 rounding (6e-8 relative): what varies less than some of those is constant, and scaling it up to unit
 * variance would train on noise. Relative, so that the unit of a feature does not matter.
 */
export const DEAD_FEATURE_RATIO = 1e-6;

/**
 * Fits a preprocessing to training data. `standardize` divides by the population standard deviation (over n, not n - 1).
 * @param kind one of {@link PREPROCESSING_KINDS}
 * @throws DatasetError `bad-argument` for an unknown kind
 */
export function fitPreprocessing(kind: PreprocessingKind, data: Dataset): Preprocessing {
  switch (kind) {
    case 'none':
      return Object.freeze({ kind });
    case 'center':
      return Object.freeze({ kind, mean: Object.freeze(moments(data).mean) });
    case 'standardize': {
      const { mean, scale } = moments(data);
      return Object.freeze({ kind, mean: Object.freeze(mean), scale: Object.freeze(scale) });
    }
    default:
      throw new DatasetError('bad-argument', `unknown preprocessing ${kindOf(kind)}; use one of ${PREPROCESSING_KINDS.join(', ')}`);
  }
}

/**
 * Applies a fitted preprocessing; labels are kept, `data` is left as it is.
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
      `the preprocessing was fitted to ${mean.length} features and the data has ${data.d}; use data with the same features as the training`,
    );
  }
  const scale = preprocessing.kind === 'standardize' ? preprocessing.scale : undefined;
  const features = new Float64Array(data.features.length);
  for (let i = 0, at = 0; i < data.n; i++) {
    for (let j = 0; j < data.d; j++, at++) {
      const factor = scale?.[j] ?? 1;
      // A dead feature is 0 whatever its value: without the test an overflowing difference times 0 would be NaN.
      features[at] = factor === 0 ? 0 : ((data.features[at] ?? 0) - (mean[j] ?? 0)) * factor;
    }
  }
  return createDataset(features, data.d, data.labels);
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
      if (negative >= 0) throw bad(`scale[${negative}] is ${String(scale[negative])}; a scale must be 0 (a dead feature) or positive`);
      return Object.freeze({ kind, mean, scale });
    }
    default:
      throw bad(`kind is ${kindOf(kind)}; allowed are ${PREPROCESSING_KINDS.join(', ')}`);
  }
}

/** Per feature: mean, and 1/std or 0 if dead. Works on x / max|x|, so that no sum or square leaves the range of a double. */
function moments(data: Dataset): { mean: number[]; scale: number[] } {
  const { features, n, d } = data;
  const mean: number[] = [];
  const scale: number[] = [];
  for (let j = 0; j < d; j++) {
    let largest = 0;
    for (let at = j; at < features.length; at += d) largest = Math.max(largest, Math.abs(features[at] ?? 0));
    // A feature that is 0 everywhere: 0/1 instead of 0/0.
    const unit = largest === 0 ? 1 : largest;
    let sum = 0;
    for (let at = j; at < features.length; at += d) sum += (features[at] ?? 0) / unit;
    const centre = sum / n;
    let squares = 0;
    for (let at = j; at < features.length; at += d) squares += ((features[at] ?? 0) / unit - centre) ** 2;
    const deviation = Math.sqrt(squares / n);
    const factor = 1 / deviation / unit;
    mean.push(centre * unit);
    scale.push(deviation > DEAD_FEATURE_RATIO && Number.isFinite(factor) ? factor : 0);
  }
  return { mean, scale };
}

function numbers(value: unknown, name: string): readonly number[] {
  if (!Array.isArray(value) || value.length === 0) throw bad(`${name} must be an array of numbers, one per feature; it is ${Array.isArray(value) ? 'empty' : kindOf(value)}`);
  return Object.freeze(
    Array.from(value as readonly unknown[], (item, j) => {
      if (typeof item !== 'number' || !Number.isFinite(item)) throw bad(`${name}[${j}] must be a finite number; it is ${kindOf(item)}`);
      return item;
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
