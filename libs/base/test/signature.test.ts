import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, hkdfSync, sign } from 'node:crypto';
import { describe, it } from 'node:test';
import { deriveSigningKey, isSignedBy, signingKey } from '@blindfit/base/signature';

// RFC 8032, section 7.1, test 2.
const SEED = Buffer.from('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb', 'hex');
const PUBLIC = '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c';
const SIGNATURE =
  '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da' +
  '085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00';

describe('signatures', () => {
  const key = signingKey(SEED);

  it('are those of RFC 8032', () => {
    assert.equal(key.name, `ed25519:${PUBLIC}`);
    assert.equal(key.sign('r'), SIGNATURE);
    assert.ok(isSignedBy(key.name, 'r', SIGNATURE));
  });

  it('agree with those of OpenSSL', () => {
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), SEED]);
    const secret = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    const text = 'schöne Zeilen\nund noch eine';
    assert.equal(key.sign(text), sign(null, Buffer.from(text), secret).toString('hex'));
    const jwk = createPublicKey(secret).export({ format: 'jwk' });
    assert.equal(key.name, `ed25519:${Buffer.from(String(jwk.x), 'base64url').toString('hex')}`);
  });

  it('of a key of small order, which would fit every text, fit none', () => {
    const identity = `01${'00'.repeat(31)}`;
    for (const text of ['a', 'b']) assert.ok(!isSignedBy(`ed25519:${identity}`, text, identity + '00'.repeat(32)));
  });

  it('do not change when the seed is wiped', () => {
    const seed = Uint8Array.from(SEED);
    const own = signingKey(seed);
    seed.fill(0);
    assert.equal(own.sign('r'), SIGNATURE);
  });

  it('fit one text, one key and one signature', () => {
    const other = signingKey(SEED.map((byte) => byte ^ 1));
    assert.ok(!isSignedBy(key.name, 's', SIGNATURE));
    assert.ok(!isSignedBy(other.name, 'r', SIGNATURE));
    for (let position = 0; position < SIGNATURE.length; position += 9) {
      const digit = SIGNATURE[position] === '0' ? '1' : '0';
      assert.ok(!isSignedBy(key.name, 'r', SIGNATURE.slice(0, position) + digit + SIGNATURE.slice(position + 1)));
    }
  });

  it('are refused where their form is another one', () => {
    const bad = ['', SIGNATURE.toUpperCase(), SIGNATURE.slice(2), `${SIGNATURE}00`, `${SIGNATURE}\n`, 'g'.repeat(128)];
    for (const signature of bad) assert.ok(!isSignedBy(key.name, 'r', signature), signature);
    for (const name of ['', PUBLIC, `ed25519:${PUBLIC.toUpperCase()}`, `ed25519:${'ff'.repeat(32)}`])
      assert.ok(!isSignedBy(name, 'r', SIGNATURE), name);
  });

  it('of keys of small order, which fit every text, are refused', () => {
    // The neutral element as key and as R, with s = 0.
    const neutral = `01${'00'.repeat(31)}`;
    assert.ok(!isSignedBy(`ed25519:${neutral}`, 'anything', `${neutral}${'00'.repeat(32)}`));
  });

  it('of a derived key follow from the secret and the purpose, by HKDF, whose seed is wiped', (t) => {
    const seedOf = (purpose: string): Uint8Array => new Uint8Array(hkdfSync('sha256', SEED, '', purpose, 32));
    const names = ['a', 'b'].map((purpose) => signingKey(seedOf(purpose)).name);
    const fill = t.mock.method(Uint8Array.prototype, 'fill');
    assert.deepEqual(
      ['a', 'b'].map((purpose) => deriveSigningKey(SEED, purpose).name),
      names,
    );
    const wiped = fill.mock.calls.flatMap(({ this: bytes, arguments: [value] }) =>
      value === 0 && (bytes as Uint8Array).length === 32 ? [bytes as Uint8Array] : [],
    );
    assert.ok(wiped.length >= 2);
  });
});
