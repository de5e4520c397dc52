import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { assertFreshlyEncrypted, maxPayloadBytes, Parameters, WireError } from '@blindfit/he';
import { SealBackend } from '@blindfit/he/seal';

const parameters = Parameters.of({ ring: 2048, dataBits: [28], specialBits: 25, scaleBits: 20 });
const LIMIT = maxPayloadBytes({ parameters, fields: { kind: 'ciphertext', level: 0 } });

/** SEAL's bytes of one encryption, seeded or not, and of the same with a second half of zeros. */
async function examples(): Promise<{ seeded: Uint8Array; whole: Uint8Array; transparent: Uint8Array }> {
  using backend = await SealBackend.open(parameters);
  const { seal, context } = backend;
  const generator = new seal.KeyGenerator(context);
  const secret = generator.secretKey();
  const publicKey = generator.createPublicKey();
  const encryptor = new seal.Encryptor(context, publicKey, secret);
  using plain = backend.encode(new Float64Array([1, 2, 3]), 0, 2 ** 20);
  const serializable = encryptor.encryptSymmetricSerializable(plain.raw);
  const ciphertext = new seal.Ciphertext();
  encryptor.encryptSymmetric(plain.raw, ciphertext);
  const none = seal.ComprModeType.none;
  const seeded = serializable.saveToArray(none) as Uint8Array;
  const whole = ciphertext.saveToArray(none) as Uint8Array;
  const transparent = whole.slice();
  transparent.fill(0, transparent.length - 8 * parameters.ring);
  for (const object of [serializable, ciphertext, encryptor, publicKey, secret, generator]) object.delete();
  return { seeded, whole, transparent };
}

function compressed(bytes: Uint8Array): Uint8Array {
  const packed = Buffer.concat([bytes.subarray(0, 16), zstdCompressSync(bytes.subarray(16))]);
  packed.writeUInt8(2, 5);
  packed.writeBigUInt64LE(BigInt(packed.length), 8);
  return packed;
}

describe('freshly encrypted ciphertexts', () => {
  it('are those with a seed, compressed or not', async () => {
    const { seeded } = await examples();
    assertFreshlyEncrypted(seeded, LIMIT);
    assertFreshlyEncrypted(compressed(seeded), LIMIT);
  });

  it('are not those with both halves, transparent or not', async () => {
    const { whole, transparent } = await examples();
    for (const bytes of [whole, transparent, compressed(whole), compressed(transparent)])
      assert.throws(() => assertFreshlyEncrypted(bytes, LIMIT), WireError);
  });

  it('are not those with both halves and the seed of another one behind them', async () => {
    const { seeded, transparent } = await examples();
    // Behind header, fields and half of the coefficients.
    const seed = seeded.subarray(16 + 73 + 16 + 8 + 8 * parameters.ring);
    const both = Buffer.concat([transparent, seed]);
    both.writeBigUInt64LE(BigInt(both.length), 8);
    assert.throws(() => assertFreshlyEncrypted(both, LIMIT), /second half is not a seed/);
  });
});
