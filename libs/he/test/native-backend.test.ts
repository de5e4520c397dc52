/** The native evaluator's own encoding, primes, hashes and seeds against node-seal's: equal bytes. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import * as he from '@blindfit/he';
import * as nativeBackend from '@blindfit/he/native';
import * as sealBackend from '@blindfit/he/seal';
import { randomVector } from '@blindfit/testkit';
import { CkksEncoder } from '../src/native/ckks-encoder.ts';
import { parmsId, sealPrimes } from '../src/native/seal-constants.ts';
import { KeyHolder } from './key-holder.ts';

const resolved = await nativeBackend.resolveEvaluator();
const addon = resolved.kind === 'native' ? nativeBackend.loadAddon(resolved.path) : undefined;
const skip = addon === undefined ? `no native evaluator here: ${resolved.why}` : false;

const SETS: readonly { literal: he.ParametersLiteral; security: he.SecurityLevel }[] = [
  { literal: { ring: 1024, dataBits: [50, 40, 40, 40, 40, 40, 40], specialBits: 50, scaleBits: 40 }, security: 'none' },
  { literal: { ring: 2048, dataBits: [60, 55, 33, 45, 45, 45, 45], specialBits: 60, scaleBits: 45 }, security: 'none' },
  { literal: { ring: 16384, dataBits: [50, 40, 40, 40, 40, 40, 40], specialBits: 50, scaleBits: 40 }, security: '128' },
];

for (const { literal, security } of SETS) {
  const parameters = he.Parameters.of(literal, security);
  describe(`native backend, ${parameters.name}`, { skip }, async () => {
    if (addon === undefined) return;
    const seal = await sealBackend.SealBackend.open(parameters);
    const secret = new KeyHolder(seal);
    const native = new nativeBackend.NativeBackend(addon, parameters);
    const { slots, maxLevel } = parameters;
    after(() => {
      native[Symbol.dispose]();
      secret[Symbol.dispose]();
      seal[Symbol.dispose]();
    });
    const same = (expected: he.Ciphertext, actual: he.Ciphertext, what: string): void => {
      assert.ok(
        Buffer.compare(seal.saveCiphertext(expected), native.saveCiphertext(actual)) === 0,
        `${what}: the bytes differ from node-seal's`,
      );
    };

    it('chooses SEAL’s primes and parms_ids', () => {
      const expected = seal.description();
      const primes = sealPrimes(parameters);
      assert.deepEqual(primes, [...expected.primes]);
      const ids = Array.from({ length: maxLevel + 1 }, (_, level) => [
        ...parmsId(parameters.ring, primes.slice(0, level + 1), addon.blake2b256),
      ]).flat();
      assert.deepEqual(ids, [...expected.parmsIds]);
      assert.deepEqual([...parmsId(parameters.ring, primes, addon.blake2b256)], [...expected.keyParmsId]);
    });

    it('encodes as SEAL does', () => {
      const encoder = new CkksEncoder(parameters.ring);
      const vectors: readonly (readonly [string, Float64Array])[] = [
        ['random', randomVector(slots, 1)],
        ['a mask', Float64Array.from({ length: slots }, (_, i) => (i % 64 === 0 ? 0.0731 : 0))],
        ['constant', new Float64Array(slots).fill(-1.25)],
        ['a few', Float64Array.of(1, -2, 3)],
        ['large', randomVector(slots, 2).map((value) => 1e6 * value)],
      ];
      let cases = 0;
      for (const level of new Set([0, 1, maxLevel])) {
        for (const scale of [2 ** 25, parameters.scale, parameters.scale * 1.000123]) {
          for (const [name, values] of vectors) {
            if (Math.log2(scale) + 21 >= literal.dataBits.slice(0, level + 1).reduce((sum, bits) => sum + bits, 0))
              continue;
            using plain = seal.encode(values, level, scale);
            const found = new BigUint64Array((level + 1) * parameters.ring);
            native.ring.fromCoefficients(found, encoder.coefficients(values, scale), level);
            const expected = seal.valuesOf(plain, found.length);
            assert.ok(
              Buffer.compare(
                new Uint8Array(expected.buffer, expected.byteOffset, expected.byteLength),
                new Uint8Array(found.buffer),
              ) === 0,
              `${name} at level ${level}, scale ${scale}`,
            );
            cases++;
          }
        }
      }
      assert.ok(cases >= 20, `${cases} cases`);
    });

    it('expands the seeds of ciphertexts and keys', () => {
      for (let level = 0; level <= maxLevel; level++) {
        const bytes = secret.encryptToBytes(
          randomVector(slots, level + 3),
          level,
          2 ** 25,
          randomVector(slots, level + 4),
        );
        using expected = seal.loadCiphertext(bytes);
        using actual = native.loadCiphertext(bytes);
        same(expected, actual, `a seeded ciphertext at level ${level}`);
      }
      const { none } = seal.seal.ComprModeType;
      const relinearisation = secret.relinearisationKey();
      const whole = seal.loadRelinearisationKey(relinearisation);
      assert.ok(
        Buffer.compare(
          native.packKey(relinearisation, undefined),
          native.packKey(whole.saveToArray(none) as Uint8Array, undefined),
        ) === 0,
        'the relinearisation key',
      );
      whole.delete();
      for (const step of [0, 1, slots / 2]) {
        const bytes = secret.galoisKey(step);
        const key = seal.loadGaloisKey(bytes, step);
        assert.ok(
          Buffer.compare(native.packKey(bytes, step), native.packKey(key.saveToArray(none) as Uint8Array, step)) === 0,
          `the key for step ${step}`,
        );
        key.delete();
        assert.throws(() => native.packKey(bytes, 2), /another rotation/);
      }
    });
  });
}
