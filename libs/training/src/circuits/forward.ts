import { CircuitError, type Ciphertext, type Evaluator } from '@blindfit/he';
import type { Layout } from '../layout/shape.ts';
import { sigmoidLevels, type SigmoidPolynomial } from '../sigmoid.ts';
import { maskAndReplicate, maskColumn } from './mask-and-replicate.ts';
import { evaluateMonicOdd, inputScale, monicOdd } from './odd-polynomial.ts';
import { evaluatePairedOdd, pairedInputFactor } from './paired-sigmoid.ts';
import { revolveAndSum } from './revolve.ts';
import { columnSteps } from './rotate-and-sum.ts';
import { sumOfProducts } from './sum-of-products.ts';

export interface ForwardInput {
  readonly layout: Layout;
  readonly sigmoid: SigmoidPolynomial;
  /** X of one shard, by cell, at the weights' level or above. */
  readonly features: readonly Ciphertext[];
  /** V of one pair, by block, the same in every row (`expand`). */
  readonly weights: readonly Ciphertext[];
  /** Y - 0.5 of the pair and shard, staggered. */
  readonly labels: Ciphertext;
}

/** Levels from the weights to the errors: product, mask, sigmoid. */
export function forwardLevels(degree: SigmoidPolynomial['degree']): number {
  return 2 + sigmoidLevels(degree);
}

/**
 * The errors E = Y - s(X v) of one pair of classes on one shard, staggered.
 *
 * - In: weights at a level l >= `forwardLevels(degree)`, features at level l or above, labels at the result's level or
 *   above.
 * - Out: one ciphertext at level l - `forwardLevels(degree)` and the labels' scale.
 * - Key switches: those of {@link sumOfProducts}, 2 log2(width) rotations, and those of {@link evaluatePairedOdd}.
 * - Keys: relinearisation, conjugation (unless the degree is 1), rotations by `width` and `columnSteps`.
 * - Source: paper, section 4 (SLE gradient). Twin: `test/reference/circuits.ts#forwardClear`.
 */
export function forward(evaluator: Evaluator, input: ForwardInput): Ciphertext {
  const { layout, features, weights, labels, sigmoid } = input;
  using products = sumOfProducts(evaluator, layout, features, weights);
  evaluator.rotateAndSumInPlace(products, columnSteps(layout));
  const scale = inputScale(evaluator, sigmoid.degree, products.level - 1, labels.scale);
  using u = maskAndReplicate(evaluator, layout, products, pairedInputFactor(sigmoid), scale);
  using odd = evaluatePairedOdd(evaluator, sigmoid, u);
  return errorsOf(evaluator, sigmoid, labels, odd);
}

export interface StartInput {
  readonly layout: Layout;
  readonly sigmoid: SigmoidPolynomial;
  /** X of one shard, by cell. */
  readonly features: readonly Ciphertext[];
  /** The weight every class and feature starts with. */
  readonly initialWeight: number;
  /** Level and scale of the result, those of the labels it will be combined with. */
  readonly level: number;
  readonly scale: number;
}

/** Levels that {@link startScores} consumes: mask and sigmoid. */
export function startLevels(degree: SigmoidPolynomial['degree']): number {
  return 1 + sigmoidLevels(degree);
}

/**
 * sign * (1 + i) (s(X v) - 0.5) for weights that are all one constant: no product with weights, and one result for all
 * pairs. The sign is that of `monicOdd`; {@link startErrors} undoes it.
 *
 * - In: features at level `input.level` + `startLevels(degree)` or above.
 * - Out: one ciphertext at the level of the input and, for degrees above 1, its scale.
 * - Key switches: turns - 1 + 2 log2(width) rotations; twice those of {@link evaluateMonicOdd}.
 * - Keys: relinearisation; rotations by `width` and `columnSteps`.
 * - Throws: CircuitError when the features are not one a cell.
 */
export function startScores(evaluator: Evaluator, input: StartInput): Ciphertext {
  const { layout, sigmoid, initialWeight, features } = input;
  const { blocks, cells } = layout;
  if (features.length !== cells)
    throw new CircuitError(`${features.length} ciphertexts of features`, `${cells} are needed`);
  using sum = revolveAndSum(evaluator, layout, (turns) =>
    turns.map((turn) => {
      const [head, ...tail] = features.slice(turn * blocks, (turn + 1) * blocks);
      if (head === undefined) throw new CircuitError('no feature blocks');
      using total = evaluator.copy(head);
      for (const block of tail) evaluator.addInPlace(total, block);
      return evaluator.dropTo(total, input.level + startLevels(sigmoid.degree));
    }),
  );
  evaluator.rotateAndSumInPlace(sum, columnSteps(layout));
  const polynomial = monicOdd(sigmoid);
  const scale = inputScale(evaluator, polynomial.degree, sum.level - 1, input.scale);
  using even = maskColumn(evaluator, layout, sum, polynomial.inputFactor * initialWeight, scale);
  evaluator.rotateAndSumInPlace(even, columnSteps(layout).slice(1));
  using odd = evaluator.rotate(even, 1);
  // J is i on even slots and -i on odd ones: the second class needs the scores negated on odd slots.
  using alternating = evaluator.subtract(even, odd);
  using straight = evaluator.add(even, odd);
  const scores = evaluateMonicOdd(evaluator, polynomial, straight);
  using other = evaluateMonicOdd(evaluator, polynomial, alternating);
  using second = evaluator.multiplyPlain(other, evaluator.monomial(evaluator.parameters.ring / 2, other.level));
  evaluator.addInPlace(scores, second);
  return scores;
}

/** The errors of one pair from its labels and the shared start scores, at the scores' level. No key switch. */
export function startErrors(
  evaluator: Evaluator,
  sigmoid: SigmoidPolynomial,
  labels: Ciphertext,
  scores: Ciphertext,
): Ciphertext {
  return errorsOf(evaluator, sigmoid, labels, scores);
}

/** @param odd sign * (s(z) - 0.5), the sign that of `monicOdd` */
function errorsOf(evaluator: Evaluator, sigmoid: SigmoidPolynomial, labels: Ciphertext, odd: Ciphertext): Ciphertext {
  using lowered = evaluator.dropTo(labels, odd.level);
  return monicOdd(sigmoid).sign > 0 ? evaluator.subtract(lowered, odd) : evaluator.add(lowered, odd);
}
