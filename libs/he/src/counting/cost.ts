/** Cost of single operations: what a `CountingEvaluator` adds up. */

export type PricedOperation =
  | 'rotate'
  | 'relinearise'
  | 'rescale'
  | 'multiply'
  | 'square'
  | 'multiplyPlain'
  | 'add'
  | 'addPlain'
  | 'negate'
  | 'copy'
  | 'drop'
  | 'encode'
  | 'encodePair'
  | 'monomial';

/**
 * The cost of one operation, in any unit.
 * @param level of the operands; of a drop, the level of the result
 * @param size polynomials of the first operand
 */
export type CostFunction = (operation: PricedOperation, level: number, size: number) => number;

/**
 * Cost of a key switch on k primes, in number-theoretic transforms of length N: k inverse ones of the operand, k for
 * each of the k + 1 moduli of the key, and 2 (k + 1) to divide by the special prime.
 */
export function keySwitchTransforms(primes: number): number {
  return primes * primes + 4 * primes + 2;
}

// Linear costs in transforms per prime, measured by `blindfit plan` with the native evaluator, whose rotation takes 43
// us a transform: 0.21 ms for a product on 7 primes, 0.19 ms for a product with a plaintext, 0.15 ms for a sum.
const MULTIPLY_PER_PRIME = 0.75;
const MULTIPLY_PLAIN_PER_PRIME = 0.6;
const ADD_PER_PRIME = 0.35;

/** The default cost, in transforms of length N. Copies and drops are free; plaintexts are cached and cost little. */
export const transformsOf: CostFunction = (operation, level, size) => {
  const primes = level + 1;
  switch (operation) {
    case 'rotate':
    case 'relinearise':
      return keySwitchTransforms(primes);
    case 'rescale':
      return size * (primes + 1);
    case 'multiply':
    case 'square':
      return MULTIPLY_PER_PRIME * primes;
    case 'multiplyPlain':
      return MULTIPLY_PLAIN_PER_PRIME * primes;
    case 'add':
    case 'addPlain':
    case 'negate':
      return ADD_PER_PRIME * primes;
    case 'encode':
      return 1;
    case 'encodePair':
      return 2;
    case 'copy':
    case 'drop':
    case 'monomial':
      return 0;
  }
};
