/**
 * One CKKS parameter set in one SEAL instance: context, primes, encoder, and serialisation. Knows nothing of keys or
 * training. The owner's side (encryption, decryption) and the servers' side (evaluation) both build on it.
 */
import type {
  Evaluator as RawEvaluator,
  Ciphertext as RawCiphertext,
  GaloisKeys,
  Plaintext as RawPlaintext,
  ParmsIdType,
  RelinKeys,
  SEALContext,
  MainModule,
} from 'node-seal';
import type { Ciphertext, Plaintext } from '../ciphertext.ts';
import { constantContent, residue } from '../constants.ts';
import { discard } from '../discard.ts';
import { CircuitError, WireError } from '../errors.ts';
import { checkedPayload } from '../formats/payload.ts';
import { plaintextBytes, plaintextValues } from '../formats/plaintext-bytes.ts';
import { maxPayloadBytes, type WireFields } from '../formats/wire.ts';
import { CONJUGATION, galoisElement } from '../galois.ts';
import type { Parameters } from '../parameters.ts';
import type { PairedSlots } from '../slots.ts';
import { addMultiple } from './add-multiple.ts';
import { BackendContext } from './context.ts';
import { loadSeal, sealCall, type SealModule } from './module.ts';
import { RootTable } from './roots.ts';

/** A bound on the plaintexts kept for reuse: one is at most 8 bytes x N x primes. */
export const MAX_MONOMIALS = 96;

export class SealCiphertext implements Ciphertext {
  readonly raw: RawCiphertext;

  constructor(raw: RawCiphertext) {
    this.raw = raw;
  }

  get level(): number {
    return this.raw.coeffModulusSize() - 1;
  }

  get scale(): number {
    return this.raw.scale();
  }

  get size(): number {
    return this.raw.size();
  }

  [Symbol.dispose](): void {
    if (!this.raw.isDeleted()) this.raw.delete();
  }
}

export class SealPlaintext implements Plaintext {
  readonly raw: RawPlaintext;
  readonly level: number;

  constructor(raw: RawPlaintext, level: number) {
    this.raw = raw;
    this.level = level;
  }

  get scale(): number {
    return this.raw.scale();
  }

  [Symbol.dispose](): void {
    if (!this.raw.isDeleted()) this.raw.delete();
  }
}

export class SealBackend implements Disposable {
  readonly parameters: Parameters;
  readonly #own: BackendContext;
  readonly #monomials = new Map<string, SealPlaintext>();
  #disposed = false;

  private constructor(parameters: Parameters, module: SealModule) {
    this.parameters = parameters;
    this.#own = BackendContext.take(parameters, module);
  }

  get module(): SealModule {
    return this.#own.module;
  }

  get seal(): MainModule {
    return this.#own.module.seal;
  }

  get context(): SEALContext {
    return this.#own.context;
  }

  /** Data primes, q0 first. */
  get primes(): readonly bigint[] {
    return this.#own.primes;
  }

  /** The prime of the keys alone. */
  get specialPrime(): bigint {
    return this.#own.specialPrime;
  }

  /** Shared with the evaluator built on this backend. */
  get evaluator(): RawEvaluator {
    return this.#own.evaluator;
  }

