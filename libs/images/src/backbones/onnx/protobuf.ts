import { OnnxFormatError } from './format-error.ts';

/** Most fields and packed values one file may hold: each becomes an object, many times larger than its bytes. */
export const MAX_FIELDS = 8_000_000;

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

/** One field as it lies in a message. */
export interface Field {
  readonly number: number;
  readonly wire: number;
  /** The value of a varint, unsigned; 0 for other wire types. */
  readonly varint: bigint;
  /** The payload without tag and length (a view, not a copy); empty for a varint. */
  readonly payload: Uint8Array;
  /** Tag and payload, to write an unknown field back as it was. */
  readonly raw: Uint8Array;
}

/** What is left of the work one file may cause; shared by all its messages. */
export interface ReadBudget {
  fields: number;
  /** Where it began. */
  readonly maxFields: number;
}

/** A budget for one file. */
export function readBudget(maxFields = MAX_FIELDS): ReadBudget {
  return { fields: maxFields, maxFields };
}

/**
 * The fields of one message, in file order. Nothing is copied and nothing is allocated by a length the file claims.
 * @param what the kind of message, for errors
 * @throws OnnxFormatError if the bytes are not a protobuf message, or the budget is spent
 */
export function* fieldsOf(bytes: Uint8Array, what: string, budget: ReadBudget): Generator<Field, void, undefined> {
  let at = 0;
  while (at < bytes.length) {
    spend(budget, 1);
    const start = at;
    const tag = readVarint(bytes, at, what);
    at = tag.end;
    const wire = Number(tag.value & 7n);
    const number = Number(tag.value >> 3n);
    if (number < 1 || number > 0x1fffffff)
      throw broken(what, start, `field number ${number} does not exist in protobuf`);
    let varint = 0n;
    let payloadStart = at;
    switch (wire) {
      case VARINT: {
        const read = readVarint(bytes, at, what);
        varint = read.value;
        at = payloadStart = read.end;
        break;
      }
      case FIXED64:
        at += 8;
        break;
      case FIXED32:
        at += 4;
        break;
      case LENGTH_DELIMITED: {
        const length = readVarint(bytes, at, what);
        payloadStart = length.end;
        if (length.value > BigInt(bytes.length - payloadStart)) {
          throw broken(
            what,
            start,
            `field ${number} claims ${length.value} bytes and ${bytes.length - payloadStart} follow`,
          );
        }
        at = payloadStart + Number(length.value);
        break;
      }
      default:
        throw broken(what, start, `field ${number} has the wire type ${wire}; 0, 1, 2 and 5 are allowed`);
    }
    if (at > bytes.length) throw broken(what, start, `field ${number} runs past the end`);
    yield { number, wire, varint, payload: bytes.subarray(payloadStart, at), raw: bytes.subarray(start, at) };
  }
}

/** @throws OnnxFormatError if the field is not a varint; the value as a signed 64-bit number */
export function int64(field: Field, what: string): bigint {
  requireWire(field, VARINT, what);
  return BigInt.asIntN(64, field.varint);
}

/** @throws OnnxFormatError if the field is not a varint of at most 2^53 - 1 */
export function count(field: Field, what: string): number {
  const value = int64(field, what);
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER))
    throw new OnnxFormatError(`${what}, field ${field.number}: ${value} is not a count`);
  return Number(value);
}

/** @throws OnnxFormatError if the field is not a length-delimited one */
export function bytesOf(field: Field, what: string): Uint8Array {
  requireWire(field, LENGTH_DELIMITED, what);
  return field.payload;
}

/** @throws OnnxFormatError if the field is not text in UTF-8 */
export function text(field: Field, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytesOf(field, what));
  } catch (error) {
    if (error instanceof OnnxFormatError) throw error;
    throw new OnnxFormatError(
      `${what}, field ${field.number}: the text is not valid UTF-8; the file is damaged or not an ONNX model`,
      { cause: error },
    );
  }
}

/** @throws OnnxFormatError if the field is not a 32-bit float */
export function float(field: Field, what: string): number {
  requireWire(field, FIXED32, what);
  return dataView(field.payload).getFloat32(0, true);
}

