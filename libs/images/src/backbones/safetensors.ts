import { messageOf } from '@blindfit/base';
import { FeatureError } from '../feature-error.ts';

/** A tensor of a safetensors file; its values are converted when asked for. */
export interface StoredTensor {
  /** As the file spells it: F32, F16, BF16, I64, ... */
  readonly dtype: string;
  readonly shape: readonly number[];
  /**
   * Its values as 32-bit floats, row-major.
   * @throws FeatureError `bad-weights` unless the dtype is F32, F16 or BF16
   */
  floats(): Float32Array;
}

/** The format's own limit on its header. */
const MAX_HEADER_BYTES = 100_000_000;

/** Bytes per value of the dtypes there are; those with less than a byte are not read. */
const BYTES_PER_VALUE: ReadonlyMap<string, number> = new Map([
  ...['BOOL', 'U8', 'I8', 'F8_E4M3', 'F8_E5M2', 'F8_E8M0'].map((dtype) => [dtype, 1] as const),
  ...['U16', 'I16', 'F16', 'BF16'].map((dtype) => [dtype, 2] as const),
  ...['U32', 'I32', 'F32'].map((dtype) => [dtype, 4] as const),
  ...['U64', 'I64', 'F64', 'C64'].map((dtype) => [dtype, 8] as const),
]);

/**
 * Reads a safetensors file: 8 bytes header length, a JSON header, the values.
 * @param bytes the whole file; tensors keep views of it
 * @returns the tensors by name
 * @throws FeatureError `bad-weights` if it is damaged: offsets outside the file, sizes that do not fit shapes,
 * overlaps, no JSON
 */
export function parseSafetensors(bytes: Uint8Array): ReadonlyMap<string, StoredTensor> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 8) throw bad(`it has ${bytes.length} bytes`);
  const headerBytes = view.getBigUint64(0, true);
  const limit = BigInt(Math.min(bytes.length - 8, MAX_HEADER_BYTES));
  if (headerBytes > limit)
    throw bad(`its first 8 bytes announce a header of ${headerBytes} bytes; at most ${limit} are possible here`);
  const start = 8 + Number(headerBytes);
  const header = parseHeader(bytes.subarray(8, start));
  const data = bytes.subarray(start);

  const tensors = new Map<string, StoredTensor>();
  const ranges: { name: string; begin: number; end: number }[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const { dtype, shape, begin, end } = parseEntry(name, value);
    if (end > data.length)
      throw bad(
        `the tensor ${quoted(name)} lies at bytes ${begin} to ${end} and there are ${data.length}; ` +
          'the file may be cut off',
      );
    ranges.push({ name, begin, end });
    tensors.set(name, { dtype, shape, floats: () => toFloats(name, dtype, data.subarray(begin, end)) });
  }
  ranges.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let previous: (typeof ranges)[number] | undefined;
  for (const range of ranges) {
    if (previous !== undefined && range.begin < previous.end)
      throw bad(`the tensors ${quoted(previous.name)} and ${quoted(range.name)} overlap`);
    previous = range;
  }
  return tensors;
}

function parseHeader(bytes: Uint8Array): object {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw bad(`its header is not JSON (${messageOf(error)})`, { cause: error });
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header))
    throw bad('its header is not a JSON object');
  return header;
}

function parseEntry(
  name: string,
  value: unknown,
): { dtype: string; shape: readonly number[]; begin: number; end: number } {
  const entry: Readonly<Record<string, unknown>> = typeof value === 'object' && value !== null ? { ...value } : {};
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== 'string' || !isCounts(shape) || !isCounts(offsets)) {
    throw bad(`the entry of ${quoted(name)} must have a dtype, a shape and data_offsets`);
  }
  const [begin, end] = offsets;
  if (begin === undefined || end === undefined || offsets.length !== 2 || end < begin)
    throw bad(`the data_offsets of ${quoted(name)} must be [begin, end] with begin <= end`);
  const bytesPerValue = BYTES_PER_VALUE.get(dtype);
  if (bytesPerValue === undefined)
    throw bad(
      `the tensor ${quoted(name)} has the dtype ${quoted(dtype)}; known are ${[...BYTES_PER_VALUE.keys()].join(', ')}`,
    );
  const size = shape.reduce((product, dim) => product * dim, bytesPerValue);
  if (size !== end - begin)
    throw bad(
      `the tensor ${quoted(name)} of shape [${shape.join(', ')}] and dtype ${dtype} needs ${size} bytes ` +
        `and has ${end - begin}`,
    );
  return { dtype, shape, begin, end };
}

function isCounts(value: unknown): value is readonly number[] {
  return (
    Array.isArray(value) && value.every((item) => typeof item === 'number' && Number.isSafeInteger(item) && item >= 0)
  );
}

function toFloats(name: string, dtype: string, bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (dtype) {
    case 'F32':
      return fill(bytes.length / 4, (i) => view.getFloat32(4 * i, true));
    case 'F16':
      return fill(bytes.length / 2, (i) => halfToNumber(view.getUint16(2 * i, true)));
    case 'BF16':
      // The upper half of a 32-bit float.
      return new Float32Array(
        Uint32Array.from({ length: bytes.length / 2 }, (_, i) => view.getUint16(2 * i, true) << 16).buffer,
      );
    default:
      throw new FeatureError(
        'bad-weights',
        `the tensor ${quoted(name)} has the dtype ${dtype}; ` +
          'weights must be F32, F16 or BF16: convert them with tensor.float() before saving',
      );
  }
}

/** Several times faster than `Float32Array.from`, which matters for millions of weights. */
function fill(length: number, valueAt: (i: number) => number): Float32Array {
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) values[i] = valueAt(i);
  return values;
}

/** IEEE 754 half precision: 1 sign, 5 exponent and 10 fraction bits. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function quoted(name: string): string {
  return JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}…` : name);
}

function bad(problem: string, options?: ErrorOptions): FeatureError {
  return new FeatureError('bad-weights', `not a valid safetensors file: ${problem}`, options);
}
