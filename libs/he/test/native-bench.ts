/** What tests of the native addon share: the addon, operands from bytes, and node-seal's answers as bytes. */
import { createRequire } from 'node:module';
import type { Ciphertext as RawCiphertext, GaloisKeys, RelinKeys } from 'node-seal';
import { Parameters, type ParametersLiteral, type SecurityLevel } from '@blindfit/he';
import { SealBackend } from '@blindfit/he/seal';
import { buildNative } from '../native/build.mjs';
import { plaintextBytes } from '../src/formats/plaintext-bytes.ts';
import { KERNELS, type Kernel, type NativeAddon, type NativeRing, type Words } from '../src/native/addon.ts';

/** The addon, or why there is none here: a test that needs it is skipped with that reason. */
export async function loadAddon(): Promise<NativeAddon | string> {
  const built = await buildNative({ log: () => undefined });
  return 'path' in built ? (createRequire(import.meta.url)(built.path) as NativeAddon) : built.reason;
}

/** Numbers that follow from a seed: xorshift32. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed * 2654435761 + 1) >>> 0 || 1;
  }

  next(): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>>= 0);
  }

  below(limit: number): number {
    return this.next() % limit;
  }
}

/**
 * How the values of an operand are chosen. `mixed` takes another one of the others for each row, with extreme values
 * among the random ones.
 */
export const PATTERNS = ['random', 'zero', 'one', 'largest', 'equal', 'mixed'] as const;
export type Pattern = (typeof PATTERNS)[number];

/** polys x (level + 1) x N canonical values. */
export function makeValues(
  random: Random,
  pattern: Pattern,
  ring: number,
  moduli: readonly bigint[],
  polys: number,
): Words {
  const values = new BigUint64Array(polys * moduli.length * ring);
  for (let row = 0; row < polys * moduli.length; row++)
    fillRow(random, pattern, moduli[row % moduli.length] ?? 0n, values.subarray(row * ring, (row + 1) * ring));
  return values;
}

function fillRow(random: Random, pattern: Pattern, q: bigint, row: Words): void {
  switch (pattern) {
    case 'zero':
      return;
    case 'one':
      row.fill(1n);
      return;
    case 'largest':
      row.fill(q - 1n);
      return;
    case 'equal':
      row.fill(((BigInt(random.next()) << 32n) | BigInt(random.next())) % q);
      return;
    case 'random':
      fillRandom(random, q, row);
      return;
    case 'mixed': {
      if (random.below(2) === 0) return fillRow(random, PATTERNS[random.below(5)] ?? 'random', q, row);
      fillRandom(random, q, row);
      const extremes = [0n, 1n, q - 1n, q - 2n, q >> 1n, (q >> 1n) + 1n];
      for (let i = random.below(7); i < row.length; i += 1 + random.below(9))
        row[i] = extremes[random.below(extremes.length)] ?? 0n;
    }
  }
}

/** Below 2^32 floor(q / 2^32), or below q when that is short: the largest values come from the other patterns. */
function fillRandom(random: Random, q: bigint, row: Words): void {
  const halves = new Uint32Array(row.buffer, row.byteOffset, 2 * row.length);
  const high = Number(q >> 32n);
  for (let i = 0; i < row.length; i++) {
    halves[2 * i] = high === 0 ? random.next() % Number(q) : random.next();
    halves[2 * i + 1] = high === 0 ? 0 : random.next() % high;
  }
}

/** SEAL's uncompressed serialisation of a ciphertext, written here and not by what is tested. */
export function ciphertextBytes(parmsId: Words, ring: number, polys: number, scale: number, values: Words): Uint8Array {
  const fixed = 16 + 32 + 1 + 5 * 8;
  const bytes = new Uint8Array(fixed + 16 + 8 + values.byteLength);
  const view = new DataView(bytes.buffer);
  const header = (at: number, size: number): void => {
    bytes.set([0x5e, 0xa1, 0x10, 4, 1, 0, 0, 0], at);
    view.setBigUint64(at + 8, BigInt(size), true);
  };
  header(0, bytes.length);
  parmsId.forEach((word, i) => view.setBigUint64(16 + 8 * i, word, true));
  view.setUint8(48, 1);
  view.setBigUint64(49, BigInt(polys), true);
  view.setBigUint64(57, BigInt(ring), true);
  view.setBigUint64(65, BigInt(values.length / polys / ring), true);
  view.setFloat64(73, scale, true);
  view.setBigUint64(81, 1n, true);
  header(fixed, 24 + values.byteLength);
  view.setBigUint64(fixed + 16, BigInt(values.length), true);
  bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), fixed + 24);
  return bytes;
}

/** One parameter set in node-seal and in the addon, with keys in node-seal. */
export class NativeBench implements Disposable {
  readonly backend: SealBackend;
  readonly addon: NativeAddon;
  /** Data primes, then the special one. */
  readonly moduli: readonly bigint[];
  readonly relinearisation: RelinKeys;
  readonly #generator: InstanceType<SealBackend['seal']['KeyGenerator']>;
  readonly #galois = new Map<number, GaloisKeys>();

