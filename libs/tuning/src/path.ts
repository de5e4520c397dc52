/**
 * The path of weights that a training takes, and what samples that it does not train on say of it. The recurrences are
 * those of the clear twin of `@blindfit/training`, for all classes of a sample at once: a search runs thousands of
 * iterations.
 */
import { at } from '@blindfit/base';
import {
  momentumCoefficients,
  momentumSchedule,
  quadraticGradientRow,
  type SigmoidPolynomial,
} from '@blindfit/training';

/** Preprocessed samples with the bias column. */
export interface Rows {
  /** n x d, row-major. */
  readonly x: Float64Array;
  readonly n: number;
  readonly d: number;
  /** Class indices by row. */
  readonly actual: Int32Array;
}

export interface PathRequest {
  readonly training: Rows;
  readonly heldOut: Rows;
  readonly classes: number;
  readonly learningRate: number;
  readonly sigmoid: SigmoidPolynomial;
  /** Iterations after which the held-out samples are asked, ascending. */
  readonly looks: readonly number[];
  /** Weights of the training rows, of mean 1. @default all equal */
  readonly rowWeights?: Float64Array | undefined;
  /** @default 0 */
  readonly decay?: number | undefined;
}

export interface Look {
  readonly iteration: number;
  /** Scores of the held-out samples: n x classes, row-major. */
  readonly scores: Float64Array;
  /** Largest |x . v| of training samples so far. */
  readonly maxLogit: number;
  /** Largest |weight| so far. */
  readonly maxWeight: number;
}

/** Trains from zero weights, and looks. Ends early where numbers leave all bounds. */
export function walk(request: PathRequest): Look[] {
  const { training, heldOut, classes: c, learningRate, sigmoid, looks, rowWeights, decay = 0 } = request;
  const { x, n, d, actual } = training;
  const iterations = at(looks, looks.length - 1, 'looks');
  const etas = momentumSchedule(iterations);
  const b = weightedRow(x, n, d, rowWeights);
  const w = new Float64Array(d * c);
  let v = new Float64Array(d * c);
  let m = new Float64Array(d * c);
  const gradient = new Float64Array(d * c);
  const z = new Float64Array(c);
  const found: Look[] = [];
  let [maxLogit, maxWeight] = [0, 0];
  const { odd } = sigmoid;
  for (let t = 1; t <= iterations; t++) {
    gradient.fill(0);
    for (let i = 0; i < n; i++) {
      const row = i * d;
      scoreRow(x, row, d, v, c, z);
      const weight = rowWeights === undefined ? 1 : rowWeights[i]!;
      for (let k = 0; k < c; k++) {
        const score = z[k]!;
        if (!(Math.abs(score) <= maxLogit)) maxLogit = Math.abs(score);
        const square = score * score;
        let sum = 0;
        for (let p = odd.length - 1; p >= 0; p--) sum = sum * square + odd[p]!;
        z[k] = weight * ((k === actual[i] ? 0.5 : -0.5) - sum * score);
      }
      for (let j = 0, position = 0; j < d; j++) {
        const value = x[row + j]!;
        for (let k = 0; k < c; k++, position++) gradient[position]! += value * z[k]!;
      }
    }
    const factor = learningRate * (1 + 1 / (n * t));
    const { newest, older } = momentumCoefficients(etas, t);
    const next = m;
    const before = v;
    for (let j = 0, position = 0; j < d; j++) {
      const step = factor * b[j]!;
      for (let k = 0; k < c; k++, position++) {
        const value = (1 - decay) * w[position]! + step * gradient[position]!;
        next[position] = value;
        const moved = newest * value + older * before[position]!;
        maxWeight = Math.max(maxWeight, Math.abs(value), Math.abs(moved));
        w[position] = moved;
      }
    }
    m = before;
    v = next;
    if (!(maxWeight < 1e6)) break;
    if (looks.includes(t)) found.push({ iteration: t, scores: scoresOf(heldOut, w, c), maxLogit, maxWeight });
  }
  return found;
}

function weightedRow(x: Float64Array, n: number, d: number, weights: Float64Array | undefined): Float64Array {
  if (weights === undefined) return quadraticGradientRow(x, n, d);
  // |w x_ij| |x_il| is w |x_ij| |x_il|: rows times the root of their weight.
  const rows = x.map((value, position) => value * Math.sqrt(weights[Math.floor(position / d)]!));
  return quadraticGradientRow(rows, n, d);
}

function scoreRow(x: Float64Array, row: number, d: number, w: Float64Array, c: number, z: Float64Array): void {
  z.fill(0);
  for (let j = 0, position = 0; j < d; j++) {
    const value = x[row + j]!;
    for (let k = 0; k < c; k++, position++) z[k]! += value * w[position]!;
  }
}

function scoresOf({ x, n, d }: Rows, w: Float64Array, c: number): Float64Array {
  const all = new Float64Array(n * c);
  for (let i = 0; i < n; i++) scoreRow(x, i * d, d, w, c, all.subarray(i * c, (i + 1) * c));
  return all;
}
