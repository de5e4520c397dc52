/** A secret key for tests, made and used by node-seal alone; the tests of `libs/training` use it too. */
import type { Decryptor, Encryptor, KeyGenerator, MainModule, SecretKey } from 'node-seal';
import type { Ciphertext, PairedSlots } from '@blindfit/he';
import { SealCiphertext, SealPlaintext, type SealBackend } from '@blindfit/he/seal';

export class KeyHolder implements Disposable {
  readonly #backend: SealBackend;
  readonly #generator: KeyGenerator;
  readonly #secret: SecretKey;
  readonly #encryptor: Encryptor;
  readonly #decryptor: Decryptor;

  constructor(backend: SealBackend) {
    this.#backend = backend;
    this.#generator = new backend.seal.KeyGenerator(backend.context);
    this.#secret = this.#generator.secretKey();
    const publicKey = this.#generator.createPublicKey();
    this.#encryptor = new backend.seal.Encryptor(backend.context, publicKey, this.#secret);
    publicKey.delete();
    this.#decryptor = new backend.seal.Decryptor(backend.context, this.#secret);
  }

  [Symbol.dispose](): void {
    for (const object of [this.#decryptor, this.#encryptor, this.#secret, this.#generator]) object.delete();
  }

  /** A seeded ciphertext of `first + i second`, as owners make them. */
  encryptToBytes(first: Float64Array, level: number, scale: number, second?: Float64Array): Uint8Array {
    using plain = this.#backend.encode(first, level, scale, second);
    return this.#save(this.#encryptor.encryptSymmetricSerializable(plain.raw));
  }

  decrypt(ciphertext: Ciphertext): PairedSlots {
    if (!(ciphertext instanceof SealCiphertext)) throw new TypeError('not a SEAL ciphertext');
    const raw = new this.#backend.seal.Plaintext();
    this.#decryptor.decrypt(ciphertext.raw, raw);
    using plain = new SealPlaintext(raw, ciphertext.level);
    return this.#backend.decode(plain);
  }

  relinearisationKey(): Uint8Array {
    return this.#save(this.#generator.createRelinKeysSerializable());
  }

  /** @param step 0 for the conjugation */
  galoisKey(step: number): Uint8Array {
    return this.#save(this.#generator.createGaloisKeysSerializableWithSteps(Int32Array.of(step)));
  }

  #save(object: { saveToArray(mode: MainModule['ComprModeType']['zstd']): unknown; delete(): void }): Uint8Array {
    try {
      return object.saveToArray(this.#backend.seal.ComprModeType.zstd) as Uint8Array;
    } finally {
      object.delete();
    }
  }
}