  private constructor(backend: SealBackend, addon: NativeAddon) {
    this.backend = backend;
    this.addon = addon;
    this.moduli = [...backend.primes, backend.specialPrime];
    this.#generator = new backend.seal.KeyGenerator(backend.context);
    this.relinearisation = this.#generator.createRelinKeys();
  }

  static async open(addon: NativeAddon, literal: ParametersLiteral, security: SecurityLevel): Promise<NativeBench> {
    return new NativeBench(await SealBackend.open(Parameters.of(literal, security)), addon);
  }

  [Symbol.dispose](): void {
    for (const key of this.#galois.values()) key.delete();
    this.relinearisation.delete();
    this.#generator.delete();
    this.backend[Symbol.dispose]();
  }

  get ring(): number {
    return this.backend.parameters.ring;
  }

  get maxLevel(): number {
    return this.backend.parameters.maxLevel;
  }

  /** The kernels that this CPU can run. */
  get kernels(): Kernel[] {
    return KERNELS.filter((kernel) => this.addon.kernels().includes(kernel));
  }

  parmsIdWords(level: number): Words {
    return BigUint64Array.from(this.backend.parmsId(level).values() as Words);
  }

  /** All parms_ids as the addon takes them. */
  parmsIds(): { parmsIds: Words; keyParmsId: Words } {
    const parmsIds = new BigUint64Array(4 * (this.maxLevel + 1));
    for (let level = 0; level <= this.maxLevel; level++) parmsIds.set(this.parmsIdWords(level), 4 * level);
    using keyId = this.backend.context.keyParmsId();
    return { parmsIds, keyParmsId: BigUint64Array.from(keyId.values() as Words) };
  }

  createRing(kernel?: Kernel): NativeRing {
    const { parmsIds, keyParmsId } = this.parmsIds();
    return this.addon.createRing(this.ring, BigUint64Array.from(this.moduli), parmsIds, keyParmsId, kernel);
  }

  /** Kept and freed by the bench. */
  galoisKey(step: number): GaloisKeys {
    let key = this.#galois.get(step);
    if (key === undefined)
      this.#galois.set(step, (key = this.#generator.createGaloisKeysWithSteps(Int32Array.of(step))));
    return key;
  }

  element(step: number): number {
    let element = step === 0 ? 2 * this.ring - 1 : 1;
    for (let i = 0; i < (step + this.ring / 2) % (this.ring / 2); i++) element = (element * 3) % (2 * this.ring);
    return element;
  }

  /** Uncompressed and without seeds, as the addon wants them. */
  keyBytes(key: RelinKeys | GaloisKeys): Uint8Array {
    return key.saveToArray(this.backend.seal.ComprModeType.none) as Uint8Array;
  }

  values(random: Random, pattern: Pattern, polys: number, level: number): Words {
    return makeValues(random, pattern, this.ring, this.moduli.slice(0, level + 1), polys);
  }

  load(values: Words, polys: number, level: number, scale = 32): RawCiphertext {
    const raw = new this.backend.seal.Ciphertext();
    raw.loadFromArray(this.backend.context, ciphertextBytes(this.parmsIdWords(level), this.ring, polys, scale, values));
    return raw;
  }

  loadPlain(values: Words, level: number, scale = 32): InstanceType<SealBackend['seal']['Plaintext']> {
    const raw = new this.backend.seal.Plaintext();
    raw.loadFromArray(this.backend.context, plaintextBytes(this.parmsIdWords(level), scale, values));
    return raw;
  }

  /** A fresh one, encrypted with the secret key: its second polynomial is a seed. */
  seededCiphertext(): Uint8Array {
    const { seal, context } = this.backend;
    using secret = this.#generator.secretKey();
    using publicKey = this.#generator.createPublicKey();
    using encryptor = new seal.Encryptor(context, publicKey, secret);
    using plain = this.backend.encode(new Float64Array(this.ring / 2).fill(0.5), this.maxLevel, 2 ** 20);
    using ciphertext = encryptor.encryptSymmetricSerializable(plain.raw);
    return ciphertext.saveToArray(seal.ComprModeType.none) as Uint8Array;
  }

  /** The key of a rotation by 1, its second polynomials as seeds. */
  seededKey(): Uint8Array {
    using key = this.#generator.createGaloisKeysSerializableWithSteps(Int32Array.of(1));
    return key.saveToArray(this.backend.seal.ComprModeType.none) as Uint8Array;
  }

  /** What SEAL reads and writes again, seeds expanded. */
  resaved(bytes: Uint8Array): Uint8Array {
    using ciphertext = this.backend.loadCiphertext(bytes);
    return this.backend.saveCiphertext(ciphertext);
  }

  save(raw: RawCiphertext): Uint8Array {
    return raw.saveToArray(this.backend.seal.ComprModeType.none) as Uint8Array;
  }
}
