/** The error of an encrypted training: what the search compares with the wanted precision. */
import { at } from '@blindfit/base';
import { CHEAP_ORDER_SCALE_BITS } from '../circuits/reduce.ts';
import { factorInScale, gradientScaleBits } from './derive.ts';
import type { Plan } from './plan.ts';

/** Standard deviation of SEAL's fresh noise. */
const FRESH_NOISE = 3.2;
/** The largest of some thousand values, in standard deviations. */
const LARGEST = 4;
/**
 * Puts the formula 3 to 200 (mostly 8 to 100) times above the largest errors measured, over rings, scales, shapes,
 * turns and starts.
 */
const ERROR_MARGIN = 4;

/**
 * An upper bound of a weight's largest absolute error, from the two noises that matter:
 * - reducing a product (`circuits/reduce.ts`) rounds every slot; the row sum adds up the rounding of all rows;
 * - SEAL does not centre the digits of a key switch, so its noise gathers in the few slots whose roots are nearest to 1
 *   (slots 0 and 1 among them): single samples of a shard, single columns of the weights. It shows where the special
 *   prime is less than some 10 bits longer than the last level's.
 *
 * Both enter the weights directly, and through the errors E, which a step multiplies by sum |x~_ij|: at most 4, and
 * about 4 over the mean of sum_l |x_il|.
 */
export function expectedError({
  parameters,
  layout,
  hyperparameters,
}: Pick<Plan, 'parameters' | 'layout' | 'hyperparameters'>): number {
  const { ring, scaleBits, dataBits, specialBits } = parameters;
  const rounding = LARGEST * (scaleBits >= CHEAP_ORDER_SCALE_BITS ? 0.2 * ring ** 1.5 : 0.24 * ring);
  const peak = (LARGEST * FRESH_NOISE * ring ** 1.5 * 2 ** (at(dataBits, 0, 'data primes') - specialBits)) / Math.PI;
  const weightScale = 2 ** gradientScaleBits(parameters, hyperparameters) / factorInScale(hyperparameters);
  const weights = (rounding * Math.sqrt(layout.rows) + peak) / weightScale;
  const errors = (rounding / Math.sqrt(layout.batchSize) + peak / layout.batchSize) / parameters.scale;
  const sensitivity = hyperparameters.learningRate * Math.min(4, 16 / layout.features);
  return ERROR_MARGIN * hyperparameters.iterations * (weights + sensitivity * errors);
}
