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
 * The quadratic gradient b o (E^T X) of one pair of classes over the given shards and blocks; the row b is inside X~.
 * Shards and turns are added before the key switch and before the row sum, which are linear: their cost is paid once.
 *
 * - In: errors at one level l >= 1; features at level l or above.
 * - Out: one ciphertext, the blocks packed ({@link sumRowsAndPack}), at level l - 1.
 * - Levels: {@link BACKWARD_LEVELS}. Key switches: turns - 1 a shard, one relinearisation a block, and the row sums.
 * - Keys: relinearisation; rotations by `width` and `rowSteps`.
 * - Throws: CircuitError when the features of a block are not as many as shards times turns.
 * - Source: paper, section 3.2. Twin: `test/reference/circuits.ts#backwardClear`.
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
