import { CircuitError } from '../errors.ts';
import type { Ciphertext, Evaluator } from '../evaluator.ts';
import type { Layout } from '../layout.ts';
import { reduceProductInPlace } from './reduce.ts';

/**
 * sum_f features_f * weights_f, one level lower: one relinearisation and one rescale for all blocks.
 * @param features X of one shard, by block, at the weights' level or above
 * @param weights of one pair, by block, the same in every row (`expand`)
 */
export function sumOfProducts(evaluator: Evaluator, layout: Layout, features: readonly Ciphertext[], weights: readonly Ciphertext[]): Ciphertext {
  if (features.length !== layout.blocks || weights.length !== layout.blocks) {
    throw new CircuitError(`${features.length} feature and ${weights.length} weight blocks`, `${layout.blocks} of each are needed`);
  }
  let sum: Ciphertext | undefined;
  weights.forEach((weight, block) => {
    const feature = features[block];
    if (feature === undefined) throw new CircuitError(`no feature block ${block}`);
    using lowered = evaluator.dropTo(feature, weight.level);
    const term = evaluator.multiply(lowered, weight);
    if (sum === undefined) {
      sum = term;
    } else {
      using added = term;
      evaluator.addInPlace(sum, added);
    }
  });
  if (sum === undefined) throw new CircuitError('no blocks');
  reduceProductInPlace(evaluator, sum);
  return sum;
}
