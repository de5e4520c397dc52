/**
 * The owner's secret: everything that needs it is here, and no server-side package may import this one.
 */
import type { Decryptor, Encryptor, KeyGenerator, MainModule, SecretKey } from 'node-seal';
import { deriveSigningKey, type SigningKey } from '@blindfit/base/signature';
import { compressedPayload, CONJUGATION, type Ciphertext, discard, type PairedSlots } from '@blindfit/he';
import { plainArray, sealCall, SealCiphertext, SealPlaintext, type SealBackend } from '@blindfit/he/seal';

export class SecretKeyHolder implements Disposable {
  readonly backend: SealBackend;
  /** Signs what only the owner may do. It follows from the secret key, so every copy of that has the same. */
  readonly signer: SigningKey;
  readonly #secret: SecretKey;
  readonly #generator: KeyGenerator;
  readonly #encryptor: Encryptor;
  readonly #decryptor: Decryptor;

  private constructor(backend: SealBackend, generator: KeyGenerator) {
    this.backend = backend;
    this.#generator = generator;
    this.#secret = generator.secretKey();
    const { seal } = backend;
    const publicKey = generator.createPublicKey();
    this.#encryptor = new seal.Encryptor(backend.context, publicKey, this.#secret);
    publicKey.delete();
    this.signer = this.#deriveSigner();
    this.#decryptor = new seal.Decryptor(backend.context, this.#secret);
  }

  /** A fresh secret key from the operating system's randomness. */
  static generate(backend: SealBackend): SecretKeyHolder {
    return new SecretKeyHolder(
      backend,
      sealCall('generate a secret key', () => new backend.seal.KeyGenerator(backend.context)),
    );
  }

  /** @throws SealError when the bytes are no secret key of the backend's parameters */
  static load(backend: SealBackend, bytes: Uint8Array): SecretKeyHolder {
    const secret = new backend.seal.SecretKey();
    try {
      sealCall('load the secret key', () => secret.loadFromArray(backend.context, plainArray(bytes)));
      return new SecretKeyHolder(backend, new backend.seal.KeyGenerator(backend.context, secret));
    } finally {
      secret.delete();
    }
  }

  /** From the key's coefficients alone: headers change with versions of SEAL. */
  #deriveSigner(): SigningKey {
    const { parameters, seal } = this.backend;
    const bytes = sealCall(
      'read the secret key',
      () => this.#secret.saveToArray(seal.ComprModeType.none) as Uint8Array,
    );
    const primes = parameters.dataBits.length + 1;
    try {
      return deriveSigningKey(bytes.subarray(bytes.length - 8 * parameters.ring * primes), 'blindfit signing key/1');
    } finally {
      bytes.fill(0);
    }
  }

  [Symbol.dispose](): void {
    this.#decryptor.delete();
    this.#encryptor.delete();
    this.#secret.delete();
    this.#generator.delete();
  }

  /** SEAL's bytes of the secret key: for a file of mode 0600 and nothing else. */
  save(): Uint8Array {
    return sealCall(
      'save the secret key',
      () => this.#secret.saveToArray(this.backend.seal.ComprModeType.zstd) as Uint8Array,
    );
  }

  /** The relinearisation key, seed-compressed: half the size of a loaded one. */
  relinearisationKey(): Uint8Array {
    return sealCall('make the relinearisation key', () => {
      const key = this.#generator.createRelinKeysSerializable();
      try {
        return this.#compressed(key);
      } finally {
        key.delete();
      }
    });
  }

  /** The key of one rotation step (0: the conjugation), seed-compressed. */
  galoisKey(step: number): Uint8Array {
    const what = step === CONJUGATION ? 'the conjugation key' : `the rotation key for step ${step}`;
    return sealCall(`make ${what}`, () => {
      const key = this.#generator.createGaloisKeysSerializableWithSteps(Int32Array.of(step));
      try {
        return this.#compressed(key);
      } finally {
        key.delete();
      }
    });
  }

  /** Encrypts `first + i second` with the secret key; the random half travels as a seed. */
  encryptToBytes(first: Float64Array, level: number, scale: number, second?: Float64Array): Uint8Array {
    using plain = this.backend.encode(first, level, scale, second);
    return sealCall('encrypt', () => {
      const ciphertext = this.#encryptor.encryptSymmetricSerializable(plain.raw);
      try {
        return this.#compressed(ciphertext);
      } finally {
        ciphertext.delete();
      }
    });
  }

  #compressed(object: { saveToArray(mode: MainModule['ComprModeType']['none']): unknown }): Uint8Array {
    const plain = object.saveToArray(this.backend.seal.ComprModeType.none) as Uint8Array;
    const bytes = compressedPayload(plain);
    // Browsers have no zstd: there the payload stays as it is.
    if (bytes.buffer !== plain.buffer) discard(plain);
    return bytes;
  }

  decrypt(ciphertext: Ciphertext): PairedSlots {
    if (!(ciphertext instanceof SealCiphertext)) throw new TypeError('not a SEAL ciphertext');
    const raw = new this.backend.seal.Plaintext();
    sealCall('decrypt', () => this.#decryptor.decrypt(ciphertext.raw, raw));
    using plain = new SealPlaintext(raw, ciphertext.level);
    return this.backend.decode(plain);
  }
}
