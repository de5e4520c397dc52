import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Parameters } from '@blindfit/he';
import { SealBackend } from '@blindfit/he/seal';
import { SecretKeyHolder } from '../src/index.ts';

it("compresses as SEAL does: SEAL itself reads the owner's ciphertexts and keys", async () => {
  using backend = await SealBackend.open(Parameters.of({ ring: 2048, dataBits: [28], specialBits: 25, scaleBits: 20 }));
  using secret = SecretKeyHolder.generate(backend);
  const { seal, context } = backend;
  const ciphertext = new seal.Ciphertext();
  const relinearisation = new seal.RelinKeys();
  const galois = new seal.GaloisKeys();
  try {
    const values = Float64Array.from({ length: 1024 }, (_, slot) => Math.cos(slot));
    ciphertext.loadFromArray(context, secret.encryptToBytes(values, 0, 2 ** 20));
    assert.equal(ciphertext.size(), 2);
    relinearisation.loadFromArray(context, secret.relinearisationKey());
    assert.ok(relinearisation.hasKey(2));
    galois.loadFromArray(context, secret.galoisKey(1));
    assert.ok(galois.hasKey(3));
  } finally {
    for (const each of [ciphertext, relinearisation, galois]) each.delete();
  }
});
