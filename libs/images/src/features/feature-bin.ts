/**
 * The compact features file, `.bin`, all numbers little-endian:
 *
 * | bytes | what |
 * |---|---|
 * | 8 | magic 89 42 46 46 45 41 54 0A |
 * | 4 | version, 1 |
 * | 4 | d, features per row |
 * | 8 | n, rows |
 * | 4 | bytes of the table of labels |
 * | 4 | CRC-32 of everything after the header |
 * | 4 | CRC-32 of the header up to here |
 * | n x (4 + 4 d) | rows: which label of the table, then d 32-bit floats |
 * | the rest | the table of labels, a JSON array of texts in UTF-8 |
 */
import { open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { createDataset, type LabelledDataset } from '@blindfit/data';
import { FeatureError } from '../feature-error.ts';

export const BIN_MAGIC = Buffer.from('\u0089BFFEAT\n', 'latin1');
const VERSION = 1;
export const BIN_HEADER_BYTES = 36;
const MAX_FEATURES = 2 ** 24;
/** The limit of a data set: 1 GiB of doubles. */
const MAX_VALUES = 2 ** 27;
const MAX_TABLE_BYTES = 2 ** 28;
const READ_BYTES = 2 ** 22;

interface BinHeader {
  readonly d: number;
  readonly n: number;
  readonly tableBytes: number;
  readonly bodyCrc: number;
}

/** Encodes the rows and the table of a `.bin` file; its header comes first in the file and is made last. */
export class BinEncoder {
  readonly #labels = new Map<string, number>();
  #n = 0;
  #d = 0;
  #crc = 0;

  /** The bytes of one row. */
  row(label: string, features: Float32Array): Buffer {
    const number = this.#labels.get(label) ?? this.#labels.size;
    this.#labels.set(label, number);
    this.#d = features.length;
    this.#n++;
    const bytes = Buffer.alloc(4 + features.byteLength);
    bytes.writeUInt32LE(number, 0);
    Buffer.from(features.buffer, features.byteOffset, features.byteLength).copy(bytes, 4);
    this.#crc = crc32(bytes, this.#crc);
    return bytes;
  }

  /** The end and the beginning of the file, after all rows. */
  finish(): { table: Buffer; header: Buffer } {
    const table = Buffer.from(JSON.stringify([...this.#labels.keys()]));
    const header = Buffer.alloc(BIN_HEADER_BYTES);
    BIN_MAGIC.copy(header);
    header.writeUInt32LE(VERSION, 8);
    header.writeUInt32LE(this.#d, 12);
    header.writeBigUInt64LE(BigInt(this.#n), 16);
    header.writeUInt32LE(table.length, 24);
    header.writeUInt32LE(crc32(table, this.#crc), 28);
    header.writeUInt32LE(crc32(header.subarray(0, 32)), 32);
    return { table, header };
  }
}

/**
 * Reads a `.bin` file.
 * @throws FeatureError `bad-file` unless it is whole and undamaged
 */
export async function readBin(path: string): Promise<LabelledDataset> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    const header = Buffer.alloc(BIN_HEADER_BYTES);
    const { bytesRead } = await handle.read(header, 0, BIN_HEADER_BYTES, 0);
    const { n, d, tableBytes, bodyCrc } = parseHeader(path, header.subarray(0, bytesRead), size);
    const features = new Float64Array(n * d);
    const numbers = new Uint32Array(n);
    const rowBytes = 4 + 4 * d;
    const chunk = Buffer.alloc(Math.max(1, Math.floor(READ_BYTES / rowBytes)) * rowBytes);
    let crc = 0;
    for (let row = 0; row < n;) {
      const rows = Math.min(n - row, chunk.length / rowBytes);
      const part = chunk.subarray(0, rows * rowBytes);
      await readFully(path, handle, part, BIN_HEADER_BYTES + row * rowBytes);
      crc = crc32(part, crc);
      for (let i = 0, at = 0; i < rows; i++, row++) {
        numbers[row] = part.readUInt32LE(at);
        at += 4;
        for (let j = 0; j < d; j++, at += 4) features[row * d + j] = part.readFloatLE(at);
      }
    }
    const table = Buffer.alloc(tableBytes);
    await readFully(path, handle, table, BIN_HEADER_BYTES + n * rowBytes);
    if (crc32(table, crc) !== bodyCrc) throw damaged(path, 'its checksum does not match');
    const labels: unknown = JSON.parse(table.toString('utf8'));
    if (!Array.isArray(labels) || !labels.every((label) => typeof label === 'string'))
      throw damaged(path, 'its table of labels is none');
    return createDataset(
      features,
      d,
      Array.from(numbers, (number) => {
        const label = labels[number];
        if (label === undefined) throw damaged(path, `it names the label ${number} of ${labels.length}`);
        return label;
      }),
    );
  } finally {
    await handle.close();
  }
}

function parseHeader(path: string, header: Buffer, size: number): BinHeader {
  if (header.length < BIN_HEADER_BYTES) throw damaged(path, `it is cut short at ${size} bytes`);
  if (!header.subarray(0, 8).equals(BIN_MAGIC))
    throw new FeatureError(
      'bad-file',
      `${path} is no features file: it does not start with Blindfit's mark; ` + 'write it with "blindfit features"',
    );
  const version = header.readUInt32LE(8);
  if (crc32(header.subarray(0, 32)) !== header.readUInt32LE(32))
    throw damaged(path, 'the checksum of its header does not match');
  if (version !== VERSION)
    throw new FeatureError(
      'bad-file',
      `${path} is a features file of version ${version}; this program reads version ${VERSION}: write it again`,
    );
  const d = header.readUInt32LE(12);
  const n = Number(header.readBigUInt64LE(16));
  const tableBytes = header.readUInt32LE(24);
  if (d < 1 || d > MAX_FEATURES || n < 1 || n * d > MAX_VALUES || tableBytes > MAX_TABLE_BYTES) {
    throw new FeatureError(
      'bad-file',
      `${path} holds ${n} rows of ${d} features; at least one of each and at most ${MAX_VALUES} numbers are allowed: ` +
        'write fewer (`limit`)',
    );
  }
  const expected = BIN_HEADER_BYTES + n * (4 + 4 * d) + tableBytes;
  if (size !== expected) throw damaged(path, `it has ${size} bytes and should have ${expected}`);
  return { d, n, tableBytes, bodyCrc: header.readUInt32LE(28) };
}

async function readFully(
  path: string,
  handle: Awaited<ReturnType<typeof open>>,
  into: Buffer,
  position: number,
): Promise<void> {
  for (let at = 0; at < into.length;) {
    const { bytesRead } = await handle.read(into, at, into.length - at, position + at);
    if (bytesRead === 0) throw damaged(path, 'it is cut short');
    at += bytesRead;
  }
}

function damaged(path: string, how: string): FeatureError {
  return new FeatureError('bad-file', `${path} is damaged: ${how}; write it again, or copy it again`);
}
