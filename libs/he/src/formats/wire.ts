/**
 * Blindfit's wire format: a fixed header in front of SEAL's bytes. It tells the receiver of a blob what the blob is,
 * for which parameters, and how long it must be, before SEAL parses any of it.
 *
 * ```
 * offset size
 *      0    4  magic "BFHE"
 *      4    1  version, 1
 *      5    1  kind
 *      6    2  level (ciphertexts)
 *      8    4  rotation step (Galois keys; 0 is the conjugation)
 *     12    4  payload length in bytes
 *     16    8  scale, IEEE double (ciphertexts)
 *     24   32  SHA-256 of the parameter set
 *     56       payload: SEAL's serialisation, its own compression and seeds included
 * ```
 * All numbers little-endian. Version 1 readers refuse any other version.
 */
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { WireError } from '../errors.ts';
import type { Parameters } from '../parameters.ts';

export const WIRE_HEADER_BYTES = 56;
const MAGIC = 0x45484642; // "BFHE"
const VERSION = 1;
const KINDS = { ciphertext: 1, 'relinearisation-key': 2, 'galois-key': 3 } as const;
export type WireKind = keyof typeof KINDS;

export interface WireHeader {
  readonly kind: WireKind;
  /** Ciphertexts: primes left minus one. Keys: 0. */
  readonly level: number;
  /** Galois keys: the left rotation, 0 for the conjugation. */
  readonly step: number;
  readonly scale: number;
  /** Hex. */
  readonly parameters: string;
  readonly payloadBytes: number;
}

export type WireFields = Pick<WireHeader, 'kind'> & Partial<Pick<WireHeader, 'level' | 'step' | 'scale'>>;

export function wrap(parameters: Parameters, fields: WireFields, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(WIRE_HEADER_BYTES + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint8(4, VERSION);
  view.setUint8(5, KINDS[fields.kind]);
  view.setInt16(6, fields.level ?? 0, true);
  view.setInt32(8, fields.step ?? 0, true);
  view.setUint32(12, payload.length, true);
  view.setFloat64(16, fields.scale ?? 0, true);
  bytes.set(hexToBytes(parameters.fingerprint), 24);
  bytes.set(payload, WIRE_HEADER_BYTES);
  return bytes;
}

/** Reads a header alone. @throws WireError when the bytes do not start with Blindfit's header */
export function parseHeader(head: Uint8Array): WireHeader {
  if (head.length < WIRE_HEADER_BYTES)
    throw new WireError(`a blob of ${head.length} bytes`, `at least ${WIRE_HEADER_BYTES} are needed`);
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (view.getUint32(0, true) !== MAGIC) throw new WireError('not a Blindfit blob', 'it must start with "BFHE"');
  const version = view.getUint8(4);
  if (version !== VERSION)
    throw new WireError(`wire format version ${version}`, `this release reads version ${VERSION}`);
  const code = view.getUint8(5);
  const kind = (Object.keys(KINDS) as WireKind[]).find((name) => KINDS[name] === code);
  if (kind === undefined)
    throw new WireError(`blob kind ${code}`, `kinds 1 to 3 are known: ${Object.keys(KINDS).join(', ')}`);
  return {
    kind,
    level: view.getInt16(6, true),
    step: view.getInt32(8, true),
    payloadBytes: view.getUint32(12, true),
    scale: view.getFloat64(16, true),
    parameters: bytesToHex(head.subarray(24, 56)),
  };
}

/** What a blob must be at its place in a job. */
export interface WireExpectation {
  readonly parameters: Parameters;
  readonly fields: WireFields;
}

/** The largest payload SEAL can make of such an object: uncompressed and without seeds, with room for its headers. */
export function maxPayloadBytes({ parameters, fields }: WireExpectation): number {
  const slack = 4096;
  const polynomial = 8 * parameters.ring;
  if (fields.kind === 'ciphertext') return 2 * (1 + (fields.level ?? 0)) * polynomial + slack;
  const primes = parameters.dataBits.length;
  // A Galois key set is a sparse table with up to N entries of 8 bytes in front of its one key.
  return 2 * primes * (primes + 1) * polynomial + primes * slack + 8 * parameters.ring + slack;
}

/**
 * Checks a header (and the size of the whole blob) against what is expected there.
 * @throws WireError naming the field, what was found and what is allowed
 */
export function checkHeader(header: WireHeader, blobBytes: number, expected: WireExpectation): void {
  const { parameters, fields } = expected;
  const check = (what: string, found: string | number, wanted: string | number): void => {
    if (found !== wanted) throw new WireError(`${what} is ${found}`, `${wanted} is expected`);
  };
  check('the blob kind', header.kind, fields.kind);
  check('the parameter set', header.parameters, parameters.fingerprint);
  check('the blob size', blobBytes, WIRE_HEADER_BYTES + header.payloadBytes);
  check('the level', header.level, fields.level ?? 0);
  check('the rotation step', header.step, fields.step ?? 0);
  check('the scale', header.scale, fields.scale ?? 0);
  const limit = maxPayloadBytes(expected);
  if (header.payloadBytes > limit)
    throw new WireError(`a payload of ${header.payloadBytes} bytes`, `at most ${limit} for this object`);
}

/** The payload of a blob that must be exactly what is expected. @throws WireError */
export function unwrap(bytes: Uint8Array, expected: WireExpectation): Uint8Array {
  checkHeader(parseHeader(bytes), bytes.length, expected);
  return bytes.subarray(WIRE_HEADER_BYTES);
}
