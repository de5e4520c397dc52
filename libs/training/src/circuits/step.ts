/**
 * The quadratic-gradient step with enhanced Nesterov momentum on packed ciphertexts (docs/reference/encryption.md, "The
 * method"). Needs no key: additions, plaintext constants, and factors that live in the scale.
 */
import type { Ciphertext, Evaluator } from '@blindfit/he';
import { encodeChain } from '../layout/pack-slots.ts';
import { type Layout } from '../layout/shape.ts';
import { timesConstant } from './odd-polynomial.ts';
import { packChain, type PairCiphertext } from './pack.ts';

/** One earlier V = M and the weight it has in W: (1 - eta) for the newest, eta for the one before. */
export interface MomentumTerm {
  readonly coefficient: number;
  readonly weights: Ciphertext;
}

export interface StepInput {
  readonly layout: Layout;
  /** The chain's pairs of classes. */
  readonly pairs: readonly number[];
  /** Partial gradients of those pairs, by group of shards and of blocks. */
  readonly gradients: readonly PairCiphertext[];
  /** (1 + gamma_t) * learning rate: carried by the scale. */
  readonly factor: number;
  /** W_t as a combination of earlier iterates. */
  readonly momentum: readonly MomentumTerm[];
  /** The part of W_t that is still the public start: its value in every valid feature. */
  readonly constant: number;
}

/**
 * M_{t+1} = W_t + factor * gradient, packed for the chain, at the gradients' level. The factor is carried by the scale.
 *
 * - In: gradients at one level l and scale; the weights of the momentum above level l.
 * - Out: one ciphertext at level l. No key switch.
 * - Source: docs/method.md. Twin: `test/reference/circuits.ts#stepClear`.
 */
export function nesterovStep(evaluator: Evaluator, input: StepInput): Ciphertext {
  const sum = packChain(evaluator, input.layout, input.gradients);
  evaluator.multiplyValueInPlace(sum, input.factor);
  addMomentum(evaluator, sum, input);
  return sum;
}

/**
 * W_T = (1 - eta) M_T + the older terms: what the job returns, at the level of `newest`. `newestCoefficient` is carried
 * by the scale. No key switch. Twin: `test/reference/circuits.ts#stepClear`.
 */
export function finalWeights(
  evaluator: Evaluator,
  input: Pick<StepInput, 'layout' | 'pairs' | 'momentum' | 'constant'> & {
    readonly newest: Ciphertext;
    readonly newestCoefficient: number;
  },
): Ciphertext {
  const sum = evaluator.copy(input.newest);
  evaluator.multiplyValueInPlace(sum, input.newestCoefficient);
  addMomentum(evaluator, sum, input);
  return sum;
}

function addMomentum(
  evaluator: Evaluator,
  sum: Ciphertext,
  input: Pick<StepInput, 'layout' | 'pairs' | 'momentum' | 'constant'>,
): void {
  for (const { coefficient, weights } of input.momentum) {
    if (coefficient === 0) continue;
    using term = timesConstant(evaluator, weights, coefficient, sum.level, sum.scale);
    evaluator.addInPlace(sum, term);
  }
  if (input.constant !== 0) {
    const { layout, pairs } = input;
    const filled = new Float64Array(layout.features).fill(input.constant);
    const slots = encodeChain(
      layout,
      evaluator.parameters.ring,
      pairs,
      Array.from({ length: layout.classes }, () => filled),
    );
    using plain = evaluator.encode(slots.first, sum.level, sum.scale, slots.second);
    evaluator.addPlainInPlace(sum, plain);
  }
}