/** Values of a repeated int64 field, packed or not. @throws OnnxFormatError */
export function int64s(field: Field, what: string, budget: ReadBudget): bigint[] {
  if (field.wire === VARINT) return [int64(field, what)];
  const packed = bytesOf(field, what);
  const values: bigint[] = [];
  for (let at = 0; at < packed.length;) {
    spend(budget, 1);
    const { value, end } = readVarint(packed, at, what);
    values.push(BigInt.asIntN(64, value));
    at = end;
  }
  return values;
}

/** Values of a repeated float field, packed or not. @throws OnnxFormatError */
export function floats(field: Field, what: string, budget: ReadBudget): number[] {
  if (field.wire === FIXED32) return [float(field, what)];
  const packed = bytesOf(field, what);
  if (packed.length % 4 !== 0)
    throw new OnnxFormatError(`${what}, field ${field.number}: ${packed.length} bytes are not whole 32-bit floats`);
  spend(budget, packed.length / 4);
  const view = dataView(packed);
  return Array.from({ length: packed.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

/** Writes one message. Nested messages and large byte strings are kept by reference until {@link MessageWriter.finish}. */
export class MessageWriter {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  /** A varint field; negative values as 64-bit two's complement, as protobuf's int64 and int32 are. */
  int64(field: number, value: bigint | number): this {
    this.#tag(field, VARINT);
    return this.raw(varintBytes(BigInt.asUintN(64, BigInt(value))));
  }

  float(field: number, value: number): this {
    this.#tag(field, FIXED32);
    return this.raw(floatBytes([value]));
  }

  bytes(field: number, value: Uint8Array): this {
    this.#tag(field, LENGTH_DELIMITED);
    return this.raw(varintBytes(BigInt(value.length))).raw(value);
  }

  /** A string field; nothing is written for an empty one, which is protobuf's default. */
  text(field: number, value: string): this {
    return value === '' ? this : this.bytes(field, new TextEncoder().encode(value));
  }

  message(field: number, value: MessageWriter): this {
    this.#tag(field, LENGTH_DELIMITED);
    this.raw(varintBytes(BigInt(value.#length)));
    for (const part of value.#parts) this.raw(part);
    return this;
  }

  int64s(field: number, values: readonly (bigint | number)[]): this {
    // One by one, not packed: ONNX is declared in proto2 syntax, where packing must be asked for, and all readers take both.
    for (const value of values) this.int64(field, value);
    return this;
  }

  floats(field: number, values: readonly number[]): this {
    for (const value of values) this.float(field, value);
    return this;
  }

  /** Bytes as they are: unknown fields that were read with their tags. */
  raw(bytes: Uint8Array): this {
    if (bytes.length > 0) this.#parts.push(bytes);
    this.#length += bytes.length;
    return this;
  }

  finish(): Uint8Array {
    const all = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  #tag(field: number, wire: number): void {
    this.raw(varintBytes(BigInt(field * 8 + wire)));
  }
}

/** Little-endian 32-bit floats, as protobuf and ONNX store them. */
export function floatBytes(values: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = dataView(bytes);
  for (let i = 0; i < values.length; i++) view.setFloat32(4 * i, values[i] ?? NaN, true);
  return bytes;
}

/** A view of exactly these bytes. */
export function dataView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function readVarint(bytes: Uint8Array, start: number, what: string): { value: bigint; end: number } {
  let low = 0; // the first 28 bits as a number: nearly every varint ends there, and bigint arithmetic is slow
  let value = 0n;
  for (let i = 0; i < 10; i++) {
    const byte = bytes[start + i];
    if (byte === undefined) throw broken(what, start, 'a number runs past the end');
    if (i < 4) low |= (byte & 0x7f) << (7 * i);
    else value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) return { value: BigInt.asUintN(64, value | BigInt(low)), end: start + i + 1 };
  }
  throw broken(what, start, 'a number is longer than 10 bytes');
}

function varintBytes(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

function requireWire(field: Field, wire: number, what: string): void {
  if (field.wire !== wire)
    throw new OnnxFormatError(
      `${what}, field ${field.number}: wire type ${field.wire} where ${wire} belongs; the file is damaged or not an ONNX model`,
    );
}

function spend(budget: ReadBudget, amount: number): void {
  budget.fields -= amount;
  if (budget.fields < 0)
    throw new OnnxFormatError(`the model holds more than ${budget.maxFields} fields; no such model is read`);
}

function broken(what: string, at: number, problem: string): OnnxFormatError {
  return new OnnxFormatError(`${what}, byte ${at}: ${problem}; the file is damaged or not an ONNX model`);
}
