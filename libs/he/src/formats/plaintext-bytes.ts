/**
 * SEAL's serialised plaintext, written and read by hand: node-seal encodes real vectors only, and Blindfit needs
 * complex vectors (two classes per ciphertext) and monomials. Layout of an uncompressed CKKS plaintext of SEAL 4,
 * little-endian: 16-byte header | parms_id 4 x u64 | coefficient count u64 | scale f64 | 16-byte header | count u64 |
 * values u64...
 */
import { WireError } from '../errors.ts';

const HEADER = 16;
const FIXED = HEADER + 32 + 8 + 8 + HEADER + 8;
/** Magic 0xA15E, header size 16, version 4.1, no compression. */
const SEAL_HEADER = [0x5e, 0xa1, 0x10, 0x04, 0x01, 0x00, 0x00, 0x00];

function writeHeader(bytes: Uint8Array, view: DataView, offset: number, size: number): void {
  bytes.set(SEAL_HEADER, offset);
  view.setBigUint64(offset + 8, BigInt(size), true);
}

/** @param values NTT form, prime by prime: (level + 1) x N */
export function plaintextBytes(parmsId: BigUint64Array, scale: number, values: BigUint64Array): Uint8Array {
  const bytes = new Uint8Array(FIXED + values.byteLength);
  const view = new DataView(bytes.buffer);
  writeHeader(bytes, view, 0, bytes.length);
  parmsId.forEach((word, i) => view.setBigUint64(HEADER + 8 * i, word, true));
  view.setBigUint64(48, BigInt(values.length), true);
  view.setFloat64(56, scale, true);
  writeHeader(bytes, view, 64, HEADER + 8 + values.byteLength);
  view.setBigUint64(80, BigInt(values.length), true);
  bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), FIXED);
  return bytes;
}

/**
 * The NTT values of a serialised plaintext, copied to an aligned array.
 * @throws WireError when the bytes are no plaintext of `count` values
 */
export function plaintextValues(bytes: Uint8Array, count: number): BigUint64Array {
  if (bytes.length !== FIXED + 8 * count)
    throw new WireError(`a plaintext of ${bytes.length} bytes`, `${FIXED + 8 * count} expected`);
  return new BigUint64Array(bytes.buffer, bytes.byteOffset + FIXED, count);
}
