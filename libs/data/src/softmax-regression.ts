import { at } from '@blindfit/base';
import { DatasetError } from './dataset-error.ts';
import type { Weights } from './evaluate.ts';
import { minimise } from './lbfgs.ts';

export interface SoftmaxOptions {
  /** Factor of the penalty; scikit-learn's 1 / C. @default 1 */
  readonly l2?: number | undefined;
  /** @default 200 */
  readonly maxIterations?: number | undefined;
}

/** Largest entry of the gradient, in parts of the number of samples, at which the fit is done. */
const TOLERANCE = 1e-6;

/**
 * Plain multinomial logistic regression in the clear: what the encrypted training is compared with. It minimises
 * l2/2 ||W||^2 - sum_i log softmax(W x_i)[y_i]; the bias is not penalised. The result depends on the input alone.
 * @param x n x (d + 1), row-major, with the bias column (`withBias`), of standardised features
 * @param actual n class indices
 * @param c number of classes
 * @returns weights: c rows of d + 1 numbers, the bias first
 * @throws DatasetError `bad-shape`, `bad-argument`, or `not-finite` if the arithmetic overflows
 */
export function softmaxRegression(
  x: Float64Array,
  actual: ArrayLike<number>,
  c: number,
  { l2 = 1, maxIterations = 200 }: SoftmaxOptions = {},
): Weights {
  const n = actual.length;
  if (n === 0 || x.length === 0 || x.length % n !== 0)
    throw new DatasetError('bad-shape', `${x.length} values do not make whole rows for ${n} labels`);
  for (let i = 0; i < n; i++) requireClass(at(actual, i, 'labels'), i, c);
  if (!(l2 >= 0 && l2 < Infinity)) throw new DatasetError('bad-argument', `l2 is ${l2}; it must be at least 0`);
  const width = x.length / n;
  const problem = new SoftmaxProblem(x, actual, c, l2);
  const weights = minimise(problem, { tolerance: TOLERANCE * n, maxIterations });
  if (!weights.every(Number.isFinite))
    throw new DatasetError('not-finite', 'softmax regression overflows; standardise the features');
  return Array.from({ length: c }, (_, k) => weights.subarray(k * width, (k + 1) * width));
}

function requireClass(label: number, sample: number, c: number): void {
  if (!Number.isSafeInteger(label) || label < 0 || label >= c)
    throw new DatasetError('bad-shape', `sample ${sample} has class ${label}; class indices must be 0 to ${c - 1}`);
}

/**
 * The loss along a line W + s P. The scores X (W + s P)^T are linear in s, so that a line search needs one product with
 * X and not one a trial.
 */
class SoftmaxProblem {
  readonly size: number;
  readonly #x: Float64Array;
  readonly #actual: ArrayLike<number>;
  readonly #n: number;
  readonly #c: number;
  readonly #width: number;
  readonly #l2: number;
  /** n x c: the scores of the current weights, of the direction, and the residuals p - y of the last trial. */
  readonly #scores: Float64Array;
  readonly #slopes: Float64Array;
  readonly #residuals: Float64Array;

  constructor(x: Float64Array, actual: ArrayLike<number>, c: number, l2: number) {
    this.#x = x;
    this.#actual = actual;
    this.#n = actual.length;
    this.#c = c;
    this.#width = x.length / actual.length;
    this.#l2 = l2;
    this.size = c * this.#width;
    this.#scores = new Float64Array(this.#n * c);
    this.#slopes = new Float64Array(this.#n * c);
    this.#residuals = new Float64Array(this.#n * c);
  }

  aim(direction: Float64Array): void {
    const [x, width, c, slopes] = [this.#x, this.#width, this.#c, this.#slopes];
    for (let i = 0; i < this.#n; i++) {
      const row = i * width;
      for (let k = 0; k < c; k++) {
        const start = k * width;
        let sum = 0;
        for (let j = 0; j < width; j++) sum += x[row + j]! * direction[start + j]!;
        slopes[i * c + k] = sum;
      }
    }
  }

  tryStep(step: number, weights: Float64Array, direction: Float64Array): { value: number; slope: number } {
    const [c, scores, slopes, residuals] = [this.#c, this.#scores, this.#slopes, this.#residuals];
    let [value, slope] = [0, 0];
    for (let start = 0, i = 0; i < this.#n; i++, start += c) {
      const label = start + this.#actual[i]!;
      let largest = -Infinity;
      for (let k = start; k < start + c; k++) {
        const z = scores[k]! + step * slopes[k]!;
        residuals[k] = z;
        if (z > largest) largest = z;
      }
      const own = residuals[label]! - largest;
      let sum = 0;
      for (let k = start; k < start + c; k++) {
        const part = Math.exp(residuals[k]! - largest);
        residuals[k] = part;
        sum += part;
      }
      value += Math.log(sum) - own;
      for (let k = start; k < start + c; k++) {
        residuals[k] = residuals[k]! / sum;
        slope += residuals[k]! * slopes[k]!;
      }
      residuals[label] = residuals[label]! - 1;
      slope -= slopes[label]!;
    }
    for (let j = 0; j < this.size; j++) {
      if (j % this.#width === 0) continue;
      const w = weights[j]! + step * direction[j]!;
      value += (this.#l2 / 2) * w * w;
      slope += this.#l2 * w * direction[j]!;
    }
    return { value, slope };
  }

  take(step: number): void {
    const [scores, slopes] = [this.#scores, this.#slopes];
    for (let k = 0; k < scores.length; k++) scores[k] = scores[k]! + step * slopes[k]!;
  }

  gradient(weights: Float64Array, into: Float64Array): void {
    const [x, width, c, residuals] = [this.#x, this.#width, this.#c, this.#residuals];
    for (let j = 0; j < this.size; j++) into[j] = j % width === 0 ? 0 : this.#l2 * weights[j]!;
    for (let i = 0; i < this.#n; i++) {
      const row = i * width;
      for (let k = 0; k < c; k++) {
        const residual = residuals[i * c + k]!;
        const start = k * width;
        for (let j = 0; j < width; j++) into[start + j] = into[start + j]! + residual * x[row + j]!;
      }
    }
  }
}
