/**
 * The training method's constants, which are public: learning rate and momentum schedules
 * (docs/reference/encryption.md, "The method"; paper, sections 3.2 and 4). Both the circuits and their clear twin take
 * them from here, except that the twin in `reference/train.ts` iterates the recurrences in its own words.
 */
import { ParameterError } from '@blindfit/he';
import { PAPER_SIGMOID, type SigmoidPolynomial } from './sigmoid.ts';

export interface Hyperparameters {
  readonly iterations: number;
  /** Multiplies 1 + gamma_t. */
  readonly learningRate: number;
  /** Every entry of V_0 = W_0. */
  readonly initialWeight: number;
  readonly sigmoid: SigmoidPolynomial;
  /**
   * Weight decay, from 0 to below 1: M_t = (1 - decay) W_{t-1} + the step. All columns decay, that of the bias as well.
   * @default 0
   */
  readonly decay?: number;
  /** Mini-batches of so many samples; every iteration learns from one. @default all samples at once */
  readonly batch?: { readonly size: number; readonly seed: number };
}

/** Samples an iteration learns from. */
export function batchSize({ batch }: Pick<Hyperparameters, 'batch'>, samples: number): number {
  return Math.min(samples, batch?.size ?? samples);
}

export const DEFAULT_HYPERPARAMETERS: Hyperparameters = Object.freeze({
  iterations: 2,
  learningRate: 1,
  initialWeight: 0,
  sigmoid: PAPER_SIGMOID,
});

/** The paper's run: constant start, two iterations. */
export const PAPER_HYPERPARAMETERS: Hyperparameters = Object.freeze({
  ...DEFAULT_HYPERPARAMETERS,
  initialWeight: 0.0128,
});

/** epsilon in the quadratic gradient's denominator. */
export const QUADRATIC_GRADIENT_EPSILON = 1e-8;

/** (1 + gamma_t) * learning rate with gamma_t = 1 / (n t), t = 1, 2, ... @param samples of a batch */
export function stepFactor(hyperparameters: Hyperparameters, samples: number, iteration: number): number {
  return hyperparameters.learningRate * (1 + 1 / (samples * iteration));
}

/**
 * eta_1 ... eta_T of the enhanced Nesterov momentum: a_0 = 0.01, a_{t} = (1 + sqrt(1 + 4 a_{t-1}^2)) / 2, eta = (1 -
 * a_{t-1}) / a_t.
 */
export function momentumSchedule(iterations: number): number[] {
  const etas: number[] = [];
  let previous = 0.01;
  for (let t = 0; t < iterations; t++) {
    const next = (1 + Math.sqrt(1 + 4 * previous * previous)) / 2;
    etas.push((1 - previous) / next);
    previous = next;
  }
  return etas;
}

/** W_t = newest * M_t + older * M_{t-1}, where M_0 is the start. t from 1. */
export function momentumCoefficients(etas: readonly number[], t: number): { newest: number; older: number } {
  const eta = etas[t - 1];
  if (eta === undefined) throw new ParameterError(`no momentum for iteration ${t}`, `1 to ${etas.length}`);
  return { newest: 1 - eta, older: eta };
}

/**
 * The quadratic gradient's row b_j = 1 / (eps + 0.25 sum_i w_i |x_ij| sum_l |x_il|), the same for every class.
 * @param x samples x features
 * @param rowWeights w @default 1 for every sample
 */
export function quadraticGradientRow(
  x: Float64Array,
  samples: number,
  features: number,
  rowWeights?: Float64Array,
): Float64Array {
  const denominators = new Float64Array(features);
  for (let i = 0; i < samples; i++) {
    let rowSum = 0;
    for (let j = 0; j < features; j++) rowSum += Math.abs(x[i * features + j]!);
    if (rowWeights !== undefined) rowSum *= rowWeights[i]!;
    for (let j = 0; j < features; j++) denominators[j]! += Math.abs(x[i * features + j]!) * rowSum;
  }
  return denominators.map((sum) => 1 / (QUADRATIC_GRADIENT_EPSILON + 0.25 * sum));
}
