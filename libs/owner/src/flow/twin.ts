/** The clear twin as judge: encryption keeps results secret, and the twin tells whether they are right. */
import { at } from '@blindfit/base';
import { ModelError } from '../errors.ts';

type Weights = readonly ArrayLike<number>[];

/** The largest absolute difference of two sets of weights; infinite where one is no number. */
export function largestDifference(a: Weights, b: Weights): number {
  let largest = 0;
  for (const [label, row] of a.entries()) {
    const other = at(b, label, 'classes');
    for (let j = 0; j < row.length; j++) {
      const difference = Math.abs(at(row, j, 'weights') - at(other, j, 'weights'));
      if (!(difference <= largest)) largest = Number.isNaN(difference) ? Infinity : difference;
    }
  }
  return largest;
}

/**
 * @param precision the largest difference that the plan allows
 * @returns the largest difference to the twin's weights
 * @throws ModelError when it is larger
 */
export function checkAgainstTwin(weights: Weights, twin: Weights, precision: number): number {
  const difference = largestDifference(weights, twin);
  if (difference <= precision) return difference;
  throw new ModelError(
    'the model is not the one that this training gives: a weight differs by ' +
      `${difference.toPrecision(3)} from the clear twin`,
    `the plan allows ${precision.toPrecision(3)}: the servers returned something else, or have computed it wrongly; ` +
      'the model is not used',
  );
}
