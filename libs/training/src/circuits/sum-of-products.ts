import { CircuitError, type Ciphertext, type Evaluator } from '@blindfit/he';
import type { Layout } from '../layout/layout.ts';
import { reduceProductsInPlace } from './reduce.ts';
import { revolveAndSum } from './revolve.ts';

/**
 * The scores X v of a shard, spread over the slots of each sample, one level lower: one relinearisation and one rescale for all
 * blocks of a turn, and a rotation between turns.
 * @param features X of one shard, by cell, at the weights' level or above
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
      addProducts(evaluator, features.slice(turn * blocks, (turn + 1) * blocks), weights),
    );
    reduceProductsInPlace(evaluator, sums);
    return sums;
  });
}

/**
 * Sum over i of a[i] b[i], of size 3, before any reduction. No key switch.
 * @param a at the level of `b`, or above; all of `b` at one level
 */
export function addProducts(evaluator: Evaluator, a: readonly Ciphertext[], b: readonly Ciphertext[]): Ciphertext {
  if (a.length !== b.length || b.length === 0)
    throw new CircuitError(
      `${a.length} and ${b.length} factors`,
      'as many of the one as of the other, and at least one, are needed',
    );
  if (evaluator.fused?.sumOfProducts !== undefined) return evaluator.fused.sumOfProducts(a, b);
  let sum: Ciphertext | undefined;
  b.forEach((right, index) => {
    const left = a[index];
    if (left === undefined) throw new CircuitError(`no factor ${index}`);
    using lowered = evaluator.dropTo(left, right.level);
    const term = evaluator.multiply(lowered, right);
    if (sum === undefined) {
      sum = term;
    } else {
      using added = term;
      evaluator.addInPlace(sum, added);
    }
  });
  if (sum === undefined) throw new CircuitError('nothing to add');
  return sum;
}
