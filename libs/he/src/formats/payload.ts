/**
 * SEAL's own framing of bytes from outside, checked before SEAL parses them. SEAL 4.1 inflates whatever a header calls
 * compressed: 32 KB of well packed zeros take 4 GB of a thread's WebAssembly memory, which never come back. So
 * decompression happens here, with a limit, and nothing inside may be compressed again.
 *
 * Every object, and every object inside another, starts with 16 bytes, little-endian:
 * magic 0xA15E u16 | header size 16 u8 | version 4.x u8 u8 | compression u8 (0 none, 1 zlib, 2 zstd) | 0 u16 |
 * size with header u64
 */
import { builtinModule } from '@blindfit/base';
import { discard } from '../discard.ts';
import { WireError } from '../errors.ts';

/** Browsers have no zstd: there, objects go out uncompressed, and compressed ones are refused. */
const zlib = builtinModule?.('node:zlib');

const HEADER = 16;
/** Inflated at a time: Node's 16 KiB would take twice as long. */
const CHUNK_BYTES = 2 ** 20;
const MAGIC = 0xa15e;
const VERSION = 4;
const NONE = 0;
const ZSTD = 2;
/**
 * Bytes of a ciphertext before its coefficients: parms_id 32 | NTT form u8 | size, N, primes u64 | scale f64 |
 * correction factor u64.
 */
const CIPHERTEXT_FIELDS = 32 + 1 + 5 * 8;
const PARMS_ID = 32;

export type SealObject = 'ciphertext' | 'key';

/**
 * The object without compression, with correct framing and at most `maxBytes` long. SEAL checks its content.
 * @param bytes SEAL's serialisation of one ciphertext, or of one set of relinearisation or Galois keys
 * @returns a plain Uint8Array, which shares its memory with `bytes` when those are uncompressed
 * @throws WireError saying what is wrong and what is allowed
 */
export function checkedPayload(object: SealObject, bytes: Uint8Array, maxBytes: number): Uint8Array {
  const what = `the SEAL ${object}`;
  const compression = compressionOf(what, bytes);
  const plain = compression === ZSTD ? inflate(what, bytes, maxBytes) : bytes;
  if (plain.length > maxBytes)
    throw new WireError(`${what} has ${plain.length} bytes`, `at most ${maxBytes} for this object`);
  const frames = new Frames(what, plain);
  if (object === 'ciphertext') frames.ciphertext(HEADER, plain.length);
  else frames.keys(HEADER, plain.length);
  // node-seal refuses Node's `Buffer`, a subclass of Uint8Array.
  return plain.constructor === Uint8Array ? plain : new Uint8Array(plain.buffer, plain.byteOffset, plain.byteLength);
}

/**
 * Refuses a ciphertext whose second half is not a seed. What its owner has just encrypted is seeded, and the half
 * that grows from a seed hides the plaintext; a transparent ciphertext (second half zero) hides nothing, and anybody
 * can make one.
 * @param bytes as for {@link checkedPayload}
 * @throws WireError
 */
