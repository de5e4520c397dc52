import { at } from '@blindfit/base';
import { CircuitError, type Ciphertext, type Evaluator } from '@blindfit/he';
import { sigmoidLevels, type SigmoidPolynomial } from '../sigmoid.ts';
import { reduceProductInPlace } from './reduce.ts';

/**
 * The odd part of a sigmoid polynomial, made monic: with u = inputFactor * z,
 *
 *   s(z) - 0.5 = sign * u * (u^(d-1) + ... + c1 u^2 + c0)
 *
 * so that the leading coefficient needs no product. The factor comes free with the mask that precedes the circuit.
 */
export interface MonicOdd {
  readonly degree: SigmoidPolynomial['degree'];
  readonly sign: 1 | -1;
  readonly inputFactor: number;
  /** Coefficients of u^0, u^2, u^4 in the bracket; the leading one, 1, is left out. */
  readonly bracket: readonly number[];
}

/** @throws CircuitError when the leading coefficient is zero */
export function monicOdd(polynomial: SigmoidPolynomial): MonicOdd {
  const leading = at(polynomial.odd, polynomial.odd.length - 1, 'coefficients');
  if (leading === 0) throw new CircuitError('a sigmoid polynomial with leading coefficient 0', 'lower the degree');
  const sign = leading > 0 ? 1 : -1;
  const inputFactor = Math.abs(leading) ** (1 / polynomial.degree);
  const bracket = polynomial.odd
    .slice(0, -1)
    .map((coefficient, i) => (sign * coefficient) / inputFactor ** (2 * i + 1));
  return { degree: polynomial.degree, sign, inputFactor, bracket };
}

/**
 * The scale u must have at `level` for {@link evaluateMonicOdd} to end at scale `output`.
 * Each formula is the output scale of the circuit below, solved for u's.
 */
export function inputScale(evaluator: Evaluator, degree: MonicOdd['degree'], level: number, output: number): number {
  const q = (drop: number): number => Number(evaluator.prime(level - drop));
  switch (degree) {
    case 1:
      return output;
    case 3:
      return Math.cbrt(output * q(0) * q(1));
    case 5:
      return (output * q(0) * q(0) * q(1) * q(2)) ** (1 / 5);
    case 7:
      return (output * q(0) ** 3 * q(1) ** 2 * q(2)) ** (1 / 7);
  }
}

/**
 * sign * (s(z) - 0.5) from u: the caller adds or subtracts by the sign, which costs nothing.
 *
 * - In: u at the scale of {@link inputScale}. Out: `sigmoidLevels(degree)` levels lower.
 * - Key switches: one relinearisation a product; degree 1: 0, 3: 2, 5: 3, 7: 4.
 * - Throws: CircuitError when u has too few levels.
 */
export function evaluateMonicOdd(evaluator: Evaluator, polynomial: MonicOdd, u: Ciphertext): Ciphertext {
  const { degree, bracket } = polynomial;
  if (u.level < sigmoidLevels(degree))
    throw new CircuitError(
      `a sigmoid of degree ${degree} at level ${u.level}`,
      `needs ${sigmoidLevels(degree)} levels`,
    );
  if (degree === 1) return evaluator.copy(u);
  using w = product(evaluator, u, u);
  if (degree === 3) {
    addConstant(evaluator, w, at(bracket, 0, 'bracket'));
    return product(evaluator, u, w);
  }
  // w (w + c) + constant: two of the bracket's terms for one product.
  using shifted = evaluator.copy(w);
  addConstant(evaluator, shifted, at(bracket, degree === 5 ? 1 : 2, 'bracket'));
  using inner = product(evaluator, w, shifted);
  addConstant(evaluator, inner, at(bracket, degree === 5 ? 0 : 1, 'bracket'));
  if (degree === 5) return product(evaluator, u, inner);
  using cube = product(evaluator, u, w);
  const sum = product(evaluator, cube, inner);
  using linear = timesConstant(evaluator, u, at(bracket, 0, 'bracket'), sum.level, sum.scale);
  evaluator.addInPlace(sum, linear);
  return sum;
}

/** a * b, relinearised and rescaled; the higher operand is dropped to the lower one's level. */
function product(evaluator: Evaluator, a: Ciphertext, b: Ciphertext): Ciphertext {
  const level = Math.min(a.level, b.level);
  using left = evaluator.dropTo(a, level);
  using right = evaluator.dropTo(b, level);
  const result = a === b ? evaluator.square(left) : evaluator.multiply(left, right);
  reduceProductInPlace(evaluator, result);
  return result;
}

/** a <- a + value in every slot. */
export function addConstant(evaluator: Evaluator, a: Ciphertext, value: number): void {
  using constant = evaluator.encodeConstant(value, a.level, a.scale);
  evaluator.addPlainInPlace(a, constant);
}

/** a * value at the given level and scale; `a` must be above that level. One plaintext product, one rescale. */
export function timesConstant(
  evaluator: Evaluator,
  a: Ciphertext,
  value: number,
  level: number,
  scale: number,
): Ciphertext {
  using lowered = evaluator.dropTo(a, level + 1);
  const factorScale = (scale * Number(evaluator.prime(level + 1))) / lowered.scale;
  using factor = evaluator.encodeConstant(value, level + 1, factorScale);
  const result = evaluator.multiplyPlain(lowered, factor);
  evaluator.rescaleInPlace(result);
  return result;
}
