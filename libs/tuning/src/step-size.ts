/** How far a step of the quadratic gradient may go. */
import { quadraticGradientRow, type SigmoidPolynomial } from '@blindfit/training';
import type { Rows } from './path.ts';

/** Rounds of the power iteration: the largest eigenvalue within a few parts of a hundred. */
const ROUNDS = 30;

/**
 * The learning rate at which the steepest direction is crossed in one step: 1 / (s lambda), with s the largest slope of
 * the polynomial and lambda the largest eigenvalue of diag(b) X^T X. The quadratic gradient's own bound is far below
 * for features that do not correlate, which is why a rate of 1 is slow for them.
 */
export function steepestRate({ x, n, d }: Rows, { odd, degree, range }: SigmoidPolynomial): number {
  const b = quadraticGradientRow(x, n, d);
  let direction = Float64Array.from({ length: d }, (_, j) => 1 / (1 + j));
  let eigenvalue = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const image = new Float64Array(d);
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (let j = 0; j < d; j++) sum += x[i * d + j]! * direction[j]!;
      for (let j = 0; j < d; j++) image[j]! += x[i * d + j]! * sum;
    }
    let largest = 0;
    for (let j = 0; j < d; j++) {
      image[j]! *= b[j]!;
      largest = Math.max(largest, Math.abs(image[j]!));
    }
    if (largest === 0) return 1;
    eigenvalue = largest;
    direction = image.map((value) => value / largest);
  }
  return 1 / (steepest(odd, degree, range) * eigenvalue);
}

/** The largest slope of the polynomial on its range. */
function steepest(odd: readonly number[], degree: number, range: number): number {
  let largest = 0;
  for (let i = 0; i <= 64; i++) {
    const z = (i / 64) * Math.min(range, degree === 1 ? range : range / 2);
    largest = Math.max(
      largest,
      odd.reduce((sum, coefficient, p) => sum + (2 * p + 1) * coefficient * z ** (2 * p), 0),
    );
  }
  return largest;
}