export function assertFreshlyEncrypted(bytes: Uint8Array, maxBytes: number): void {
  const what = 'the SEAL ciphertext';
  const plain = checkedPayload('ciphertext', bytes, maxBytes);
  const isSeeded = new Frames(what, plain).isSeeded(HEADER, plain.length);
  if (plain.buffer !== bytes.buffer) discard(plain);
  if (!isSeeded)
    throw new WireError(
      `${what} is not as its owner encrypts: its second half is not a seed`,
      'send what was encrypted with the secret key; results of operations and transparent ciphertexts are refused',
    );
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function compressionOf(what: string, bytes: Uint8Array): number {
  if (bytes.length < HEADER)
    throw new WireError(`${what} is cut off after ${bytes.length} bytes`, `its header alone has ${HEADER}`);
  const view = viewOf(bytes);
  if (view.getUint16(0, true) !== MAGIC || view.getUint8(2) !== HEADER)
    throw new WireError(`${what} does not start with SEAL's header`, 'save it with SEAL 4');
  if (view.getUint8(3) !== VERSION)
    throw new WireError(`${what} was saved by SEAL ${view.getUint8(3)}`, `SEAL ${VERSION} is read`);
  const compression = view.getUint8(5);
  if (compression !== NONE && compression !== ZSTD)
    throw new WireError(`${what} has compression mode ${compression}`, `allowed: ${NONE} (none) and ${ZSTD} (zstd)`);
  const size = view.getBigUint64(8, true);
  if (size !== BigInt(bytes.length))
    throw new WireError(`${what} has ${bytes.length} bytes`, `its header says ${size}: it was cut off or damaged`);
  return compression;
}

function inflate(what: string, bytes: Uint8Array, maxBytes: number): Uint8Array {
  if (zlib === undefined)
    throw new WireError(`${what} is compressed, and this program has no zstd`, 'save it without compression');
  let content: Uint8Array;
  try {
    content = zlib.zstdDecompressSync(bytes.subarray(HEADER), { maxOutputLength: maxBytes, chunkSize: CHUNK_BYTES });
  } catch (error) {
    if (error instanceof RangeError)
      throw new WireError(`${what} inflates to more than ${maxBytes} bytes`, 'that is the most this object can have');
    throw new WireError(
      `${what} cannot be decompressed: ${error instanceof Error ? error.message : String(error)}`,
      'it was damaged before it was uploaded: make it anew',
    );
  }
  return reframed(bytes, NONE, content);
}

/**
 * SEAL's zstd form of an object that was saved without compression. node-seal takes five times as long in WebAssembly.
 * Most of the content is random, so the fastest level compresses as well as any.
 */
export function compressedPayload(plain: Uint8Array): Uint8Array {
  if (zlib === undefined) return plain;
  const content = zlib.zstdCompressSync(plain.subarray(HEADER), {
    params: { [zlib.constants.ZSTD_c_compressionLevel]: 1 },
    chunkSize: CHUNK_BYTES,
  });
  return reframed(plain, ZSTD, content);
}

/** The object with the content that zlib made of it. @param content freed */
function reframed(object: Uint8Array, compression: typeof NONE | typeof ZSTD, content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER + content.length);
  bytes.set(object.subarray(0, HEADER));
  bytes.set(content, HEADER);
  // What zlib returns is the beginning of a chunk made for that call, unless it is small or of several.
  if (content.buffer.byteLength >= CHUNK_BYTES) discard(new Uint8Array(content.buffer));
  const view = viewOf(bytes);
  view.setUint8(5, compression);
  view.setBigUint64(8, BigInt(bytes.length), true);
  return bytes;
}

/** Walks over the objects inside an object. */
class Frames {
  readonly #what: string;
  readonly #view: DataView;

  constructor(what: string, bytes: Uint8Array) {
    this.#what = what;
    this.#view = viewOf(bytes);
  }

  /** The coefficients and, in a seeded ciphertext, the seed. */
  ciphertext(from: number, to: number): void {
    const coefficients = this.#next(from + CIPHERTEXT_FIELDS, to);
    if (coefficients !== to && this.#next(coefficients, to) !== to) throw this.#damaged(coefficients);
  }

  /** Whether a sound ciphertext ({@link ciphertext}) has one polynomial of two, and a seed for the other. */
  isSeeded(from: number, to: number): boolean {
    const coefficients = from + CIPHERTEXT_FIELDS;
    const number = (at: number): bigint => this.#view.getBigUint64(at, true);
    const [polynomials, ring, primes] = [0, 8, 16].map((offset) => number(from + PARMS_ID + 1 + offset));
    return (
      polynomials === 2n &&
      ring !== undefined &&
      primes !== undefined &&
      number(coefficients + HEADER) === ring * primes &&
      this.#next(coefficients, to) !== to
    );
  }

  /** keys u64, then for each: parts u64, and as many ciphertexts. */
  keys(from: number, to: number): void {
    let at = from + PARMS_ID;
    const keys = this.#count(at, to);
    at += 8;
    for (let key = 0; key < keys; key++) {
      const parts = this.#count(at, to);
      at += 8;
      for (let part = 0; part < parts; part++) {
        const end = this.#next(at, to);
        this.ciphertext(at + HEADER, end);
        at = end;
      }
    }
    if (at !== to) throw this.#damaged(at);
  }

  /** A number of things of at least 8 bytes each. */
  #count(at: number, to: number): number {
    if (at + 8 > to) throw this.#damaged(at);
    const count = this.#view.getBigUint64(at, true);
    if (count > BigInt(to - at - 8) / 8n) throw this.#damaged(at);
    return Number(count);
  }

  /** Where the object at `at` ends. */
  #next(at: number, to: number): number {
    if (at + HEADER > to || this.#view.getUint16(at, true) !== MAGIC) throw this.#damaged(at);
    if (this.#view.getUint8(at + 5) !== NONE)
      throw new WireError(
        `${this.#what} has something compressed inside, at byte ${at}`,
        'only the whole may be compressed',
      );
    const size = this.#view.getBigUint64(at + 8, true);
    if (size < HEADER || size > BigInt(to - at)) throw this.#damaged(at);
    return at + Number(size);
  }

  #damaged(at: number): WireError {
    return new WireError(`${this.#what} is damaged or cut off at byte ${at}`, 'make it anew');
  }
}
