import type { Ciphertext, Evaluator } from '../evaluator.ts';
import type { SigmoidPolynomial } from '../sigmoid.ts';
import { evaluateMonicOdd, monicOdd, timesConstant } from './odd-polynomial.ts';
import { reduceProductInPlace } from './reduce.ts';

/**
 * How a pair of logits a + i b enters {@link evaluatePairedOdd}: as u = inputFactor * (a + i b), at the scale that
 * `inputScale` gives. The factor comes free with the mask that precedes the circuit.
 */
export function pairedInputFactor(polynomial: SigmoidPolynomial): number {
  const { inputFactor } = monicOdd(polynomial);
  switch (polynomial.degree) {
    case 1:
      return inputFactor;
    case 3:
      // The identity below yields 4 (a^3 + i b^3).
      return inputFactor / Math.cbrt(4);
    default:
      // Splitting by u + conj u doubles.
      return inputFactor / 2;
  }
}

/**
 * sign * (p(a) + i p(b)) for p = s - 0.5, slot by slot: both classes of a pair at once. The sign is that of `monicOdd`.
 * Levels: `sigmoidLevels(degree)`. Key switches: degree 1: 0, 3: 3, 5: 7, 7: 9.
 *
 * Degree 3 needs no splitting: with u = a + i b,  a^3 + i b^3 = conj(u) (3 u^2 + conj(u)^2) / 4.
 */
export function evaluatePairedOdd(evaluator: Evaluator, polynomial: SigmoidPolynomial, u: Ciphertext): Ciphertext {
  if (polynomial.degree === 1) return evaluator.copy(u);
  using conjugate = evaluator.conjugate(u);
  return polynomial.degree === 3 ? cubic(evaluator, polynomial, u, conjugate) : split(evaluator, polynomial, u, conjugate);
}

function cubic(evaluator: Evaluator, polynomial: SigmoidPolynomial, u: Ciphertext, conjugate: Ciphertext): Ciphertext {
  using squares = evaluator.square(conjugate);
  using square = evaluator.square(u);
  for (let i = 0; i < 3; i++) evaluator.addInPlace(squares, square);
  reduceProductInPlace(evaluator, squares);
  using lowered = evaluator.dropTo(conjugate, squares.level);
  const sum = evaluator.multiply(lowered, squares);
  reduceProductInPlace(evaluator, sum);
  const linear = (monicOdd(polynomial).sign * (polynomial.odd[0] ?? 0)) / pairedInputFactor(polynomial);
  using term = timesConstant(evaluator, u, linear, sum.level, sum.scale);
  evaluator.addInPlace(sum, term);
  return sum;
}

/** u + conj u = 2 a; J (conj u - u) = 2 b on even slots and -2 b on odd ones, which an odd polynomial carries through to the product with J. */
function split(evaluator: Evaluator, polynomial: SigmoidPolynomial, u: Ciphertext, conjugate: Ciphertext): Ciphertext {
  const half = evaluator.parameters.ring / 2;
  const monic = monicOdd(polynomial);
  using first = evaluator.add(u, conjugate);
  using difference = evaluator.subtract(conjugate, u);
  using second = evaluator.multiplyPlain(difference, evaluator.monomial(half, difference.level));
  const result = evaluateMonicOdd(evaluator, monic, first);
  using other = evaluateMonicOdd(evaluator, monic, second);
  using turned = evaluator.multiplyPlain(other, evaluator.monomial(half, other.level));
  evaluator.addInPlace(result, turned);
  return result;
}
