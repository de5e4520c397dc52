/**
 * One CKKS parameter set for the native evaluator: tables, buffers, plaintexts and serialisation. Outside, ciphertexts
 * and keys are SEAL's bytes; no instance of SEAL is needed to read, compute and write them.
 */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { Ciphertext, Plaintext } from '../ciphertext.ts';
import { constantContent, residue } from '../constants.ts';
import { discard } from '../discard.ts';
import { CircuitError, WireError } from '../errors.ts';
import { checkedPayload } from '../formats/payload.ts';
import { maxPayloadBytes } from '../formats/wire.ts';
import { galoisElement } from '../galois.ts';
import type { Parameters } from '../parameters.ts';
import type { Kernel, NativeAddon, NativeKey, NativeRing, Words } from './addon.ts';
import { BufferPool } from './buffer-pool.ts';
import { CkksEncoder } from './ckks-encoder.ts';
import { parmsId, sealPrimes } from './seal-constants.ts';

/** Offset of the numbers of polynomials, coefficients and primes in an uncompressed ciphertext, 8 bytes each. */
const SIZE_FIELDS = 16 + 32 + 1;
/** Polynomials of a product before it is relinearised. */
const MAX_POLYNOMIALS = 3;
/** Monomials and masks kept for reuse; one is at most 8 bytes x N x primes. */
export const MAX_PLAINTEXTS = 64;

export class NativeCiphertext implements Ciphertext {
  /** size x (level + 1) x N, as `addon.ts` says. */
  data: Words;
  size: number;
  level: number;
  scale: number;
  readonly #giveBack: (data: Words) => void;
  #freed = false;

  /** @param giveBack called with data that is not needed any more */
  constructor(
    giveBack: (data: Words) => void,
    data: Words,
    { size, level, scale }: { readonly size: number; readonly level: number; readonly scale: number },
  ) {
    this.#giveBack = giveBack;
    this.data = data;
    this.size = size;
    this.level = level;
    this.scale = scale;
  }

  /** Takes the place of the content; the old buffer goes back. */
  replace(data: Words, size: number, level: number): void {
    this.#giveBack(this.data);
    this.data = data;
    this.size = size;
    this.level = level;
  }

  [Symbol.dispose](): void {
    if (this.#freed) return;
    this.#freed = true;
    this.#giveBack(this.data);
  }
}

export class NativePlaintext implements Plaintext {
  /** (level + 1) x N. */
  readonly data: Words;
  readonly level: number;
  readonly scale: number;

  constructor(data: Words, level: number, scale: number) {
    this.data = data;
    this.level = level;
    this.scale = scale;
  }

  [Symbol.dispose](): void {
    // The backend keeps plaintexts for reuse; garbage collection frees them.
  }
}

export class NativeBackend implements Disposable {
  readonly parameters: Parameters;
  readonly ring: NativeRing;
  readonly pool: BufferPool;
  readonly #addon: NativeAddon;
  /** Data primes, q0 first, then the special one. */
  readonly #primes: readonly bigint[];
  /** Made when something is encoded: its tables take longer than opening all keys. */
  #encoder: CkksEncoder | undefined;
  /** In order of use, the oldest first. */
  readonly #plaintexts = new Map<string, Words>();

  /** @param kernel the fastest possible when left out */
  constructor(addon: NativeAddon, parameters: Parameters, kernel?: Kernel) {
    this.#addon = addon;
    this.parameters = parameters;
    const { ring, maxLevel } = parameters;
    this.#primes = sealPrimes(parameters);
    const ids = Array.from({ length: maxLevel + 1 }, (_, level) =>
      parmsId(ring, this.#primes.slice(0, level + 1), addon.blake2b256),
    );
    const given = [
      ring,
      BigUint64Array.from(this.#primes),
      BigUint64Array.from(ids.flatMap((id) => [...id])),
      parmsId(ring, this.#primes, addon.blake2b256),
    ] as const;
    this.ring = kernel === undefined ? addon.createRing(...given) : addon.createRing(...given, kernel);
    this.pool = new BufferPool(addon, MAX_POLYNOMIALS * (maxLevel + 1) * ring);
  }

  [Symbol.dispose](): void {
    this.#plaintexts.clear();
    this.pool.clear();
  }

  prime(level: number): bigint {
    const prime = level <= this.parameters.maxLevel ? this.#primes[level] : undefined;
    if (prime === undefined)
      throw new CircuitError(`no level ${level}`, `levels 0 to ${this.parameters.maxLevel} exist`);
    return prime;
  }

  encode(first: Float64Array, level: number, scale: number, second?: Float64Array): NativePlaintext {
    const hash = createHash('sha1').update(bytesOf(first));
    if (second !== undefined) hash.update('i').update(bytesOf(second));
    const data = this.#kept(`${level}:${scale}:${hash.digest('base64')}`, level, (words) => {
      this.#encodeReal(words, first, level, scale);
      if (second === undefined) return;
      // Two real encodings, as on node-seal: J times real is i times real, but for the sign on odd slots.
      const other = this.pool.take(words.length);
      this.#encodeReal(
        other,
        second.map((value, slot) => (slot % 2 === 0 ? value : -value)),
        level,
        scale,
      );
      this.ring.addTimesJ(words, words, other, level, 1);
      this.pool.give(other);
    });
    return new NativePlaintext(data, level, scale);
  }

