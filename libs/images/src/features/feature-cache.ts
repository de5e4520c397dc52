/**
 * Features on disk, by the digest of the image they were computed from.
 *
 * Each (model, output, preprocessing) has a directory. A run that computes something adds one file to it, and only
 * appends: a header, then records of fixed length, each with a checksum. A killed run loses at most its last batch,
 * two concurrent runs do not disturb each other, and a damaged record is computed again.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { mkdir, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { messageOf, required } from '@blindfit/base';
import { FeatureError } from '../feature-error.ts';
import { KeyIndex } from './key-index.ts';

const MAGIC = Buffer.from('\u0089BFCACHE', 'latin1');
const VERSION = 1;
/** Magic, version, features per record. */
const HEADER_BYTES = 16;
const KEY_BYTES = 32;
const CRC_BYTES = 4;
const SUFFIX = '.features';
const READ_BYTES = 2 ** 22;
/** Above this a header is damaged. */
const MAX_FEATURES = 2 ** 24;

interface Segment {
  readonly fd: number;
  /** Number of its first record, over all segments. */
  readonly first: number;
}

export class FeatureCache {
  readonly #directory: string;
  readonly #index = new KeyIndex();
  /** In the order of their first records; the last may be the one of this run. */
  readonly #segments: Segment[] = [];
  #writing = false;
  #records = 0;
  /** Features of a record; 0 before the first one. */
  #d = 0;

  /**
   * Opens a cache, and makes its directory (mode 0700: features say much about images).
   * @param directory of this (model, output, preprocessing) only
   * @throws FeatureError `bad-cache`
   */
  static async open(directory: string): Promise<FeatureCache> {
    const cache = new FeatureCache(directory);
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      for (const name of (await readdir(directory)).sort())
        if (name.endsWith(SUFFIX)) await cache.#scan(join(directory, name));
    } catch (error) {
      cache.close();
      throw cacheError(directory, error);
    }
    return cache;
  }

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** The features of the image with this digest, if they are in the cache and undamaged. */
  get(key: Buffer): Float32Array | undefined {
    const record = this.#index.get(key);
    if (record === undefined) return undefined;
    const segment = required(
      this.#segments.findLast(({ first }) => first <= record),
      'the segment of the record',
    );
    const bytes = Buffer.alloc(this.#recordBytes);
    try {
      readSync(segment.fd, bytes, 0, bytes.length, HEADER_BYTES + (record - segment.first) * bytes.length);
    } catch (error) {
      throw cacheError(this.#directory, error);
    }
    if (!isIntact(bytes) || !bytes.subarray(0, KEY_BYTES).equals(key)) return undefined;
    return new Float32Array(
      bytes.buffer.slice(bytes.byteOffset + KEY_BYTES, bytes.byteOffset + bytes.length - CRC_BYTES),
    );
  }

  /**
   * Adds features, with one write.
   * @param entries all with the same number of features
   * @throws FeatureError `bad-cache`
   */
  append(entries: readonly { readonly key: Buffer; readonly features: Float32Array }[]): void {
    const [entry] = entries;
    if (entry === undefined) return;
    try {
      if (!this.#writing) this.#startSegment(entry.features.length);
      const { fd } = required(this.#segments.at(-1), 'the segment of this run');
      const size = this.#recordBytes;
      const bytes = Buffer.alloc(entries.length * size);
      entries.forEach(({ key, features }, i) => {
        const record = bytes.subarray(i * size, (i + 1) * size);
        key.copy(record);
        Buffer.from(features.buffer, features.byteOffset, features.byteLength).copy(record, KEY_BYTES);
        record.writeUInt32LE(crc32(record.subarray(0, -CRC_BYTES)), size - CRC_BYTES);
      });
      for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
      for (const { key } of entries) this.#index.set(key, this.#records++);
    } catch (error) {
      throw cacheError(this.#directory, error);
    }
  }

  close(): void {
    for (const { fd } of this.#segments.splice(0)) closeSync(fd);
  }

  get #recordBytes(): number {
    return KEY_BYTES + 4 * this.#d + CRC_BYTES;
  }

  #startSegment(d: number): void {
    if (this.#d === 0) this.#d = d;
    const fd = openSync(
      join(this.#directory, `${Date.now().toString(36)}-${randomBytes(6).toString('hex')}${SUFFIX}`),
      'ax+',
      0o600,
    );
    this.#segments.push({ fd, first: this.#records });
    this.#writing = true;
    const header = Buffer.alloc(HEADER_BYTES);
    MAGIC.copy(header);
    header.writeUInt32LE(VERSION, 8);
    header.writeUInt32LE(d, 12);
    writeSync(fd, header);
  }

  /** Indexes the records of a file. A file with another or a damaged header is ignored. */
  async #scan(path: string): Promise<void> {
    const handle = await open(path, 'r');
    try {
      const header = Buffer.alloc(HEADER_BYTES);
      const { bytesRead } = await handle.read(header, 0, HEADER_BYTES, 0);
      const d = header.readUInt32LE(12);
      if (bytesRead < HEADER_BYTES || !header.subarray(0, 8).equals(MAGIC) || header.readUInt32LE(8) !== VERSION)
        return;
      if (d < 1 || d > MAX_FEATURES || (this.#d !== 0 && d !== this.#d)) return;
      this.#d = d;
      const size = this.#recordBytes;
      const chunk = Buffer.alloc(Math.max(1, Math.floor(READ_BYTES / size)) * size);
      const first = this.#records;
      for (let at = HEADER_BYTES; ;) {
        const { bytesRead: length } = await handle.read(chunk, 0, chunk.length, at);
        // The rest is a record that was cut short.
        const whole = Math.floor(length / size);
        for (let i = 0; i < whole; i++, this.#records++) {
          const record = chunk.subarray(i * size, (i + 1) * size);
          if (isIntact(record)) this.#index.set(record, this.#records);
        }
        if (whole === 0) break;
        at += whole * size;
      }
      if (this.#records > first) this.#segments.push({ fd: openSync(path, 'r'), first });
    } finally {
      await handle.close();
    }
  }
}

function isIntact(record: Buffer): boolean {
  return crc32(record.subarray(0, -CRC_BYTES)) === record.readUInt32LE(record.length - CRC_BYTES);
}

function cacheError(directory: string, error: unknown): FeatureError {
  return new FeatureError(
    'bad-cache',
    `the cache of features in ${directory} cannot be used: ${messageOf(error)}; ` +
      'free space or permissions there, or leave out the cache (`cacheDirectory`)',
    { cause: error },
  );
}