  /** @throws ParameterError when SEAL does not take the parameters */
  static async open(parameters: Parameters): Promise<SealBackend> {
    return new SealBackend(parameters, await loadSeal());
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#dropMonomials();
    BackendContext.giveBack(this.#own);
  }

  /**
   * What another library needs in order to compute with SEAL's objects: all primes, the special prime last, and SEAL's
   * parms_id of every level and of keys.
   */
  description(): { primes: BigUint64Array; parmsIds: BigUint64Array; keyParmsId: BigUint64Array } {
    const keyId = this.context.keyParmsId();
    try {
      return {
        primes: BigUint64Array.from([...this.primes, this.specialPrime]),
        parmsIds: BigUint64Array.from(this.#own.parmsIdWords.flatMap((words) => [...words])),
        keyParmsId: BigUint64Array.from(keyId.values() as BigUint64Array),
      };
    } finally {
      keyId.delete();
    }
  }

  parmsId(level: number): ParmsIdType {
    const id = this.#own.parmsIds[level];
    if (id === undefined) throw new CircuitError(`no level ${level}`, `levels 0 to ${this.parameters.maxLevel} exist`);
    return id;
  }

  prime(level: number): bigint {
    const prime = this.primes[level];
    if (prime === undefined)
      throw new CircuitError(`no level ${level}`, `levels 0 to ${this.parameters.maxLevel} exist`);
    return prime;
  }

  /** Encodes `first + i second`; costs one FFT, two when there is a second part. */
  encode(first: Float64Array, level: number, scale: number, second?: Float64Array): SealPlaintext {
    if (second === undefined) return this.#encodeReal(first, level, scale);
    using real = this.#encodeReal(first, level, scale);
    // node-seal encodes real vectors only. J times real is i times real, but for the sign on odd slots.
    using imaginary = this.#encodeReal(alternating(second), level, scale);
    const count = (level + 1) * this.parameters.ring;
    const bytes = this.#bytesOf(real);
    const other = this.#bytesOf(imaginary);
    this.#addTimesJ(plaintextValues(bytes, count), plaintextValues(other, count), level);
    discard(other);
    return this.#plaintextOf(bytes, level);
  }

  /** The constant polynomial: `value` in every slot. No FFT. */
  encodeConstant(value: number, level: number, scale: number): SealPlaintext {
    const { ring } = this.parameters;
    const content = constantContent(value, scale);
    const values = new BigUint64Array((level + 1) * ring);
    for (let i = 0; i <= level; i++) values.fill(residue(content, this.prime(i)), i * ring, (i + 1) * ring);
    return this.#loadPlaintext(values, level, scale);
  }

  /** X^power as a plaintext of scale 1. The backend keeps and owns it: do not dispose of it. */
  monomial(power: number, level: number): SealPlaintext {
    const key = `${level}:${power}`;
    const known = this.#monomials.get(key);
    if (known !== undefined) return known;
    if (this.#monomials.size >= MAX_MONOMIALS) this.#dropMonomials();
    const plain = this.#makeMonomial(power, level);
    this.#monomials.set(key, plain);
    return plain;
  }

  #dropMonomials(): void {
    for (const plain of this.#monomials.values()) plain[Symbol.dispose]();
    this.#monomials.clear();
  }

  #makeMonomial(power: number, level: number): SealPlaintext {
    const { ring } = this.parameters;
    const values = new BigUint64Array((level + 1) * ring);
    for (let i = 0; i <= level; i++) this.#rootsOf(i).writeMonomial(power, values.subarray(i * ring, (i + 1) * ring));
    return this.#loadPlaintext(values, level, 1);
  }

  /** The slots of a plaintext as `first + i second`. */
  decode(plain: SealPlaintext): PairedSlots {
    const decodeReal = (p: SealPlaintext): Float64Array =>
      sealCall('decode', () => this.#own.encoder.decodeFloat64(p.raw) as Float64Array);
    const first = decodeReal(plain);
    const count = (plain.level + 1) * this.parameters.ring;
    // J is purely imaginary at every slot: the second part is the real part of -J (first + i second), up to the sign on
    // odd slots.
    const turned = new BigUint64Array(count);
    const bytes = this.#bytesOf(plain);
    this.#addTimesJ(turned, plaintextValues(bytes, count), plain.level, true);
    discard(bytes);
    using rotated = this.#loadPlaintext(turned, plain.level, plain.scale);
    return { first, second: alternating(decodeReal(rotated)) };
  }

  /** @throws WireError, SealError when the bytes are no ciphertext of this context */
  loadCiphertext(bytes: Uint8Array): SealCiphertext {
    const payload = checkedPayload(
      'ciphertext',
      bytes,
      this.#maxBytes({ kind: 'ciphertext', level: this.parameters.maxLevel }),
    );
    return new SealCiphertext(this.#load('load a ciphertext', new this.seal.Ciphertext(), payload));
  }

  /** The caller deletes it. @throws WireError, SealError when the bytes are no relinearisation key of this context */
  loadRelinearisationKey(bytes: Uint8Array): RelinKeys {
    const payload = checkedPayload('key', bytes, this.#maxBytes({ kind: 'relinearisation-key' }));
    const key = this.#load('load the relinearisation key', new this.seal.RelinKeys(), payload);
    if (key.hasKey(2)) return key;
    key.delete();
    throw new WireError('the relinearisation key is empty', 'make it anew');
  }

  /**
   * The caller deletes it.
   * @param step the rotation it must be for; 0 is the conjugation
   * @throws WireError, SealError when the bytes are no such key of this context
   */
  loadGaloisKey(bytes: Uint8Array, step: number): GaloisKeys {
    const what = step === CONJUGATION ? 'the conjugation key' : `the rotation key for step ${step}`;
    const payload = checkedPayload('key', bytes, this.#maxBytes({ kind: 'galois-key' }));
    const key = this.#load(`load ${what}`, new this.seal.GaloisKeys(), payload);
    if (key.hasKey(galoisElement(step, this.parameters.ring))) return key;
    key.delete();
    throw new WireError(
      `what should be ${what} is a key for another rotation`,
      'make the keys anew, or put each in its place',
    );
  }

  #maxBytes(fields: WireFields): number {
    return maxPayloadBytes({ parameters: this.parameters, fields });
  }

  #load<T extends { loadFromArray(context: SEALContext, bytes: Uint8Array): void; delete(): void }>(
    what: string,
    object: T,
    payload: Uint8Array,
  ): T {
    try {
      sealCall(what, () => object.loadFromArray(this.context, payload));
      return object;
    } catch (error) {
      object.delete();
      throw error;
    }
  }

  saveCiphertext(ciphertext: Ciphertext): Uint8Array {
    const raw = rawCiphertext(ciphertext);
    return sealCall('save a ciphertext', () => raw.saveToArray(this.seal.ComprModeType.none) as Uint8Array);
  }

  #encodeReal(real: Float64Array, level: number, scale: number): SealPlaintext {
    const raw = new this.seal.Plaintext();
    try {
      sealCall('encode', () => {
        this.#own.encoder.encode(real, scale, raw);
        if (level < this.parameters.maxLevel) this.evaluator.plainModSwitchToInplace(raw, this.parmsId(level));
      });
    } catch (error) {
      raw.delete();
      throw error;
    }
    return new SealPlaintext(raw, level);
  }

  /** NTT values, prime by prime. */
  valuesOf(plain: SealPlaintext, count: number): BigUint64Array {
    return plaintextValues(this.#bytesOf(plain), count);
  }

  #bytesOf(plain: SealPlaintext): Uint8Array {
    return plain.raw.saveToArray(this.seal.ComprModeType.none) as Uint8Array;
  }

  #loadPlaintext(values: BigUint64Array, level: number, scale: number): SealPlaintext {
    return this.#plaintextOf(plaintextBytes(this.wordsOf(level), scale, values), level);
  }

  #plaintextOf(bytes: Uint8Array, level: number): SealPlaintext {
    const raw = new this.seal.Plaintext();
    sealCall('load a plaintext', () => raw.loadFromArray(this.context, bytes));
    discard(bytes);
    return new SealPlaintext(raw, level);
  }

  /** target += J other (or -J other), modulo every prime. */
  #addTimesJ(target: BigUint64Array, other: BigUint64Array, level: number, negative = false): void {
    const half = this.parameters.ring / 2;
    for (let i = 0; i <= level; i++) {
      const prime = this.prime(i);
      const unit = this.#rootsOf(i).imaginaryUnit;
      // The values of J: I in the first half, -I in the second.
      (negative ? [prime - unit, unit] : [unit, prime - unit]).forEach((value, k) => {
        const at = (2 * i + k) * half;
        addMultiple(target.subarray(at, at + half), other.subarray(at, at + half), value, prime);
      });
    }
  }

