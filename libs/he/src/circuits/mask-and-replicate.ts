import type { Ciphertext, Evaluator } from '../evaluator.ts';
import type { BlockShape } from '../layout.ts';
import { columnSteps, rotateAndSumInPlace } from './rotate-and-sum.ts';

/**
 * Keeps column 0 of every row times `factor`, and spreads it leftwards: slot (i, 0) holds row i, slot (i, c > 0) holds
 * row i + 1 (the staggered placement of `layout.ts`). Consumes one level, log2(columns) rotations.
 */
export function maskAndReplicate(evaluator: Evaluator, shape: BlockShape, a: Ciphertext, factor: number, scale: number): Ciphertext {
  const kept = maskColumn(evaluator, shape, a, factor, scale);
  rotateAndSumInPlace(evaluator, kept, columnSteps(shape));
  return kept;
}

/**
 * Keeps column 0 of every row times `factor` and clears the others. The mask is encoded at the scale that makes the
 * result's scale exactly `scale`: no level is spent on the factor.
 */
export function maskColumn(evaluator: Evaluator, shape: BlockShape, a: Ciphertext, factor: number, scale: number): Ciphertext {
  const slots = new Float64Array(evaluator.parameters.slots);
  for (let row = 0; row < shape.rows; row++) slots[row * shape.columns] = factor;
  using mask = evaluator.encode(slots, a.level, (scale * Number(evaluator.prime(a.level))) / a.scale);
  const kept = evaluator.multiplyPlain(a, mask);
  evaluator.rescaleInPlace(kept);
  return kept;
}
