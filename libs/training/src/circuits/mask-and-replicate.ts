import type { Ciphertext, Evaluator } from '@blindfit/he';
import type { Layout } from '../layout/shape.ts';
import { columnSteps } from './rotate-and-sum.ts';

/**
 * Keeps the first slot of every sample times `factor`, and spreads it leftwards: the first slot of sample m holds its
 * value, the others hold that of sample m + 1 (the staggered placement of `layout/shape.ts`).
 *
 * - Out: one level lower, at scale `scale`.
 * - Key switches: log2(width) rotations, by `columnSteps`.
 */
export function maskAndReplicate(
  evaluator: Evaluator,
  layout: Pick<Layout, 'width'>,
  a: Ciphertext,
  factor: number,
  scale: number,
): Ciphertext {
  const kept = maskColumn(evaluator, layout, a, factor, scale);
  evaluator.rotateAndSumInPlace(kept, columnSteps(layout));
  return kept;
}

/**
 * Keeps the first slot of every sample times `factor` and clears the others. The mask is encoded at the scale that
 * makes the result's scale exactly `scale`: no level is spent on the factor. One level, no key switch.
 */
export function maskColumn(
  evaluator: Evaluator,
  { width }: Pick<Layout, 'width'>,
  a: Ciphertext,
  factor: number,
  scale: number,
): Ciphertext {
  const maskScale = (scale * Number(evaluator.prime(a.level))) / a.scale;
  using mask = evaluator.encodeEvery(width, factor, a.level, maskScale);
  const kept = evaluator.multiplyPlain(a, mask);
  evaluator.rescaleInPlace(kept);
  return kept;
}
