/**
 * Packing and expanding by monomials: many sums in one ciphertext, without masks and without levels.
 *
 * A vector that is the same in every row is a polynomial in X^rows. Multiplying it by X^e, e < rows, moves it to
 * coefficients that no other such vector touches, so a pair's blocks travel in one ciphertext under different powers.
 * The rotation by columns * 2^s maps X^(rows / 2^(s+1)) to its negative and leaves higher such powers alone; hence one
 * rotation merges two unfinished row sums (Chen, Dai, Kim, Song: Efficient Homomorphic Conversion Between (Ring) LWE
 * Ciphertexts, 2021), and one rotation splits a packed ciphertext in two (Angel et al., SealPIR, 2018).
 */
import { CircuitError, type Ciphertext, type Evaluator } from '@blindfit/he';
import { pairExponent, type Layout } from '../layout/shape.ts';
import { rowSteps } from './rotate-and-sum.ts';

interface Stage {
  /** Left rotation that flips the sign of X^power. */
  readonly step: number;
  readonly power: number;
}

function stageOf(layout: Layout, stage: number): Stage {
  return { step: layout.columns * 2 ** stage, power: 2 ** (layout.rowBits - 1 - stage) };
}

/**
 * Sums each block's rows and packs the results: sum over blocks of X^blockExponent * (row sum of the block).
 *
 * - In: products by block number, at one level and scale; blocks that are missing belong to another task.
 * - Out: one ciphertext at the same level and scale.
 * - Key switches: for all blocks of a pair about blocks - 1 rotations to merge them, and rowBits - blockBits to finish,
 *   instead of rowBits for every block. Keys: rotations by `rowSteps`.
 * - Frees: the products.
 * - Throws: CircuitError when the blocks are not those of one pair.
 */
export function sumRowsAndPack(
  evaluator: Evaluator,
  layout: Layout,
  products: ReadonlyMap<number, Ciphertext>,
): Ciphertext {
  let nodes = new Map(products);
  for (let s = 0; s < layout.blockBits; s++) {
    const stage = stageOf(layout, s);
    const merged = new Map<number, Ciphertext>();
    for (const index of new Set([...nodes.keys()].map((key) => key >> 1))) {
      merged.set(index, merge(evaluator, nodes.get(2 * index), nodes.get(2 * index + 1), stage));
    }
    nodes = merged;
  }
  const packed = nodes.get(0);
  if (packed === undefined || nodes.size !== 1) throw new CircuitError('blocks to pack do not belong to one pair');
  evaluator.rotateAndSumInPlace(packed, rowSteps(layout).slice(layout.blockBits));
  return packed;
}

/** (a + X^p b) + rot(a - X^p b) = (a + rot a) + X^p (b + rot b), because rot(X^p) = -X^p. */
function merge(evaluator: Evaluator, a: Ciphertext | undefined, b: Ciphertext | undefined, stage: Stage): Ciphertext {
  if (b === undefined) {
    if (a === undefined) throw new CircuitError('nothing to merge');
    evaluator.rotateAndSumInPlace(a, [stage.step]);
    return a;
  }
  using right = b;
  using moved = evaluator.multiplyPlain(right, evaluator.monomial(stage.power, right.level));
  if (a === undefined) {
    using turned = evaluator.rotate(moved, stage.step);
    return evaluator.subtract(moved, turned);
  }
  using left = a;
  using difference = evaluator.subtract(left, moved);
  using turned = evaluator.rotate(difference, stage.step);
  const sum = evaluator.add(left, moved);
  evaluator.addInPlace(sum, turned);
  return sum;
}

/**
 * Packs what belongs to the pairs of one chain: sum over pairs of X^pairExponent * pair. Inverse: {@link expand}.
 *
 * - In: one packed ciphertext, or several that add up, for every pair; all at one level and scale.
 * - Out: one ciphertext at that level and scale. Additions and monomials only: no key switch.
 * - Throws: CircuitError when there is no pair.
 */
