import { at } from '@blindfit/base';
import type { Ciphertext, Evaluator } from '@blindfit/he';
import type { SigmoidPolynomial } from '../sigmoid.ts';
import { addConstant, evaluateMonicOdd, monicOdd, timesConstant } from './odd-polynomial.ts';
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
    // The identities below yield 4 (a^3 + i b^3) and 16 (a^5 + i b^5).
    case 3:
      return inputFactor / Math.cbrt(4);
    case 5:
      return inputFactor / 16 ** (1 / 5);
    default:
      // Splitting by u + conj u doubles.
      return inputFactor / 2;
  }
}

/**
 * sign * (p(a) + i p(b)) for p = s - 0.5, slot by slot: both classes of a pair at once. The sign is that of `monicOdd`.
 *
 * - In: u at the scale of `inputScale`. Out: `sigmoidLevels(degree)` levels lower.
 * - Key switches: degree 1: 0, 3: 3, 5: 5, 7: 9; one of them the conjugation. Keys: relinearisation, conjugation.
 *
 * Degrees 3 and 5 need no splitting: with u = a + i b and v = conj u,
 *   a^3 + i b^3 = v (3 u^2 + v^2) / 4,   a^5 + i b^5 = u (u^4 + 10 u^2 v^2 + 5 v^4) / 16.
 */
export function evaluatePairedOdd(evaluator: Evaluator, polynomial: SigmoidPolynomial, u: Ciphertext): Ciphertext {
  if (polynomial.degree === 1) return evaluator.copy(u);
  using conjugate = evaluator.conjugate(u);
  switch (polynomial.degree) {
    case 3:
      return cubic(evaluator, polynomial, u, conjugate);
    case 5:
      return quintic(evaluator, polynomial, u, conjugate);
    default:
      return split(evaluator, polynomial, u, conjugate);
  }
}

function cubic(evaluator: Evaluator, polynomial: SigmoidPolynomial, u: Ciphertext, conjugate: Ciphertext): Ciphertext {
  using squares = evaluator.square(conjugate);
  using square = evaluator.square(u);
  addTimes(evaluator, squares, square, 3);
  reduceProductInPlace(evaluator, squares);
  using lowered = evaluator.dropTo(conjugate, squares.level);
  const sum = evaluator.multiply(lowered, squares);
  reduceProductInPlace(evaluator, sum);
  const linear = (monicOdd(polynomial).sign * at(polynomial.odd, 0, 'coefficients')) / pairedInputFactor(polynomial);
  using term = timesConstant(evaluator, u, linear, sum.level, sum.scale);
  evaluator.addInPlace(sum, term);
  return sum;
}

/**
 * sign p = u (s^2 + 10 s t + 5 t^2 + c1) + v c3 (3 s + t), with s = u^2, t = v^2: both products share one
 * relinearisation.
 */
function quintic(evaluator: Evaluator, polynomial: SigmoidPolynomial, u: Ciphertext, v: Ciphertext): Ciphertext {
  const factor = pairedInputFactor(polynomial);
  const { sign } = monicOdd(polynomial);
  const [linear = 0, third = 0] = polynomial.odd;
  using s = evaluator.square(u);
  reduceProductInPlace(evaluator, s);
  using t = evaluator.square(v);
  reduceProductInPlace(evaluator, t);
  // s^2 + 10 s t + 5 t^2 = (s + 5 t)^2 - 5 (2 t)^2
  using shifted = evaluator.copy(s);
  addTimes(evaluator, shifted, t, 5);
  using fourth = evaluator.square(shifted);
  using double = evaluator.add(t, t);
  using excess = evaluator.square(double);
  evaluator.negateInPlace(excess);
  addTimes(evaluator, fourth, excess, 5);
  reduceProductInPlace(evaluator, fourth);
  addConstant(evaluator, fourth, (sign * linear) / factor);
  using cubes = evaluator.copy(t);
  addTimes(evaluator, cubes, s, 3);
  using second = timesConstant(evaluator, cubes, (sign * third) / (4 * factor ** 3), fourth.level, fourth.scale);
  using left = evaluator.dropTo(u, fourth.level);
  using right = evaluator.dropTo(v, fourth.level);
  const sum = evaluator.multiply(left, fourth);
  using other = evaluator.multiply(right, second);
  evaluator.addInPlace(sum, other);
  reduceProductInPlace(evaluator, sum);
  return sum;
}

/** a <- a + times * b */
function addTimes(evaluator: Evaluator, a: Ciphertext, b: Ciphertext, times: number): void {
  for (let i = 0; i < times; i++) evaluator.addInPlace(a, b);
}

/**
 * u + conj u = 2 a; J (conj u - u) = 2 b on even slots and -2 b on odd ones, which an odd polynomial carries through to
 * the product with J.
 */
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
