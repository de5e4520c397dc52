/** Compares a rotation with its transforms and with the time to read its key, on one thread with the fastest kernel. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { at } from '@blindfit/base';
import { NativeEvaluator, type NativeBackend } from '@blindfit/he/native';
import { medianMs, ms, note, print } from './measure.ts';

/** Number of keys of 14.7 MB each, more than the caches hold. */
const KEYS = 24;
const ROUNDS = 51;

/**
 * @param key for rotations by 1, as the owner sends it
 * @param encrypted a ciphertext at the top level
 */
export function printLimits(
  name: string,
  backend: NativeBackend,
  key: Uint8Array,
  encrypted: Uint8Array,
  directory: string,
): void {
  const { maxLevel, ring, slots, scale, dataBits } = backend.parameters;
  const values = Float64Array.from({ length: slots }, (_, i) => Math.sin(i));
  const polynomial = backend.encode(values, maxLevel, scale).data.slice();
  // A key switch on k primes and the special one takes k + 2 inverse transforms (the operand and two sums) and
  // k * k + 2 * k forward ones: k to each of k + 1 primes, less k known ones, and 2 to each of k at the end.
  const primes = dataBits.length;
  const [inverses, forwards] = [primes + 2, primes * primes + 2 * primes];
  // The first prime is longer than the others.
  const transform = (body: (level: number) => void): { first: number; other: number } => {
    const first = medianMs(() => body(0), ROUNDS);
    return { first, other: (medianMs(() => body(maxLevel), ROUNDS) - first) / maxLevel };
  };
  const forward = transform((level) => backend.ring.ntt(polynomial.subarray(0, (level + 1) * ring), level));
  const inverse = transform((level) => backend.ring.inverseNtt(polynomial.subarray(0, (level + 1) * ring), level));
  const paths = Array.from({ length: KEYS }, (_, index) => join(directory, `key-${index}`));
  const keys = paths.map((path) => backend.createKey(path, key, 1));
  const evaluators = keys.map(
    (opened) => new NativeEvaluator(backend, { relinearisation: undefined, galois: new Map([[1, opened]]) }),
  );
  let turn = 0;
  const next = <T>(list: readonly T[]): T => at(list, turn++ % list.length, 'list');
  using ciphertext = backend.loadCiphertext(encrypted);
  const rotate = (evaluator: NativeEvaluator): void => evaluator.rotate(ciphertext, 1)[Symbol.dispose]();
  const again = medianMs(() => rotate(next(evaluators.slice(0, 1))), ROUNDS);
  const turned = medianMs(() => rotate(next(evaluators)), 2 * KEYS);
  for (const opened of keys) opened.close();
  const copies = paths.map((path) => readFileSync(path));
  // Comparing reads two of them.
  const read = medianMs(() => next(copies).equals(next(copies)), 2 * KEYS) / 2;
  const us = (milliseconds: number): string => (1000 * milliseconds).toFixed(1);
  const megabytes = (at(copies, 0, 'keys').length / 1e6).toFixed(1);
  print(`A rotation against the machine's limit (${name}, one thread, medians)`, [
    ['', 'milliseconds'],
    [`a key's ${megabytes} MB, read from ${KEYS} of them in turn`, ms(read)],
    [
      `${forwards} forward and ${inverses} inverse transforms at ${us(forward.other)} and ${us(inverse.other)} us ` +
        `(${at(dataBits, primes - 1, 'primes')} bits)`,
      ms(forwards * forward.other + inverses * inverse.other),
    ],
    ['the rotation, with the same key again', ms(again)],
    [`the rotation, with ${KEYS} keys in turn`, ms(turned)],
  ]);
  note([
    `transforms modulo the first prime, of ${at(dataBits, 0, 'primes')} bits, take ${us(forward.first)} and ` +
      `${us(inverse.first)} us`,
  ]);
}
