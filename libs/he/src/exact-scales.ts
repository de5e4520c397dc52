/** Scales are compared here and nowhere else. */
import { at } from '@blindfit/base';
import { CircuitError } from './errors.ts';
import type { Parameters } from './parameters.ts';

/** Scales computed along two paths agree to a few units in the last place of a double, or the circuit is wrong. */
const SCALE_TOLERANCE = 2 ** -44;

/** @throws CircuitError when levels or scales differ */
export function assertSame(
  operation: string,
  a: { level: number; scale: number },
  b: { level: number; scale: number },
): void {
  if (a.level !== b.level) throw new CircuitError(`cannot ${operation}: levels ${a.level} and ${b.level}`);
  assertScale(operation, a.scale, b.scale);
}

/** @throws CircuitError when scales differ */
export function assertScale(operation: string, a: number, b: number): void {
  if (Math.abs(a / b - 1) <= SCALE_TOLERANCE) return;
  throw new CircuitError(`cannot ${operation}: scales 2^${Math.log2(a).toFixed(6)} and 2^${Math.log2(b).toFixed(6)}`);
}

/** A scale that fills the modulus leaves no room for the value. @throws CircuitError where SEAL would refuse */
export function assertRoom({ dataBits }: Parameters, scale: number, level: number): void {
  let bits = 0;
  for (let index = 0; index <= level; index++) bits += at(dataBits, index, 'data primes');
  if (Math.log2(scale) >= bits)
    throw new CircuitError(
      `a scale of 2^${Math.log2(scale).toFixed(1)} at level ${level}`,
      `the modulus there has ${bits} bits`,
    );
}
