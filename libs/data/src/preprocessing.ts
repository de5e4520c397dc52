import { DatasetError } from './dataset-error.ts';
import { createDataset, type Dataset, type LabelledDataset } from './dataset.ts';
import {
  degree2Features,
  expandDegree2,
  expandFourier,
  fourierFrequencies,
  MAX_EXPANDED,
  type FourierFeatures,
} from './expansion.ts';
import { isPlainObject, kindOf } from './json.ts';
import { principalComponents } from './pca.ts';
import {
  DEFAULT_BANDWIDTH,
  PREPROCESSING_SPELLINGS,
  spellingOf,
  type FourierChoice,
  type PreprocessingChoice,
  type StepChoice,
} from './preprocessing-choice.ts';
import { fitQuantiles, scoreAt, type QuantileCurve } from './quantile.ts';

/**
 * A fitted transformation, as stored in the model so that prediction repeats it. Feature j becomes
 * `none`: x; `center`: x - mean[j]; `standardize`: (x - mean[j]) * scale[j].
 * `scale` is 1/standard deviation, a factor and not a divisor, and 0 for a dead feature, which thus becomes 0.
 * `pca` replaces the d features by k: component i is the dot product of components[i] and x - mean. The rows of
 * `components` are orthonormal, or with `whiten` already divided by the standard deviation; a row of zeros is a dead
 * direction.
 * `quantile` replaces a feature by the normal score of its rank. `degree2` adds all products of two features, `fourier`
 * adds k cosines of random projections; `features` is the number of those they take.
 */
export type PreprocessingStep =
  | { readonly kind: 'none' }
  | { readonly kind: 'center'; readonly mean: readonly number[] }
  | { readonly kind: 'standardize'; readonly mean: readonly number[]; readonly scale: readonly number[] }
  | {
      readonly kind: 'pca';
      readonly whiten: boolean;
      readonly mean: readonly number[];
      readonly components: readonly (readonly number[])[];
    }
  | { readonly kind: 'quantile'; readonly curves: readonly QuantileCurve[] }
  | { readonly kind: 'degree2'; readonly features: number }
  | ({ readonly kind: 'fourier'; readonly features: number } & FourierFeatures);

/** Steps that are applied one after the other. */
export interface PreprocessingChain {
  readonly kind: 'chain';
  readonly steps: readonly PreprocessingStep[];
}

/** See {@link PreprocessingStep}. */
export type Preprocessing = PreprocessingStep | PreprocessingChain;

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
  return fitAndApply(choice, data).preprocessing;
}

/** Fits a preprocessing and applies it to the data that it is fitted to. @throws as {@link fitPreprocessing} */
export function fitAndApply(
  choice: PreprocessingChoice,
  data: Dataset,
): { readonly preprocessing: Preprocessing; readonly data: Dataset } {
  if (typeof choice === 'string' || choice.kind !== 'chain') {
    const step = fitStep(choice, data);
    return { preprocessing: step, data: applyStep(step, data) };
  }
  let current = data;
  const steps = choice.steps.map((part) => {
    const step = fitStep(part, current);
    current = applyStep(step, current);
    return step;
  });
  return { preprocessing: Object.freeze({ kind: 'chain', steps: Object.freeze(steps) }), data: current };
}

function fitStep(choice: StepChoice, data: Dataset): PreprocessingStep {
  switch (choice) {
    case 'none':
      return Object.freeze({ kind: choice });
    case 'center':
      return Object.freeze({ kind: choice, mean: Object.freeze(moments(data).mean) });
    case 'standardize': {
      const { mean, scale } = moments(data);
      return Object.freeze({ kind: choice, mean: Object.freeze(mean), scale: Object.freeze(scale) });
    }
    case 'quantile':
      return Object.freeze({ kind: choice, curves: Object.freeze(fitQuantiles(data)) });
    case 'degree2':
      requireExpanded(degree2Features(data.d), choice);
      return Object.freeze({ kind: choice, features: data.d });
    default:
      return fitComposite(choice, data);
  }
}

function fitComposite(choice: unknown, data: Dataset): PreprocessingStep {
  const kind = isPlainObject(choice) ? choice['kind'] : choice;
  if (!isPlainObject(choice) || (kind !== 'pca' && kind !== 'fourier')) {
    throw new DatasetError(
      'bad-argument',
      `unknown preprocessing ${kindOf(choice)}; use one of ${PREPROCESSING_SPELLINGS}`,
    );
  }
  const k = Number(choice['k']);
  if (kind === 'pca') return fitPca(k, choice['whiten'] === true, data);
  requireExpanded(data.d + k, kind);
  const { seed = 1, bandwidth = DEFAULT_BANDWIDTH } = choice as Partial<FourierChoice>;
  return Object.freeze({ kind, features: data.d, k, seed, bandwidth: bandwidth / Math.sqrt(data.d) });
}

