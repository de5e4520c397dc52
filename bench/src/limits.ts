/** How far a rotation is from what the machine allows: the transforms it consists of, and the key it reads. One thread, the fastest kernel. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NativeEvaluator, type NativeBackend } from '@blindfit/he/native';
import { medianMs, ms, print } from './measure.ts';

/** More than caches hold of what is 14.7 MB each. */
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
  // Of a key switch on k primes and the special one. Inverse: k of the operand and 2 of the sums. Forward: k to each of k + 1 primes, less k
  // that are known, and 2 to each of k in the end.
  const primes = dataBits.length;
  const [inverses, forwards] = [primes + 2, primes * primes + 2 * primes];
  // The first prime is a longer one.
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
  const next = <T>(of: readonly T[]): T => {
    const item = of[turn++ % of.length];
    if (item === undefined) throw new RangeError('nothing to take turns with');
    return item;
  };
  using ciphertext = backend.loadCiphertext(encrypted);
  const rotate = (evaluator: NativeEvaluator): void => evaluator.rotate(ciphertext, 1)[Symbol.dispose]();
  const again = medianMs(() => rotate(next(evaluators.slice(0, 1))), ROUNDS);
  const turned = medianMs(() => rotate(next(evaluators)), 2 * KEYS);
  for (const opened of keys) opened.close();
  const copies = paths.map((path) => readFileSync(path));
  // Comparing reads two of them.
  const read = medianMs(() => next(copies).equals(next(copies)), 2 * KEYS) / 2;
  const us = (milliseconds: number): string => (1000 * milliseconds).toFixed(1);
  print(`A rotation against the machine's limit (${name}, one thread, medians)`, [
    ['', 'milliseconds'],
    [`a key's ${((copies[0]?.length ?? 0) / 1e6).toFixed(1)} MB, read from ${KEYS} of them in turn`, ms(read)],
    [
      `${forwards} forward and ${inverses} inverse transforms at ${us(forward.other)} and ` +
        `${us(inverse.other)} us (${dataBits.at(-1) ?? 0} bits)`,
      ms(forwards * forward.other + inverses * inverse.other),
    ],
    ['the rotation, with the same key again', ms(again)],
    [`the rotation, with ${KEYS} keys in turn`, ms(turned)],
  ]);
  process.stdout.write(
    `transforms modulo the first prime, of ${dataBits[0] ?? 0} bits, take ${us(forward.first)} and ` +
      `${us(inverse.first)} us\n`,
  );
}
