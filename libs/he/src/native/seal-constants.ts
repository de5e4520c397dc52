/** What SEAL derives from a parameter set: its primes, and the hashes by which it tells parameter sets apart. */
import type { Parameters } from '../parameters.ts';
import type { Words } from './addon.ts';

/** Together they decide primality below 3.3e24 (Sorenson and Webster, 2015). */
const WITNESSES = [2n, 3n, 5n, 7n, 11n, 13n, 17n, 19n, 23n, 29n, 31n, 37n, 41n];
/** `scheme_type::ckks`. */
const CKKS = 2n;

/**
 * The primes that `CoeffModulus::Create` chooses for the bits: the largest primes = 1 mod 2N of each size, smallest
 * first. Data primes, then the special prime.
 */
export function sealPrimes({
  ring,
  coefficientModulusBits,
}: Pick<Parameters, 'ring' | 'coefficientModulusBits'>): bigint[] {
  const tables = new Map<number, bigint[]>();
  for (const bits of new Set(coefficientModulusBits))
    tables.set(bits, largestPrimes(ring, bits, coefficientModulusBits.filter((other) => other === bits).length));
  return coefficientModulusBits.map((bits) => tables.get(bits)?.pop() ?? 0n);
}

function largestPrimes(ring: number, bits: number, count: number): bigint[] {
  const step = BigInt(2 * ring);
  const found: bigint[] = [];
  for (
    let value = (((1n << BigInt(bits)) - 1n) / step) * step + 1n;
    found.length < count && value > 1n << BigInt(bits - 1);
    value -= step
  ) {
    if (isPrime(value)) found.push(value);
  }
  if (found.length < count) throw new RangeError(`there are not ${count} primes of ${bits} bits for N = ${ring}`);
  return found;
}

/** Miller and Rabin's test. @param value odd and above 41 */
function isPrime(value: bigint): boolean {
  if (WITNESSES.some((witness) => value % witness === 0n)) return false;
  let odd = value - 1n;
  let twos = 0;
  while (odd % 2n === 0n) {
    odd /= 2n;
    twos++;
  }
  return WITNESSES.every((witness) => {
    let x = power(witness, odd, value);
    if (x === 1n || x === value - 1n) return true;
    for (let i = 1; i < twos; i++) {
      x = (x * x) % value;
      if (x === value - 1n) return true;
    }
    return false;
  });
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (let square = base % modulus, e = exponent; e > 0n; e >>= 1n) {
    if (e & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

/**
 * SEAL's parms_id of a chain of primes, 4 words: hash of scheme, N, primes and plain modulus 0 (encryptionparams.cpp).
 */
export function parmsId(ring: number, primes: readonly bigint[], blake2b256: (bytes: Uint8Array) => Words): Words {
  const words = BigUint64Array.from([CKKS, BigInt(ring), ...primes, 0n]);
  return blake2b256(new Uint8Array(words.buffer));
}
