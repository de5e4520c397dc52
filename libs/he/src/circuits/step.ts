/**
 * The quadratic-gradient step with enhanced Nesterov momentum on packed ciphertexts (docs/encryption.md, "The method").
 * Needs no key: additions, plaintext constants, and factors that live in the scale.
 */
import { CircuitError } from '../errors.ts';
import type { Ciphertext, Evaluator } from '../evaluator.ts';
import { encodePair, type Layout } from '../layout.ts';
import { timesConstant } from './odd-polynomial.ts';

/** One earlier V = M and the weight it has in W: (1 - eta) for the newest, eta for the one before. */
export interface MomentumTerm {
  readonly coefficient: number;
  readonly weights: Ciphertext;
}

export interface StepInput {
  readonly layout: Layout;
  /** Partial gradients of one pair: by group of shards and of blocks. */
  readonly gradients: readonly Ciphertext[];
  /** (1 + gamma_t) * learning rate: carried by the scale. */
  readonly factor: number;
  /** W_t as a combination of earlier iterates. */
  readonly momentum: readonly MomentumTerm[];
  /** The part of W_t that is still the public start: its value in every valid feature. */
  readonly constant: number;
}

/** M_{t+1} = W_t + factor * gradient, at the gradient's level. */
export function nesterovStep(evaluator: Evaluator, input: StepInput): Ciphertext {
  const [head, ...tail] = input.gradients;
  if (head === undefined) throw new CircuitError('no gradients to step along');
  const sum = evaluator.copy(head);
  for (const partial of tail) evaluator.addInPlace(sum, partial);
  evaluator.multiplyValueInPlace(sum, input.factor);
  addMomentum(evaluator, sum, input);
  return sum;
}

/** W_T = (1 - eta) M_T + the older terms: what the job returns. `newestCoefficient` is carried by the scale. */
export function finalWeights(
  evaluator: Evaluator,
  input: Pick<StepInput, 'layout' | 'momentum' | 'constant'> & { readonly newest: Ciphertext; readonly newestCoefficient: number },
): Ciphertext {
  const sum = evaluator.copy(input.newest);
  evaluator.multiplyValueInPlace(sum, input.newestCoefficient);
  addMomentum(evaluator, sum, input);
  return sum;
}

function addMomentum(evaluator: Evaluator, sum: Ciphertext, input: Pick<StepInput, 'layout' | 'momentum' | 'constant'>): void {
  for (const { coefficient, weights } of input.momentum) {
    if (coefficient === 0) continue;
    using term = timesConstant(evaluator, weights, coefficient, sum.level, sum.scale);
    evaluator.addInPlace(sum, term);
  }
  if (input.constant !== 0) {
    const { layout } = input;
    const filled = new Float64Array(layout.features).fill(input.constant);
    const slots = encodePair(layout, evaluator.parameters.ring, filled, filled);
    using plain = evaluator.encode(slots.first, sum.level, sum.scale, slots.second);
    evaluator.addPlainInPlace(sum, plain);
  }
}
