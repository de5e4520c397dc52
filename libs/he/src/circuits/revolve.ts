/**
 * The turns of a shard (`layout.ts`): what a row of K samples needs to meet all weights, and all errors their features.
 */
import { CircuitError } from '../errors.ts';
import type { Ciphertext, Evaluator } from '../evaluator.ts';
import type { Layout } from '../layout.ts';

/**
 * Sum over turns t of rot(terms[t], t * width). One rotation less than there are turns, all by one step (Horner's rule), so that
 * one key serves them. No level.
 * @param terms by turn
 */
export function revolveAndSum(evaluator: Evaluator, { turns, width }: Pick<Layout, 'turns' | 'width'>, terms: readonly Ciphertext[]): Ciphertext {
  const [last, ...others] = terms.toReversed();
  if (last === undefined || terms.length !== turns) throw new CircuitError(`${terms.length} turns`, `${turns} are needed`);
  let sum = evaluator.copy(last);
  for (const term of others) {
    using before = sum;
    sum = evaluator.rotate(before, width);
    evaluator.addInPlace(sum, term);
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
