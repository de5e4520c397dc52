import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { messageWithHint } from '@blindfit/base';
import {
  assertSecure,
  GUIDELINES_2024,
  maxLogQP,
  ParameterError,
  Parameters,
  RINGS,
  SEAL_128,
  type ParametersLiteral,
} from '@blindfit/he';
import { SealBackend } from '@blindfit/he/seal';

const GOOD: ParametersLiteral = { ring: 16384, dataBits: [55, 45, 45, 45, 45, 45, 45], specialBits: 55, scaleBits: 45 };

describe('security tables', () => {
  it('lets the stricter of the two rule, for every ring', () => {
    for (const ring of RINGS) {
      assert.ok(GUIDELINES_2024[ring] <= SEAL_128[ring]);
      assert.equal(maxLogQP(ring), GUIDELINES_2024[ring]);
      assert.doesNotThrow(() => assertSecure(ring, maxLogQP(ring)));
      assert.throws(() => assertSecure(ring, maxLogQP(ring) + 1), ParameterError);
    }
  });
});

describe('parameters', () => {
  it('validates a literal into an immutable set with a name that says what it is', () => {
    const parameters = Parameters.of(GOOD);
    assert.equal(parameters.name, 'N16384QP380L7S45');
    assert.equal(parameters.logQP, 380);
    assert.equal(parameters.maxLevel, 6);
    assert.equal(parameters.slots, 8192);
    assert.ok(Object.isFrozen(parameters) && Object.isFrozen(parameters.dataBits));
    assert.deepEqual(Parameters.of(parameters.toJSON()).fingerprint, parameters.fingerprint);
    assert.notEqual(Parameters.of({ ...GOOD, scaleBits: 44 }).fingerprint, parameters.fingerprint);
  });

  const bad: readonly [string, Partial<ParametersLiteral>, RegExp][] = [
    [
      'a modulus over the 2024 table though SEAL would take it',
      { dataBits: [55, 50, 50, 50, 50, 50, 50], specialBits: 60, ring: 8192 },
      /415 is not 128-bit secure at N = 8192; at most 214/,
    ],
    [
      '435 bits at 16384: between the tables',
      { dataBits: [60, 45, 45, 45, 45, 45, 45, 45], specialBits: 60 },
      /435 is not 128-bit secure.*at most 430 bits \(guidelines of 2024: 430, SEAL: 438\)/,
    ],
    ['a ring that is no power of two', { ring: 10000 }, /ring 10000.*1024, 2048/],
    ['no primes', { dataBits: [] }, /0 data primes/],
    ['a prime too wide', { specialBits: 61 }, /61 bits.*20 to 60/],
    ['a fractional prime', { dataBits: [45.5] }, /45.5 bits/],
    ['a scale beyond reason', { scaleBits: 60 }, /scale of 60 bits/],
    ['NaN', { scaleBits: Number.NaN }, /scale of NaN/],
  ];
  for (const [name, change, message] of bad) {
    it(`refuses ${name}`, () =>
      assert.throws(
        () => Parameters.of({ ...GOOD, ...change }),
        (error) => error instanceof ParameterError && message.test(messageWithHint(error)),
      ));
  }

  it('opens in SEAL with the levels it says', async () => {
    using backend = await SealBackend.open(
      Parameters.of({ ring: 8192, dataBits: [50, 40], specialBits: 60, scaleBits: 40 }),
    );
    assert.equal(backend.primes.length, 2);
    backend.primes.forEach((prime, level) => {
      assert.equal(prime.toString(2).length, [50, 40][level]);
      assert.equal(prime % 16384n, 1n);
    });
    assert.throws(() => backend.prime(2), { message: /no level 2/, hint: /0 to 1/ });
  });
});
