import type { Layout } from '../layout/shape.ts';

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
