/**
 * Prediction with a model that stays encrypted: class scores z = X W^T of encrypted samples, by the Volley Revolver
 * product (docs/reference/encryption.md, "Prediction").
 */
import type { Ciphertext, Evaluator } from '@blindfit/he';
import type { Layout } from '../layout/shape.ts';
import { expand } from './pack.ts';
import { columnSteps } from './rotate-and-sum.ts';
import { sumOfProducts } from './sum-of-products.ts';

/** The level that encrypted samples, and the model, come in at: one product. */
export const PREDICTION_LEVEL = 1;

export interface PredictInput {
  readonly layout: Layout;
  /** X of one shard, by cell, at the weights' level or above. */
  readonly features: readonly Ciphertext[];
  /** W of one pair of classes, by block, the same in every row (`expandModel`). */
  readonly weights: readonly Ciphertext[];
}

/**
 * Scores of one pair of classes on one shard: the first slot of a sample holds its z_a + i z_b. Its other slots hold
 * sums that mean nothing; a mask would cost a level, and only the owner sees them.
 *
 * - In: weights at a level l >= 1, features at level l or above. Out: one ciphertext at level l - 1.
 * - Key switches: those of {@link sumOfProducts} and log2(width) rotations. Keys: relinearisation, rotations by `width`
 *   and `columnSteps`.
 * - Twin: `test/reference/circuits.ts#predictScoresClear`.
 */
export function predictScores(evaluator: Evaluator, { layout, features, weights }: PredictInput): Ciphertext {
  const scores = sumOfProducts(evaluator, layout, features, weights);
  evaluator.rotateAndSumInPlace(scores, columnSteps(layout));
  return scores;
}

/** Pairs that share a model ciphertext with `pair`, to the next power of two: what `expand` calls a chain. */
export function pairsTogether({ pairs, pairsPerModel }: Pick<Layout, 'pairs' | 'pairsPerModel'>, pair: number): number {
  const before = pair - (pair % pairsPerModel);
  return 2 ** Math.ceil(Math.log2(Math.min(pairsPerModel, pairs - before)));
}

/**
 * One pair of classes out of the packed model: a ciphertext a block, as {@link expand} makes them.
 * @param model the ciphertext that holds the pair
 */
export function expandModel(evaluator: Evaluator, layout: Layout, model: Ciphertext, pair: number): Ciphertext[] {
  return expand(evaluator, layout, model, pair, pairsTogether(layout, pair));
}
