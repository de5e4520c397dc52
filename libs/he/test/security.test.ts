/** Golden values: the two security tables as printed, and fingerprints, which name blobs and keysets on disk. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertSecure, GUIDELINES_2024, maxLogQP, Parameters, RINGS, SEAL_128, type Ring } from '@blindfit/he';

/** Largest log2(QP) for 128 bits and a ternary secret: guidelines of 2024 (Table 5.2), then SEAL 4.1 (hestdparms.h). */
const TABLES: readonly (readonly [Ring, number, number])[] = [
  [1024, 26, 27],
  [2048, 53, 54],
  [4096, 106, 109],
  [8192, 214, 218],
  [16384, 430, 438],
  [32768, 868, 881],
];

describe('128-bit security', () => {
  it('has the values of both tables for every ring', () => {
    assert.deepEqual(
      TABLES.map(([ring]) => ring),
      [...RINGS],
    );
    for (const [ring, guidelines, seal] of TABLES) {
      assert.equal(GUIDELINES_2024[ring], guidelines);
      assert.equal(SEAL_128[ring], seal);
      assert.equal(maxLogQP(ring), guidelines);
      assert.doesNotThrow(() => assertSecure(ring, guidelines));
      assert.throws(() => assertSecure(ring, guidelines + 1), { code: 'HE_PARAMETERS' });
    }
  });

  it('is asked for unless the caller says otherwise, with the special prime counted', () => {
    const literal = { ring: 8192, dataBits: [60, 60, 34], specialBits: 60, scaleBits: 34 };
    assert.equal(Parameters.of(literal).security, '128');
    assert.throws(() => Parameters.of({ ...literal, specialBits: 40, dataBits: [60, 60, 55] }), /215 is not 128-bit/);
    assert.equal(Parameters.of({ ...literal, dataBits: [60, 60, 60] }, 'none').logQP, 240);
  });
});

describe('limits of a parameter set', () => {
  const literal = { ring: 1024, dataBits: [40, 30], specialBits: 40, scaleBits: 30 };
  const of = (change: object): Parameters => Parameters.of({ ...literal, ...change }, 'none');
  it('are met and not passed', () => {
    for (const change of [
      { specialBits: 20 },
      { specialBits: 60 },
      { dataBits: [20] },
      { dataBits: Array.from({ length: 30 }, () => 20) },
      { scaleBits: 10 },
      { scaleBits: 59 },
    ])
      assert.doesNotThrow(() => of(change), JSON.stringify(change));
    for (const change of [
      { specialBits: 19 },
      { specialBits: 61 },
      { dataBits: [19] },
      { dataBits: [61] },
      { dataBits: Array.from({ length: 31 }, () => 20) },
      { scaleBits: 9 },
      { scaleBits: 60 },
      { scaleBits: 30.5 },
      { ring: 512 },
      { ring: 65536 },
    ])
      assert.throws(() => of(change), { code: 'HE_PARAMETERS' }, JSON.stringify(change));
  });
});

describe('the fingerprint', () => {
  const literal = { ring: 16384, dataBits: [55, 45, 45, 45, 45, 45, 45], specialBits: 55, scaleBits: 45 };
  it('is the SHA-256 that earlier releases wrote', () => {
    assert.equal(
      Parameters.of(literal).fingerprint,
      '4968f469a6d1f719920f089c4de85b4707053aea71fe021ec87d6839fc8b1f08',
    );
  });

  it('changes with each field', () => {
    const { fingerprint } = Parameters.of(literal);
    for (const change of [
      { ring: 32768 },
      { dataBits: [55, 45, 45, 45, 45, 45, 44] },
      { dataBits: [45, 55, 45, 45, 45, 45, 45] },
      { specialBits: 54 },
      { scaleBits: 44 },
    ])
      assert.notEqual(Parameters.of({ ...literal, ...change }).fingerprint, fingerprint, JSON.stringify(change));
  });
});
