/**
 * The turns of a shard (`layout/shape.ts`): what a row of K samples needs to meet all weights, and all errors their
 * features.
 */
import { CircuitError, type Ciphertext, type Evaluator } from '@blindfit/he';
import type { Layout } from '../layout/shape.ts';

/** Turns whose terms are made, and held, at the same time. */
const TOGETHER = 8;

/**
 * Sum over turns t of rot(term t, t * width), at the level and scale of the terms.
 *
 * - Key switches: turns - 1 rotations, all by one step (Horner's rule), so that one key serves them.
 * - Frees: the terms.
 * - Throws: CircuitError when there is no turn.
 *
 * @param terms makes the terms of a few turns, in their order; the last turns come first
 */
export function revolveAndSum(
  evaluator: Evaluator,
  { turns, width }: Pick<Layout, 'turns' | 'width'>,
  terms: (turns: readonly number[]) => readonly Ciphertext[],
): Ciphertext {
  let sum: Ciphertext | undefined;
  for (let end = turns; end > 0; end -= TOGETHER) {
    const start = Math.max(0, end - TOGETHER);
    using stack = new DisposableStack();
    const some = terms(Array.from({ length: end - start }, (_, index) => start + index)).map((term) => stack.use(term));
    for (const term of some.toReversed()) {
      if (sum === undefined) {
        sum = evaluator.copy(term);
        continue;
      }
      using before = sum;
      sum = evaluator.rotate(before, width);
      evaluator.addInPlace(sum, term);
    }
  }
  if (sum === undefined) throw new CircuitError(`${turns} turns`, 'at least 1 is needed');
  return sum;
}

/**
 * rot(a, t * width) for each turn t, at the level and scale of a; `take` owns what it gets. Key switches: turns - 1
 * rotations by `width`.
 */
export function revolve(
  evaluator: Evaluator,
  { turns, width }: Pick<Layout, 'turns' | 'width'>,
  a: Ciphertext,
  take: (turned: Ciphertext) => void,
): void {
  let latest = evaluator.copy(a);
  take(latest);
  for (let turn = 1; turn < turns; turn++) {
    latest = evaluator.rotate(latest, width);
    take(latest);
  }
}
