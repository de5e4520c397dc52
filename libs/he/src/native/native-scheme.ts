/**
 * One CKKS parameter set for the native evaluator: tables, buffers, plaintexts and serialisation. What SEAL alone does (encoding, expanding
 * seeds) is asked of SEAL; ciphertexts are SEAL's bytes everywhere outside.
 */
import { createHash } from 'node:crypto';
import { constantContent, residue } from '../constants.ts';
import { CircuitError, WireError } from '../errors.ts';
import type { Ciphertext, Plaintext } from '../evaluator.ts';
import type { Parameters } from '../parameters.ts';
import { checkedPayload } from '../seal/payload.ts';
import type { Scheme } from '../seal/scheme.ts';
import { maxPayloadBytes } from '../wire.ts';
import type { Kernel, NativeAddon, NativeRing, Words } from './addon.ts';
import { BufferPool } from './buffer-pool.ts';

/** Monomials and masks kept for reuse; one is at most 8 bytes x N x primes. */
const MAX_PLAINTEXTS = 64;

export class NativeCiphertext implements Ciphertext {
  readonly pool: BufferPool;
  /** size x (level + 1) x N, as `addon.ts` says. */
  data: Words;
  size: number;
  level: number;
  scale: number;
  private freed = false;

  constructor(pool: BufferPool, data: Words, { size, level, scale }: { readonly size: number; readonly level: number; readonly scale: number }) {
    this.pool = pool;
    this.data = data;
    this.size = size;
    this.level = level;
    this.scale = scale;
  }

  /** Takes the place of the content; the old buffer goes back. */
  replace(data: Words, size: number, level: number): void {
    this.pool.give(this.data);
    this.data = data;
    this.size = size;
    this.level = level;
  }

  [Symbol.dispose](): void {
    if (this.freed) return;
    this.freed = true;
    this.pool.give(this.data);
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
    // The scheme keeps plaintexts for reuse; garbage collection frees them.
  }
}

export class NativeScheme implements Disposable {
  readonly parameters: Parameters;
  readonly ring: NativeRing;
  readonly pool: BufferPool;
  private readonly addon: NativeAddon;
  private readonly seal: Scheme;
  /** In order of use, the oldest first. */
  private readonly plaintexts = new Map<string, Words>();

  /** @param seal owned by the caller @param kernel the fastest possible when left out */
  constructor(addon: NativeAddon, seal: Scheme, kernel?: Kernel) {
    this.addon = addon;
    this.seal = seal;
    this.parameters = seal.parameters;
    const { ring } = this.parameters;
    const { primes, parmsIds, keyParmsId } = seal.description();
    this.ring = kernel === undefined ? addon.createRing(ring, primes, parmsIds, keyParmsId) : addon.createRing(ring, primes, parmsIds, keyParmsId, kernel);
    this.pool = new BufferPool(addon);
  }

  [Symbol.dispose](): void {
    this.plaintexts.clear();
    this.pool.clear();
  }

  prime(level: number): bigint {
    return this.seal.prime(level);
  }

  encode(first: Float64Array, level: number, scale: number, second?: Float64Array): NativePlaintext {
    const hash = createHash('sha1').update(bytesOf(first));
    if (second !== undefined) hash.update('i').update(bytesOf(second));
    const data = this.kept(`${level}:${scale}:${hash.digest('base64')}`, level, (words) => {
      words.set(this.encodeReal(first, level, scale));
      // Two real encodings, as on SEAL: J times real is i times real, but for the sign on odd slots.
      if (second !== undefined) this.ring.addTimesJ(words, words, this.encodeReal(second.map((value, slot) => (slot % 2 === 0 ? value : -value)), level, scale), level, 1);
    });
    return new NativePlaintext(data, level, scale);
  }

  encodeConstant(value: number, level: number, scale: number): NativePlaintext {
    const { ring } = this.parameters;
    const content = constantContent(value, scale);
    const data = this.kept(`${level}:constant:${content}`, level, (words) => {
      for (let i = 0; i <= level; i++) words.fill(residue(content, this.prime(i)), i * ring, (i + 1) * ring);
    });
    return new NativePlaintext(data, level, scale);
  }

  monomial(power: number, level: number): NativePlaintext {
    return new NativePlaintext(this.kept(`${level}:power:${power}`, level, (words) => this.ring.monomial(words, power, level)), level, 1);
  }

  /** @throws WireError when the bytes are no ciphertext of this context */
  loadCiphertext(bytes: Uint8Array): NativeCiphertext {
    const { parameters } = this;
    const payload = checkedPayload('ciphertext', bytes, maxPayloadBytes({ parameters, fields: { kind: 'ciphertext', level: parameters.maxLevel } }));
    const read = this.read(payload);
    if (read.data !== undefined) return this.own(read.data, read);
    using expanded = this.seal.loadCiphertext(payload);
    const whole = this.read(this.seal.saveCiphertext(expanded));
    if (whole.data === undefined) throw new WireError('a ciphertext that SEAL left without its second polynomial');
    return this.own(whole.data, whole);
  }

  saveCiphertext(ciphertext: Ciphertext): Uint8Array {
    const { data, size, level, scale } = nativeCiphertext(ciphertext);
    return this.ring.writeCiphertext(data, size, level, scale);
  }

  /** Words of a ciphertext of `polys` polynomials. Their content is undefined. */
  take(polys: number, level: number): Words {
    return this.pool.take(polys * (level + 1) * this.parameters.ring);
  }

  private own(data: Words, { polys, level, scale }: { readonly polys: number; readonly level: number; readonly scale: number }): NativeCiphertext {
    return new NativeCiphertext(this.pool, data, { size: polys, level, scale });
  }

  private read(payload: Uint8Array): ReturnType<NativeRing['readCiphertext']> {
    try {
      return this.ring.readCiphertext(payload);
    } catch (error) {
      throw new WireError(error instanceof Error ? error.message : String(error), 'it is no ciphertext of these parameters');
    }
  }

  private encodeReal(slots: Float64Array, level: number, scale: number): Words {
    using plain = this.seal.encode(slots, level, scale);
    return this.seal.valuesOf(plain, (level + 1) * this.parameters.ring);
  }

  private kept(key: string, level: number, make: (words: Words) => void): Words {
    const known = this.plaintexts.get(key);
    if (known !== undefined) {
      this.plaintexts.delete(key);
      this.plaintexts.set(key, known);
      return known;
    }
    const [oldest] = this.plaintexts.keys();
    if (this.plaintexts.size >= MAX_PLAINTEXTS && oldest !== undefined) this.plaintexts.delete(oldest);
    const words = this.addon.allocate((level + 1) * this.parameters.ring);
    make(words);
    this.plaintexts.set(key, words);
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

function bytesOf(values: Float64Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