export function packChain(evaluator: Evaluator, layout: Layout, pairs: readonly PairCiphertext[]): Ciphertext {
  let sum: Ciphertext | undefined;
  for (const { pair, ciphertext } of pairs) {
    const moved = evaluator.multiplyPlain(ciphertext, evaluator.monomial(pairExponent(layout, pair), ciphertext.level));
    if (sum === undefined) {
      sum = moved;
    } else {
      using term = moved;
      evaluator.addInPlace(sum, term);
    }
  }
  if (sum === undefined) throw new CircuitError('no pairs to pack');
  return sum;
}

export interface PairCiphertext {
  readonly pair: number;
  readonly ciphertext: Ciphertext;
}

/**
 * Inverse of the packing: one ciphertext for each block of one pair, the same in every row.
 *
 * - In: the packed chain. Out: one ciphertext a block, at its level and scale.
 * - Key switches: about blocks - 1 rotations, and one for every doubling of the pairs that share the chain. Keys:
 *   rotations by `rowSteps`.
 *
 * @param pairsPerChain a power of two
 */
export function expand(
  evaluator: Evaluator,
  layout: Layout,
  chain: Ciphertext,
  pair: number,
  pairsPerChain: number,
): Ciphertext[] {
  const pairBits = Math.log2(pairsPerChain);
  // The chain's pairs hold pairsPerChain neighbouring powers; their multiple of it comes off first.
  const first = pairExponent(layout, pair) - (pair % pairsPerChain);
  let nodes: Ciphertext[] = [evaluator.multiplyPlain(chain, evaluator.monomial(-first, chain.level))];
  for (let bit = 0; bit < pairBits; bit++)
    nodes = nodes.map((node) =>
      halfOf(evaluator, node, stageOf(layout, layout.rowBits - 1 - bit), ((pair >> bit) & 1) === 1),
    );
  for (let s = layout.blockBits - 1; s >= 0; s--) {
    const stage = stageOf(layout, s);
    const needed = Math.ceil(layout.blocks / 2 ** s);
    const splitting = nodes.slice(0, needed - nodes.length);
    const turned = evaluator.rotateAll(splitting, stage.step);
    nodes = nodes.flatMap((parent, index) => {
      const other = turned[index];
      // Twice the terms that do not have the power, and twice those that do, divided by it.
      if (other !== undefined) return evaluator.split(parent, other, evaluator.monomial(-stage.power, parent.level));
      // The other half is empty, so rotating would change nothing: double as the addition would have.
      evaluator.addInPlace(parent, parent);
      return [parent];
    });
  }
  for (const node of nodes) evaluator.multiplyValueInPlace(node, 2 ** -(layout.blockBits + pairBits));
  return nodes;
}

/**
 * Twice the terms of `node` (which is freed) that have the stage's power, divided by it, or those that do not have it.
 */
function halfOf(evaluator: Evaluator, node: Ciphertext, stage: Stage, odd: boolean): Ciphertext {
  using parent = node;
  using turned = evaluator.rotate(parent, stage.step);
  if (!odd) return evaluator.add(parent, turned);
  using difference = evaluator.subtract(parent, turned);
  return evaluator.multiplyPlain(difference, evaluator.monomial(-stage.power, difference.level));
}

/**
 * The whole model in as few ciphertexts as possible: chains that share a model ciphertext add up. No key switch.
 * @param chains in order, together all pairs
 * @param level of the result: 0, unless servers are to predict with the model
 */
export function packModel(
  evaluator: Evaluator,
  layout: Layout,
  chains: readonly Ciphertext[],
  pairsPerChain: number,
  level = 0,
): Ciphertext[] {
  const models: Ciphertext[] = [];
  chains.forEach((chain, index) => {
    const lowered = evaluator.dropTo(chain, level);
    const model = models[Math.floor((index * pairsPerChain) / layout.pairsPerModel)];
    if (model === undefined) {
      models.push(lowered);
    } else {
      using term = lowered;
      evaluator.addInPlace(model, term);
    }
  });
  return models;
}