  /** SEAL's parms_id of a level, 4 words. */
  wordsOf(level: number): BigUint64Array {
    this.parmsId(level);
    return this.#own.parmsIdWords[level] ?? new BigUint64Array(4);
  }

  #rootsOf(level: number): RootTable {
    const prime = this.prime(level);
    let table = this.#own.roots.get(prime);
    if (table === undefined) {
      table = new RootTable(this.parameters.ring, prime);
      this.#own.roots.set(prime, table);
    }
    return table;
  }
}

/** Negated on odd slots. */
function alternating(slots: Float64Array): Float64Array {
  return slots.map((value, slot) => (slot % 2 === 0 ? value : -value));
}

export function rawCiphertext(ciphertext: Ciphertext): RawCiphertext {
  if (!(ciphertext instanceof SealCiphertext)) throw new CircuitError('a ciphertext of another evaluator');
  return ciphertext.raw;
}

export function rawPlaintext(plaintext: Plaintext): RawPlaintext {
  if (!(plaintext instanceof SealPlaintext)) throw new CircuitError('a plaintext of another evaluator');
  return plaintext.raw;
}

/** node-seal refuses Node's `Buffer`, a subclass of Uint8Array. */
export function plainArray(bytes: Uint8Array): Uint8Array {
  return bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