function requireExpanded(features: number, kind: string): void {
  if (features <= MAX_EXPANDED) return;
  throw new DatasetError(
    'bad-argument',
    `${kind} would give ${features} features; at most ${MAX_EXPANDED} are allowed: put pca:K before it`,
  );
}

function fitPca(k: number, whiten: boolean, data: Dataset): PreprocessingStep {
  const { mean } = moments(data);
  const components = principalComponents(data, mean, k, whiten, DEAD_FEATURE_RATIO).map((row) => Object.freeze(row));
  return Object.freeze({ kind: 'pca', whiten, mean: Object.freeze(mean), components: Object.freeze(components) });
}

/** The number of raw features that a preprocessing takes; undefined if it takes any. */
export function inputFeatures(preprocessing: Preprocessing): number | undefined {
  switch (preprocessing.kind) {
    case 'none':
      return undefined;
    case 'chain':
      return preprocessing.steps.map(inputFeatures).find((features) => features !== undefined);
    case 'quantile':
      return preprocessing.curves.length;
    case 'degree2':
    case 'fourier':
      return preprocessing.features;
    default:
      return preprocessing.mean.length;
  }
}

/** The number of features that a preprocessing gives; undefined if it gives as many as it takes. */
export function outputFeatures(preprocessing: Preprocessing): number | undefined {
  switch (preprocessing.kind) {
    case 'chain':
      return preprocessing.steps.map(outputFeatures).findLast((features) => features !== undefined);
    case 'pca':
      return preprocessing.components.length;
    case 'degree2':
      return degree2Features(preprocessing.features);
    case 'fourier':
      return preprocessing.features + preprocessing.k;
    default:
      return inputFeatures(preprocessing);
  }
}

/** The kind as users spell it: `none`, `center`, `standardize`, `pca:50`, `quantile+pca:50:whiten`. */
export function preprocessingName(preprocessing: Preprocessing): string {
  switch (preprocessing.kind) {
    case 'chain':
      return preprocessing.steps.map(preprocessingName).join('+');
    case 'pca':
      return `pca:${preprocessing.components.length}${preprocessing.whiten ? ':whiten' : ''}`;
    case 'fourier': {
      const { k, seed, bandwidth, features } = preprocessing;
      // The spelling is without the number of features in it.
      const relative = Number((bandwidth * Math.sqrt(features)).toPrecision(12));
      return spellingOf({ kind: 'fourier', k, seed, bandwidth: relative });
    }
    default:
      return preprocessing.kind;
  }
}

/**
 * Applies a fitted preprocessing. The result has the labels of `data`, which stays unchanged.
 * @throws DatasetError `bad-shape` if it was fitted to another number of features, `not-finite` on overflow
 */
export function applyPreprocessing(preprocessing: Preprocessing, data: LabelledDataset): LabelledDataset;
export function applyPreprocessing(preprocessing: Preprocessing, data: Dataset): Dataset;
export function applyPreprocessing(preprocessing: Preprocessing, data: Dataset): Dataset {
  if (preprocessing.kind !== 'chain') return applyStep(preprocessing, data);
  return preprocessing.steps.reduce((current, step) => applyStep(step, current), data);
}

function applyStep(preprocessing: PreprocessingStep, data: Dataset): Dataset {
  const wanted = inputFeatures(preprocessing);
  if (wanted !== undefined && wanted !== data.d) {
    throw new DatasetError(
      'bad-shape',
      `the preprocessing was fitted to ${wanted} features and the data has ${data.d}; ` +
        'use data with the same features as the training',
    );
  }
  switch (preprocessing.kind) {
    case 'none':
      return data;
    case 'pca':
      return project(preprocessing.components, preprocessing.mean, data);
    case 'quantile':
      return mapRows(data, data.d, (row, out) =>
        preprocessing.curves.forEach((curve, j) => (out[j] = scoreAt(curve, row[j]!))),
      );
    case 'degree2':
      return mapRows(data, degree2Features(data.d), expandDegree2);
    case 'fourier': {
      const waves = fourierFrequencies(preprocessing, data.d);
      return mapRows(data, data.d + preprocessing.k, (row, out) => expandFourier(waves, row, out));
    }
    default:
      return scaled(preprocessing, data);
  }
}

/** A data set of k features from one of d, row by row. */
function mapRows(data: Dataset, k: number, fill: (row: Float64Array, out: Float64Array) => void): Dataset {
  const { features, n, d, labels } = data;
  const mapped = new Float64Array(n * k);
  for (let i = 0; i < n; i++) fill(features.subarray(i * d, (i + 1) * d), mapped.subarray(i * k, (i + 1) * k));
  return createDataset(mapped, k, labels);
}

function scaled(preprocessing: PreprocessingStep & { kind: 'center' | 'standardize' }, data: Dataset): Dataset {
  const { mean } = preprocessing;
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
