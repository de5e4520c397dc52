import { at } from '@blindfit/base';
import { DatasetError } from './dataset-error.ts';

/** Smallest and largest temperature that is fitted. */
export const TEMPERATURE_RANGE = [1e-4, 1e4] as const;

const MAX_STEPS = 200;
const ACCURACY = 1e-12;

/**
 * Fits the temperature T with which softmax(z / T) has the least log-loss (Guo et al., On Calibration of Modern Neural
 * Networks, 2017). Besides the samples there is one more of average scores whose class is unknown: without it, scores
 * that are all right would ask for certainty, as in Platt's targets. The order of the classes stays.
 * @param z n x c scores of samples that the weights were not fitted to, row-major
 * @param actual n class indices
 * @returns a number within {@link TEMPERATURE_RANGE}; scores that say nothing give its upper end
 * @throws DatasetError `bad-shape`
 */
export function fitTemperature(z: Float64Array, actual: ArrayLike<number>): number {
  const n = actual.length;
  const c = z.length / n;
  if (n === 0 || !Number.isSafeInteger(c) || c < 2)
    throw new DatasetError('bad-shape', `${z.length} scores do not make whole rows for ${n} labels`);
  // The loss is convex in the factor 1 / T, so its derivative has at most one zero.
  let known = 0;
  for (let i = 0; i < n; i++) {
    const label = at(actual, i, 'labels');
    if (!Number.isSafeInteger(label) || label < 0 || label >= c)
      throw new DatasetError('bad-shape', `sample ${i} has class ${label}; class indices must be 0 to ${c - 1}`);
    known += z[i * c + label]!;
  }
  const average = z.reduce((sum, score) => sum + score / c, 0) / n;
  const slopes = (factor: number): { first: number; second: number } => {
    const { mean, variance } = moments(z, c, factor);
    return { first: mean * (1 + 1 / n) - known - average, second: variance * (1 + 1 / n) };
  };
  let [low, high] = [1 / TEMPERATURE_RANGE[1], 1 / TEMPERATURE_RANGE[0]];
  // The derivative by the factor rises with it: without a zero in between, an end is best.
  if (slopes(low).first >= 0) return TEMPERATURE_RANGE[1];
  if (slopes(high).first <= 0) return TEMPERATURE_RANGE[0];
  let factor = 1;
  for (let step = 0; step < MAX_STEPS && high - low > ACCURACY * high; step++) {
    const { first, second } = slopes(factor);
    if (first > 0) high = factor;
    else low = factor;
    const newton = factor - first / second;
    const next = newton > low && newton < high ? newton : Math.sqrt(low * high);
    const moved = Math.abs(next - factor);
    factor = next;
    if (moved <= ACCURACY * factor) break;
  }
  return 1 / factor;
}

/**
 * The probabilities softmax(z / temperature) of each row.
 * @param z n x c scores (`scores`), row-major
 * @returns n x c, row-major
 */
export function calibratedProbabilities(z: Float64Array, c: number, temperature: number): Float64Array {
  const probabilities = new Float64Array(z.length);
  for (let start = 0; start < z.length; start += c) softmax(z, start, c, 1 / temperature, probabilities);
  return probabilities;
}

/** Sums over the rows of the mean and the variance of the scores under softmax(factor z). */
function moments(z: Float64Array, c: number, factor: number): { mean: number; variance: number } {
  const row = new Float64Array(z.length);
  let [total, variance] = [0, 0];
  for (let start = 0; start < z.length; start += c) {
    softmax(z, start, c, factor, row);
    let mean = 0;
    for (let k = start; k < start + c; k++) mean += row[k]! * z[k]!;
    for (let k = start; k < start + c; k++) variance += row[k]! * (z[k]! - mean) ** 2;
    total += mean;
  }
  return { mean: total, variance };
}

/** softmax(factor z) of the row that begins at `start`. */
function softmax(z: Float64Array, start: number, c: number, factor: number, into: Float64Array): void {
  let largest = -Infinity;
  for (let k = start; k < start + c; k++) largest = Math.max(largest, factor * z[k]!);
  let sum = 0;
  for (let k = start; k < start + c; k++) {
    into[k] = Math.exp(factor * z[k]! - largest);
    sum += into[k]!;
  }
  for (let k = start; k < start + c; k++) into[k] = into[k]! / sum;
}
