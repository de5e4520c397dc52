import { CircuitError, type Ciphertext, type Evaluator } from '@blindfit/he';
import type { Layout } from '../layout/shape.ts';
import { reduceProductsInPlace } from './reduce.ts';
import { revolveAndSum } from './revolve.ts';

/**
 * The scores X v of a shard, spread over the slots of each sample.
 *
 * - In: weights at a level l >= 1; features at level l or above. Out: one ciphertext at level l - 1.
 * - Key switches: one relinearisation a turn, for all of its blocks, and a rotation between turns. Keys:
 *   relinearisation, rotation by `width`.
 * - Throws: CircuitError when the features are not one a cell, or the weights not one a block.
 *
 * @param features X of one shard, by cell
 * @param weights of one pair, by block, the same in every row (`expand`)
 */
export function sumOfProducts(
  evaluator: Evaluator,
  layout: Layout,
  features: readonly Ciphertext[],
  weights: readonly Ciphertext[],
): Ciphertext {
  const { blocks, cells } = layout;
  if (features.length !== cells || weights.length !== blocks) {
    throw new CircuitError(
      `${features.length} ciphertexts of features and ${weights.length} of weights`,
      `${cells} and ${blocks} are needed`,
    );
  }
  return revolveAndSum(evaluator, layout, (turns) => {
    const sums = turns.map((turn) =>
      evaluator.sumOfProducts(features.slice(turn * blocks, (turn + 1) * blocks), weights),
    );
    reduceProductsInPlace(evaluator, sums);
    return sums;
  });
}
