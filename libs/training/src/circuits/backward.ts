import { CircuitError, type Ciphertext, type Evaluator } from '@blindfit/he';
import type { Layout } from '../layout/shape.ts';
import { sumRowsAndPack } from './pack.ts';
import { reduceProductsInPlace } from './reduce.ts';
import { revolve } from './revolve.ts';

export interface BackwardInput {
  readonly layout: Layout;
  /** E of one pair, by shard, staggered; all at one level and scale. */
  readonly errors: readonly Ciphertext[];
  /** X~ = X o b by block number, then by shard in the order of `errors` and its turn. */
  readonly gradientFeatures: ReadonlyMap<number, readonly Ciphertext[]>;
}

/** Levels from the errors to the gradient. */
export const BACKWARD_LEVELS = 1;

/**
 * The quadratic gradient b o (E^T X) of one pair of classes over the given shards and blocks, packed (paper, section
 * 3.2; the row b is inside X~). Shards and turns are added before the key switch and before the row sum, which are
 * linear: their cost is paid once. Twin: `test/reference/circuits.ts#backwardClear`.
 */
export function backward(evaluator: Evaluator, input: BackwardInput): Ciphertext {
  const { layout, errors, gradientFeatures } = input;
  const products = new Map<number, Ciphertext>();
  const revolved: Ciphertext[] = [];
  try {
    for (const each of errors) revolve(evaluator, layout, each, (turned) => revolved.push(turned));
    for (const [block, cells] of gradientFeatures) {
      if (cells.length !== revolved.length)
        throw new CircuitError(`${cells.length} ciphertexts of block ${block}`, `${revolved.length} are needed`);
      products.set(block, evaluator.sumOfProducts(cells, revolved));
    }
    reduceProductsInPlace(evaluator, [...products.values()]);
  } finally {
    for (const each of revolved) each[Symbol.dispose]();
  }
  return sumRowsAndPack(evaluator, layout, products);
}
