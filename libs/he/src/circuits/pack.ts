/**
 * Packing and expanding by monomials: many sums in one ciphertext, without masks and without levels.
 *
 * A vector that is the same in every row is a polynomial in X^rows. Multiplying it by X^e, e < rows, moves it to
 * coefficients that no other such vector touches, so a pair's blocks travel in one ciphertext under different powers.
 * The rotation by columns * 2^s maps X^(rows / 2^(s+1)) to its negative and leaves higher such powers alone; hence one
 * rotation merges two unfinished row sums (Chen, Dai, Kim, Song: Efficient Homomorphic Conversion Between (Ring) LWE
 * Ciphertexts, 2021), and one rotation splits a packed ciphertext in two (Angel et al., SealPIR, 2018).
 */
import { CircuitError } from '../errors.ts';
import type { Ciphertext, Evaluator } from '../evaluator.ts';
import { pairExponent, type Layout } from '../layout.ts';
import { rotateAndSumInPlace, rowSteps } from './rotate-and-sum.ts';

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
 * Consumes the given ciphertexts (they are freed). All blocks of a pair: blocks - 1 or so rotations to merge them, and
 * rowBits - blockBits to finish, instead of rowBits for every block.
 *
 * @param products by block number; blocks that are missing belong to another task
 */
export function sumRowsAndPack(evaluator: Evaluator, layout: Layout, products: ReadonlyMap<number, Ciphertext>): Ciphertext {
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
  rotateAndSumInPlace(evaluator, packed, rowSteps(layout).slice(layout.blockBits));
  return packed;
}

/** (a + X^p b) + rot(a - X^p b) = (a + rot a) + X^p (b + rot b), because rot(X^p) = -X^p. */
function merge(evaluator: Evaluator, a: Ciphertext | undefined, b: Ciphertext | undefined, stage: Stage): Ciphertext {
  if (b === undefined) {
    if (a === undefined) throw new CircuitError('nothing to merge');
    rotateAndSumInPlace(evaluator, a, [stage.step]);
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
 * Inverse of the packing: one ciphertext per block, each the same in every row. No level; about blocks - 1 rotations.
 */
export function expand(evaluator: Evaluator, layout: Layout, packed: Ciphertext): Ciphertext[] {
  let nodes: Ciphertext[] = [evaluator.copy(packed)];
  for (let s = layout.blockBits - 1; s >= 0; s--) {
    const stage = stageOf(layout, s);
    const children: Ciphertext[] = [];
    const needed = Math.ceil(layout.blocks / 2 ** s);
    for (const node of nodes) {
      using parent = node;
      if (children.length + 1 < needed) {
        using turned = evaluator.rotate(parent, stage.step);
        children.push(evaluator.add(parent, turned));
        using difference = evaluator.subtract(parent, turned);
        children.push(evaluator.multiplyPlain(difference, evaluator.monomial(-stage.power, difference.level)));
      } else {
        // The other half is empty, so rotating would change nothing: double as the addition would have.
        children.push(evaluator.add(parent, parent));
      }
    }
    nodes = children;
  }
  for (const node of nodes) evaluator.multiplyValueInPlace(node, 2 ** -layout.blockBits);
  return nodes;
}

/**
 * The whole model in as few ciphertexts as can be, at the last level: sum over pairs of X^pairExponent * pair.
 * Additions and monomials only: no key, no level.
 */
export function packModel(evaluator: Evaluator, layout: Layout, pairs: readonly Ciphertext[]): Ciphertext[] {
  const models: Ciphertext[] = [];
  pairs.forEach((pair, index) => {
    using lowered = evaluator.dropTo(pair, 0);
    const moved = evaluator.multiplyPlain(lowered, evaluator.monomial(pairExponent(layout, index), 0));
    const model = models[Math.floor(index / layout.pairsPerModel)];
    if (model === undefined) {
      models.push(moved);
    } else {
      using term = moved;
      evaluator.addInPlace(model, term);
    }
  });
  return models;
}
