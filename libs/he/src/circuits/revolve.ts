/**
 * The turns of a shard (`layout.ts`): what a row of K samples needs to meet all weights, and all errors their features.
 */
import type { Ciphertext, Evaluator } from '../evaluator.ts';
import type { Layout } from '../layout.ts';

/**
 * Sum over turns t of rot(term(t), t * width). One rotation less than there are turns, all by one step (Horner's rule), so that
 * one key serves them. No level.
 * @param term makes the ciphertext of a turn, the last turn first
 */
export function revolveAndSum(evaluator: Evaluator, { turns, width }: Pick<Layout, 'turns' | 'width'>, term: (turn: number) => Ciphertext): Ciphertext {
  let sum = term(turns - 1);
  for (let turn = turns - 2; turn >= 0; turn--) {
    using before = sum;
    using next = term(turn);
    sum = evaluator.rotate(before, width);
    evaluator.addInPlace(sum, next);
  }
  return sum;
}

/** rot(a, t * width) for each turn t, each given to `take`, who owns it from then on. One rotation less than there are turns. No level. */
export function revolve(evaluator: Evaluator, { turns, width }: Pick<Layout, 'turns' | 'width'>, a: Ciphertext, take: (turned: Ciphertext) => void): void {
  let latest = evaluator.copy(a);
  take(latest);
  for (let turn = 1; turn < turns; turn++) {
    latest = evaluator.rotate(latest, width);
    take(latest);
  }
}
