import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addMultiple } from '../src/seal/add-multiple.ts';

/** Odd numbers serve as well as primes: only their size matters here. */
const MODULI = [
  3n,
  65_537n,
  2n ** 30n - 35n,
  2n ** 40n - 87n,
  2n ** 45n - 55n,
  2n ** 49n + 69n,
  2n ** 50n - 27n,
  2n ** 50n + 55n,
  2n ** 60n - 93n,
];

/** splitmix64: the same numbers in every run. */
let state = 1n;
function random(below: bigint): bigint {
  state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
  let value = BigInt.asUintN(64, (state ^ (state >> 30n)) * 0xbf58476d1ce4e5b9n);
  value = BigInt.asUintN(64, (value ^ (value >> 27n)) * 0x94d049bb133111ebn);
  return (value ^ (value >> 31n)) % below;
}

describe('target += other * constant modulo a prime', () => {
  for (const prime of MODULI) {
    it(`is exact for a modulus of ${prime.toString(2).length} bits`, () => {
      const extreme = [0n, 1n, prime >> 1n, (prime >> 1n) + 1n, prime - 2n, prime - 1n].map((value) => value % prime);
      const values = [...extreme, ...Array.from({ length: 3000 }, () => random(prime))];
      for (const constant of [...extreme, ...Array.from({ length: 6 }, () => random(prime))]) {
        for (const start of [() => 0n, () => prime - 1n, () => random(prime)]) {
          const target = BigUint64Array.from(values, start);
          const expected = target.map((value, k) => (value + (values[k] ?? 0n) * constant) % prime);
          addMultiple(target, BigUint64Array.from(values), constant, prime);
          assert.deepEqual(target, expected);
        }
      }
    });
  }
});
