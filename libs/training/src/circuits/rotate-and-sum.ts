import type { Ciphertext, Evaluator } from '@blindfit/he';
import type { Layout } from '../layout/layout.ts';

/** Left rotations that sum the slots of every sample into its first one (and something else into the others). */
export function columnSteps({ width }: Pick<Layout, 'width'>): number[] {
  return doublings(1, width);
}

/** Left rotations that sum the rows cyclically: the sum appears in every row. */
export function rowSteps({ rows, columns }: Pick<Layout, 'rows' | 'columns'>): number[] {
  return doublings(columns, rows * columns);
}

function doublings(from: number, below: number): number[] {
  const steps: number[] = [];
  for (let step = from; step < below; step *= 2) steps.push(step);
  return steps;
}

/**
 * a <- a + rot(a, step) for each step: slot s ends with the sum of a[s + every subset sum of the steps].
 * One rotation a step.
 */
export function rotateAndSumInPlace(evaluator: Evaluator, a: Ciphertext, steps: readonly number[]): void {
  if (evaluator.fused?.rotateAndSumInPlace !== undefined) {
    evaluator.fused.rotateAndSumInPlace(a, steps);
    return;
  }
  for (const step of steps) {
    using rotated = evaluator.rotate(a, step);
    evaluator.addInPlace(a, rotated);
  }
}
