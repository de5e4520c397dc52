import assert from 'node:assert/strict';
import { hkdfSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import { isSignedBy, signingKey } from '@blindfit/base/signature';
import { Parameters } from '@blindfit/he';
import { SealBackend } from '@blindfit/he/seal';
import { SecretKeyHolder } from '../src/secret-key.ts';

const PARAMETERS = Parameters.of({ ring: 2048, dataBits: [28], specialBits: 25, scaleBits: 20 });

describe('the signer of a keyset', () => {
  it('is the same for every copy of the secret key', async () => {
    using backend = await SealBackend.open(PARAMETERS);
    using made = SecretKeyHolder.generate(backend);
    using read = SecretKeyHolder.load(backend, made.save());
    assert.equal(read.signer.name, made.signer.name);
    assert.ok(isSignedBy(made.signer.name, 'text', read.signer.sign('text')));
  });

  it('is another one for another secret key', async () => {
    using backend = await SealBackend.open(PARAMETERS);
    using one = SecretKeyHolder.generate(backend);
    using other = SecretKeyHolder.generate(backend);
    assert.notEqual(one.signer.name, other.signer.name);
    assert.ok(!isSignedBy(one.signer.name, 'text', other.signer.sign('text')));
  });

  it('depends on all coefficients and on nothing else that SEAL writes', async () => {
    using backend = await SealBackend.open(PARAMETERS);
    using made = SecretKeyHolder.generate(backend);
    // SEAL's header of 16 bytes is not compressed.
    const body = zstdDecompressSync(made.save().subarray(16));
    const coefficients = body.subarray(body.length - 2 * 2048 * 8);
    const words = new BigUint64Array(new Uint8Array(coefficients).buffer);
    // Two primes of 28 and 25 bits: what precedes them are parameters, sizes and a scale.
    assert.ok(words.subarray(0, 2048).every((word) => word < 1n << 28n));
    assert.ok(words.subarray(2048).every((word) => word < 1n << 25n));
    assert.ok(body.length - coefficients.length < 100, `${body.length - coefficients.length} bytes of headers`);
    const seed = new Uint8Array(hkdfSync('sha256', coefficients, '', 'blindfit signing key/1', 32));
    assert.equal(signingKey(seed).name, made.signer.name);
  });
});