  encodeConstant(value: number, level: number, scale: number): NativePlaintext {
    const { ring } = this.parameters;
    const content = constantContent(value, scale);
    const data = this.#kept(`${level}:constant:${content}`, level, (words) => {
      for (let i = 0; i <= level; i++) words.fill(residue(content, this.prime(i)), i * ring, (i + 1) * ring);
    });
    return new NativePlaintext(data, level, scale);
  }

  monomial(power: number, level: number): NativePlaintext {
    return new NativePlaintext(
      this.#kept(`${level}:power:${power}`, level, (words) => this.ring.monomial(words, power, level)),
      level,
      1,
    );
  }

  /** @throws WireError when the bytes are no ciphertext of this context */
  loadCiphertext(bytes: Uint8Array): NativeCiphertext {
    const { parameters } = this;
    const payload = checkedPayload(
      'ciphertext',
      bytes,
      maxPayloadBytes({ parameters, fields: { kind: 'ciphertext', level: parameters.maxLevel } }),
    );
    try {
      const { data, polys, level, scale } = this.ring.readCiphertext(payload, this.#bufferFor(payload));
      if (payload.buffer !== bytes.buffer) discard(payload);
      return new NativeCiphertext(this.pool.give, data, { size: polys, level, scale });
    } catch (error) {
      throw new WireError(
        error instanceof Error ? error.message : String(error),
        'it is no ciphertext of these parameters',
      );
    }
  }

  /** A pooled buffer of the length that SEAL's header announces, if it fits. The addon checks the header itself. */
  #bufferFor(payload: Uint8Array): Words | undefined {
    if (payload.length < SIZE_FIELDS + 24) return undefined;
    const view = new DataView(payload.buffer, payload.byteOffset);
    const [polys, primes] = [view.getBigUint64(SIZE_FIELDS, true), view.getBigUint64(SIZE_FIELDS + 16, true)];
    return polys === 2n && primes >= 1n && primes <= this.parameters.maxLevel + 1
      ? this.take(2, Number(primes) - 1)
      : undefined;
  }

  /**
   * The content of the file that {@link NativeRing.openKey} maps.
   * @param step the rotation it must be for, 0 the conjugation; undefined for the relinearisation key
   * @throws WireError when the bytes are no such key of this context
   */
  packKey(bytes: Uint8Array, step: number | undefined): Uint8Array {
    const { parameters } = this;
    const payload = checkedPayload(
      'key',
      bytes,
      maxPayloadBytes({
        parameters,
        fields: step === undefined ? { kind: 'relinearisation-key' } : { kind: 'galois-key', step },
      }),
    );
    try {
      return this.ring.packKey(payload, step === undefined ? 0 : (galoisElement(step, parameters.ring) - 1) / 2);
    } catch (error) {
      throw new WireError(
        error instanceof Error ? error.message : String(error),
        'make the keys anew, or put each in its place',
      );
    }
  }

  /**
   * Writes a key file and maps it, for programs that do not share their key files with other processes. It is one
   * synchronous write (promises write 512 KiB at a time), so that the file lies in huge pages where the file system has
   * them.
   * @param step see {@link packKey}
   * @throws what {@link packKey} throws; system errors of writing
   */
  createKey(path: string, bytes: Uint8Array, step: number | undefined): NativeKey {
    writeFileSync(path, this.packKey(bytes, step));
    return this.ring.openKey(path);
  }

  saveCiphertext(ciphertext: Ciphertext): Uint8Array {
    const { data, size, level, scale } = nativeCiphertext(ciphertext);
    return this.ring.writeCiphertext(data, size, level, scale);
  }

  /** The content of the file that {@link mapCiphertext} maps, in pieces. */
  fileOf(ciphertext: Ciphertext): Uint8Array[] {
    const { data, size, level, scale } = nativeCiphertext(ciphertext);
    return [this.ring.ciphertextFileHeader(data, size, level, scale), bytesOf(data)];
  }

  /**
   * A ciphertext in a file, read-only: circuits must not change it in place.
   * @throws Error when the file is of another ring or version; with the code `DAMAGED_FILE` when it is damaged
   */
  mapCiphertext(path: string): NativeCiphertext {
    const { data, polys, level, scale } = this.ring.openCiphertext(path);
    return new NativeCiphertext(this.#addon.release, data, { size: polys, level, scale });
  }

  /** Whether a ciphertext of {@link mapCiphertext} is as it was written: see {@link NativeAddon.intact}. */
  isIntact(ciphertext: NativeCiphertext): boolean {
    return this.#addon.intact(ciphertext.data);
  }

  /** Words of a ciphertext of `polys` polynomials. Their content is undefined. */
  take(polys: number, level: number): Words {
    return this.pool.take(polys * (level + 1) * this.parameters.ring);
  }

  #encodeReal(out: Words, slots: Float64Array, level: number, scale: number): void {
    this.ring.fromCoefficients(
      out,
      (this.#encoder ??= new CkksEncoder(this.parameters.ring)).coefficients(slots, scale),
      level,
    );
  }

  #kept(key: string, level: number, make: (words: Words) => void): Words {
    const known = this.#plaintexts.get(key);
    if (known !== undefined) {
      this.#plaintexts.delete(key);
      this.#plaintexts.set(key, known);
      return known;
    }
    const [oldest] = this.#plaintexts.keys();
    if (this.#plaintexts.size >= MAX_PLAINTEXTS && oldest !== undefined) this.#plaintexts.delete(oldest);
    const words = this.#addon.allocate((level + 1) * this.parameters.ring);
    make(words);
    this.#plaintexts.set(key, words);
    return words;
  }
}

export function nativeCiphertext(ciphertext: Ciphertext): NativeCiphertext {
  if (!(ciphertext instanceof NativeCiphertext)) throw new CircuitError('a ciphertext of another evaluator');
  return ciphertext;
}

export function nativePlaintext(plaintext: Plaintext): NativePlaintext {
  if (!(plaintext instanceof NativePlaintext)) throw new CircuitError('a plaintext of another evaluator');
  return plaintext;
}

function bytesOf(values: Float64Array | Words): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
