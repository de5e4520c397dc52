/**
 * The clear twin of a whole training run: the method of docs/reference/encryption.md in plain matrices, iteration by
 * iteration.
 */
import { at } from '@blindfit/base';
import { batchOf, batchRange } from '../batches.ts';
import { batchSize, quadraticGradientRow, type Hyperparameters } from '../method.ts';
import { evaluateOdd } from '../sigmoid.ts';

export interface ClearTraining {
  /** W_T: classes x features. */
  readonly weights: readonly Float64Array[];
  /** W_t after every iteration t = 1 ... T, for reports. */
  readonly history: readonly (readonly Float64Array[])[];
  /** Largest |x . v| met, to compare with the sigmoid's range. */
  readonly maxLogit: number;
  /** Largest entry of any |M_t| or |W_t|, to compare with what the modulus can hold. */
  readonly maxWeight: number;
}

export interface ClearOptions {
  /** How much each sample counts in gradients and their denominators, of mean 1. @default 1 each */
  readonly rowWeights?: Float64Array | undefined;
}

/**
 * Trains in the clear.
 * @param x samples x features, row-major, bias column included
 * @param labels by class, one 0 or 1 per sample
 */
export function trainClear(
  x: Float64Array,
  samples: number,
  features: number,
  labels: readonly Float64Array[],
  hyperparameters: Hyperparameters,
  { rowWeights }: ClearOptions = {},
): ClearTraining {
  const { iterations, learningRate, initialWeight, sigmoid, decay = 0 } = hyperparameters;
  const size = batchSize(hyperparameters, samples);
  const batches = Array.from({ length: Math.ceil(samples / size) }, (_, batch) => {
    const { from, to } = batchRange(samples, size, batch);
    const weights = rowWeights?.subarray(from, to);
    const b = quadraticGradientRow(x.subarray(from * features, to * features), to - from, features, weights);
    return { from, to, b };
  });
  let w = labels.map(() => new Float64Array(features).fill(initialWeight));
  let v = w;
  const history: Float64Array[][] = [];
  let maxLogit = 0;
  let maxWeight = Math.abs(initialWeight);
  let a0 = 0.01;
  for (let t = 1; t <= iterations; t++) {
    const a1 = (1 + Math.sqrt(1 + 4 * a0 * a0)) / 2;
    const eta = (1 - a0) / a1;
    const factor = learningRate * (1 + 1 / (size * t));
    const { from, to, b } = at(batches, batchOf(batches.length, hyperparameters, t), 'batches');
    const m = labels.map((y, k) => {
      const gradient = new Float64Array(features);
      const row = v[k]!;
      for (let i = from; i < to; i++) {
        const place = i * features;
        let z = 0;
        for (let j = 0; j < features; j++) z += x[place + j]! * row[j]!;
        maxLogit = Math.max(maxLogit, Math.abs(z));
        let error = y[i]! - (0.5 + evaluateOdd(sigmoid, z));
        if (rowWeights !== undefined) error *= rowWeights[i]!;
        for (let j = 0; j < features; j++) gradient[j]! += error * x[place + j]!;
      }
      const before = w[k]!;
      return gradient.map((g, j) => (1 - decay) * before[j]! + factor * b[j]! * g);
    });
    w = m.map((row, k) => row.map((value, j) => (1 - eta) * value + eta * v[k]![j]!));
    v = m;
    history.push(w);
    for (const row of [...m, ...w]) for (const value of row) maxWeight = Math.max(maxWeight, Math.abs(value));
    a0 = a1;
  }
  return { weights: w, history, maxLogit, maxWeight };
}
