/** Preprocessing from a model file. */
import { DatasetError } from './dataset-error.ts';
import { MAX_EXPANDED } from './expansion.ts';
import { arrayOrKind, isPlainObject, kindOf } from './json.ts';
import { MAX_STEPS, PREPROCESSING_KINDS } from './preprocessing-choice.ts';
import { inputFeatures, outputFeatures, type Preprocessing, type PreprocessingStep } from './preprocessing.ts';
import type { QuantileCurve } from './quantile.ts';

/**
 * Validates a preprocessing read from JSON.
 * @throws DatasetError `bad-preprocessing`
 */
export function parsePreprocessing(value: unknown): Preprocessing {
  if (!isPlainObject(value)) throw bad(`must be an object such as {"kind":"none"}; it is ${kindOf(value)}`);
  if (value['kind'] !== 'chain') return parseStep(value);
  requireKeys(value, ['kind', 'steps']);
  const { steps } = value;
  if (!Array.isArray(steps) || steps.length === 0 || steps.length > MAX_STEPS)
    throw bad(`steps must be an array of 1 to ${MAX_STEPS} steps; it is ${arrayOrKind(steps)}`);
  const parsed = Array.from(steps as readonly unknown[], (step, i) => {
    if (!isPlainObject(step)) throw bad(`steps[${i}] must be an object such as {"kind":"none"}; it is ${kindOf(step)}`);
    return parseStep(step);
  });
  let features: number | undefined;
  for (const [i, step] of parsed.entries()) {
    const wanted = inputFeatures(step);
    if (features !== undefined && wanted !== undefined && wanted !== features)
      throw bad(`steps[${i}] takes ${wanted} features and the steps before it give ${features}`);
    features = outputFeatures(step) ?? features;
  }
  return Object.freeze({ kind: 'chain', steps: Object.freeze(parsed) });
}

function parseStep(value: Readonly<Record<string, unknown>>): PreprocessingStep {
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
    case 'quantile':
      requireKeys(value, ['kind', 'curves']);
      return Object.freeze({ kind, curves: curves(value['curves']) });
    case 'degree2':
      requireKeys(value, ['kind', 'features']);
      return Object.freeze({ kind, features: whole(value['features'], 'features', 1, MAX_EXPANDED) });
    case 'fourier': {
      requireKeys(value, ['kind', 'features', 'k', 'seed', 'bandwidth']);
      const bandwidth = value['bandwidth'];
      if (typeof bandwidth !== 'number' || !Number.isFinite(bandwidth) || bandwidth <= 0)
        throw bad(`bandwidth must be a positive number; it is ${kindOf(bandwidth)}`);
      return Object.freeze({
        kind,
        features: whole(value['features'], 'features', 1, MAX_EXPANDED),
        k: whole(value['k'], 'k', 1, MAX_EXPANDED),
        seed: whole(value['seed'], 'seed', 0, 2 ** 32 - 1),
        bandwidth,
      });
    }
    default:
      throw bad(`kind is ${kindOf(kind)}; allowed are ${PREPROCESSING_KINDS.join(', ')}`);
  }
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

function whole(value: unknown, name: string, least: number, most: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw bad(`${name} must be a whole number from ${least} to ${most}; it is ${kindOf(value)}`);
}

function curves(value: unknown): readonly QuantileCurve[] {
  if (!Array.isArray(value) || value.length === 0)
    throw bad(`curves must be an array, one per feature; it is ${arrayOrKind(value)}`);
  return Object.freeze(
    Array.from(value as readonly unknown[], (curve, j) => {
      if (!isPlainObject(curve)) throw bad(`curves[${j}] must be an object; it is ${kindOf(curve)}`);
      requireKeys(curve, ['x', 'y']);
      const [x, y] = [numbers(curve['x'], `curves[${j}].x`), numbers(curve['y'], `curves[${j}].y`)];
      if (x.length !== y.length || x.some((point, i) => i > 0 && !(point > x[i - 1]!)))
        throw bad(`curves[${j}] must have as many y as x, and x in ascending order`);
      return Object.freeze({ x, y });
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
