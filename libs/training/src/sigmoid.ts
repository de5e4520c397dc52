/**
 * Polynomial approximations of the sigmoid. All are 0.5 plus an odd polynomial, because sigmoid(z) - 0.5 is odd.
 */
import { at } from '@blindfit/base';
import { ParameterError } from '@blindfit/he';

export const SIGMOID_DEGREES = [1, 3, 5, 7] as const;
export type SigmoidDegree = (typeof SIGMOID_DEGREES)[number];

export interface SigmoidPolynomial {
  readonly degree: SigmoidDegree;
  /** The polynomial is meant for |z| <= range. */
  readonly range: number;
  /** Coefficients of z, z^3, z^5, ...: (degree + 1) / 2 of them. */
  readonly odd: readonly number[];
}

/** The paper's polynomial (docs/reference/encryption.md, "The method"). */
export const PAPER_SIGMOID: SigmoidPolynomial = Object.freeze({
  degree: 3,
  range: 8,
  odd: Object.freeze([0.10679534503216294, -0.00038503259805075]),
});

export function sigmoid(z: number): number {
  return 1 / (1 + Math.exp(-z));
}

export function isSigmoidDegree(value: number): value is SigmoidDegree {
  return (SIGMOID_DEGREES as readonly number[]).includes(value);
}

/** The odd part: s(z) - 0.5. */
export function evaluateOdd(polynomial: SigmoidPolynomial, z: number): number {
  const square = z * z;
  let sum = 0;
  for (let i = polynomial.odd.length - 1; i >= 0; i--) sum = sum * square + at(polynomial.odd, i, 'coefficients');
  return sum * z;
}

/** A polynomial that is further from the sigmoid than this pushes weights where the sigmoid would not. */
const LARGEST_ERROR = 0.35;

/**
 * The largest |z| up to which the polynomial is near the sigmoid. It lies beyond the range that the polynomial was
 * fitted on: shortly outside of it, gradients are a little off and training still goes the right way.
 */
export function reachOf(polynomial: SigmoidPolynomial): number {
  // A straight line is a regression of its own, right wherever it goes.
  if (polynomial.degree === 1) return Infinity;
  const step = polynomial.range / 256;
  let z = polynomial.range;
  while (z < 4 * polynomial.range && Math.abs(0.5 + evaluateOdd(polynomial, z) - sigmoid(z)) <= LARGEST_ERROR)
    z += step;
  return z - step;
}

/** Levels the encrypted evaluation consumes. */
export function sigmoidLevels(degree: SigmoidDegree): number {
  return { 1: 0, 3: 2, 5: 3, 7: 3 }[degree];
}

/**
 * Least-squares fit of the sigmoid on [-range, range] in the basis of odd Legendre polynomials, whose orthogonality
 * makes every coefficient one integral (Gauss-Legendre would do; a fine midpoint rule is exact to 1e-9 here).
 * @throws ParameterError for a degree other than 1, 3, 5, 7 or a range outside (0, 64]
 */
export function fitSigmoid(degree: number, range: number): SigmoidPolynomial {
  if (!isSigmoidDegree(degree))
    throw new ParameterError(`sigmoid degree ${degree}`, `allowed: ${SIGMOID_DEGREES.join(', ')}`);
  if (!(range > 0 && range <= 64)) throw new ParameterError(`sigmoid range ${range}`, 'allowed: above 0, at most 64');
  // Odd Legendre polynomials on [-1, 1], by ascending odd powers.
  const legendre: readonly (readonly number[])[] = [
    [1],
    [-3 / 2, 5 / 2],
    [15 / 8, -70 / 8, 63 / 8],
    [-35 / 16, 315 / 16, -693 / 16, 429 / 16],
  ];
  const terms = (degree + 1) / 2;
  const odd = new Array<number>(terms).fill(0);
  const points = 20_000;
  for (let k = 0; k < terms; k++) {
    const basis: SigmoidPolynomial = { degree, range: 1, odd: legendre[k] ?? [] };
    let integral = 0;
    for (let i = 0; i < points; i++) {
      const x = (i + 0.5) / points;
      integral += (sigmoid(range * x) - 0.5) * evaluateOdd(basis, x);
    }
    const weight = ((4 * k + 3) * integral) / points;
    basis.odd.forEach((coefficient, i) => {
      odd[i] = at(odd, i, 'coefficients') + (weight * coefficient) / range ** (2 * i + 1);
    });
  }
  return Object.freeze({ degree, range, odd: Object.freeze(odd) });
}
