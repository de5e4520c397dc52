import { CircuitError } from '../errors.ts';
import { type Ciphertext, type Evaluator } from '../evaluator.ts';
import type { Layout } from '../layout.ts';
import { sigmoidLevels, type SigmoidPolynomial } from '../sigmoid.ts';
import { maskAndReplicate } from './mask-and-replicate.ts';
import { evaluateMonicOdd, inputScale, monicOdd, type MonicOdd } from './odd-polynomial.ts';
import { reduceProductInPlace } from './reduce.ts';
import { columnSteps, rotateAndSumInPlace } from './rotate-and-sum.ts';

export interface ForwardInput {
  readonly layout: Layout;
  readonly sigmoid: SigmoidPolynomial;
  /** X of one shard, by block, at the weights' level or above. */
  readonly features: readonly Ciphertext[];
  /** V of one pair, by block, the same in every row (`expand`). */
  readonly weights: readonly Ciphertext[];
  /** Y - 0.5 of the pair and shard, staggered. */
  readonly labels: Ciphertext;
  /** Whether the pair carries two classes. */
  readonly paired: boolean;
}

/** Levels from the weights to the errors: product, mask, sigmoid. */
export function forwardLevels(degree: SigmoidPolynomial['degree']): number {
  return 2 + sigmoidLevels(degree);
}

/**
 * The errors E = Y - s(X v) of one pair of classes on one shard, staggered, at the labels' scale
 * (paper, section 4: SLE gradient). Twin: `clear/circuits.ts#forwardClear`.
 */
export function forward(evaluator: Evaluator, input: ForwardInput): Ciphertext {
  const { layout, features, weights, labels, paired } = input;
  if (features.length !== layout.blocks || weights.length !== layout.blocks) {
    throw new CircuitError(`${features.length} feature and ${weights.length} weight blocks`, `${layout.blocks} of each are needed`);
  }
  using products = sumOfProducts(evaluator, features, weights);
  rotateAndSumInPlace(evaluator, products, columnSteps(layout), paired);
  const polynomial = monicOdd(input.sigmoid);
  const level = products.level - 1;
  const scale = inputScale(evaluator, polynomial.degree, level, labels.scale);
  // A pair is split by u + conj(u) = 2 Re u: the mask carries the half.
  const factor = polynomial.inputFactor * (paired ? 0.5 : 1);
  using u = maskAndReplicate(evaluator, layout, products, factor, scale, paired);
  using odd = paired ? pairedOdd(evaluator, polynomial, u) : evaluateMonicOdd(evaluator, polynomial, u);
  return errors(evaluator, labels, odd, polynomial.sign);
}

export interface StartInput {
  readonly layout: Layout;
  readonly sigmoid: SigmoidPolynomial;
  readonly features: readonly Ciphertext[];
  /** The weight every class and feature starts with. */
  readonly initialWeight: number;
  /** Scale of the labels the result will be combined with. */
  readonly scale: number;
}

/** Levels that {@link startScores} consumes: mask and sigmoid. */
export function startLevels(degree: SigmoidPolynomial['degree']): number {
  return 1 + sigmoidLevels(degree);
}

/**
 * sign * (s(X v) - 0.5) for weights that are all one constant: no ciphertext product, and one result for all classes.
 * The sign is that of `monicOdd`; {@link startErrors} undoes it.
 */
export function startScores(evaluator: Evaluator, input: StartInput): Ciphertext {
  const [head, ...tail] = input.features;
  if (head === undefined) throw new CircuitError('no feature blocks');
  using sum = evaluator.copy(head);
  for (const block of tail) evaluator.addInPlace(sum, block);
  rotateAndSumInPlace(evaluator, sum, columnSteps(input.layout), false);
  const polynomial = monicOdd(input.sigmoid);
  const scale = inputScale(evaluator, polynomial.degree, sum.level - 1, input.scale);
  using u = maskAndReplicate(evaluator, input.layout, sum, polynomial.inputFactor * input.initialWeight, scale, false);
  return evaluateMonicOdd(evaluator, polynomial, u);
}

/** The errors of one pair from the labels and the shared start scores. No level. */
export function startErrors(evaluator: Evaluator, sigmoid: SigmoidPolynomial, labels: Ciphertext, scores: Ciphertext, paired: boolean): Ciphertext {
  const { sign } = monicOdd(sigmoid);
  if (!paired) return errors(evaluator, labels, scores, sign);
  using second = evaluator.multiplyPlain(scores, evaluator.monomial(evaluator.parameters.ring / 2, scores.level));
  evaluator.addInPlace(second, scores);
  return errors(evaluator, labels, second, sign);
}

/** sum_f features_f * weights_f: one relinearisation and one rescale for all blocks. */
function sumOfProducts(evaluator: Evaluator, features: readonly Ciphertext[], weights: readonly Ciphertext[]): Ciphertext {
  let sum: Ciphertext | undefined;
  weights.forEach((weight, block) => {
    const feature = features[block];
    if (feature === undefined) throw new CircuitError(`no feature block ${block}`);
    using lowered = evaluator.dropTo(feature, weight.level);
    const term = evaluator.multiply(lowered, weight);
    if (sum === undefined) {
      sum = term;
    } else {
      using added = term;
      evaluator.addInPlace(sum, added);
    }
  });
  if (sum === undefined) throw new CircuitError('no blocks');
  reduceProductInPlace(evaluator, sum);
  return sum;
}

/** Splits u = (a + J b) / 2 by a conjugation, evaluates both halves, and joins them again. */
function pairedOdd(evaluator: Evaluator, polynomial: MonicOdd, u: Ciphertext): Ciphertext {
  const half = evaluator.parameters.ring / 2;
  using conjugate = evaluator.conjugate(u);
  using first = evaluator.add(u, conjugate);
  using difference = evaluator.subtract(conjugate, u);
  // J (conj u - u) = J (-2 J b / 2) = b.
  using second = evaluator.multiplyPlain(difference, evaluator.monomial(half, difference.level));
  const result = evaluateMonicOdd(evaluator, polynomial, first);
  using other = evaluateMonicOdd(evaluator, polynomial, second);
  using turned = evaluator.multiplyPlain(other, evaluator.monomial(half, other.level));
  evaluator.addInPlace(result, turned);
  return result;
}

function errors(evaluator: Evaluator, labels: Ciphertext, odd: Ciphertext, sign: 1 | -1): Ciphertext {
  using lowered = evaluator.dropTo(labels, odd.level);
  return sign > 0 ? evaluator.subtract(lowered, odd) : evaluator.add(lowered, odd);
}
