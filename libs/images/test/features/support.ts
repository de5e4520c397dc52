import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatasetError } from '@blindfit/data';
import {
  extractFeatures,
  FeatureError,
  type ExtractOptions,
  type FeatureErrorCode,
  type FeatureRow,
  type ImageSource,
  type Pixels,
} from '../../src/index.ts';

/** Writes a file and the folders above it. */
export async function put(path: string, bytes: Uint8Array | string): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
  return path;
}

/** For assert.rejects. */
export function isError(code: FeatureErrorCode, message: RegExp): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof FeatureError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };
}

export function isDatasetError(code: string, message: RegExp): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof DatasetError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };
}

/** An IDX file of unsigned bytes. */
export function idx(dimensions: readonly number[], data: Uint8Array, magic = 0x0800 + dimensions.length): Buffer {
  const header = Buffer.alloc(4 + 4 * dimensions.length);
  header.writeUInt32BE(magic, 0);
  dimensions.forEach((size, i) => header.writeUInt32BE(size, 4 + 4 * i));
  return Buffer.concat([header, data]);
}

/** Bytes that look random and are the same everywhere (the generator of ANSI C). */
export function noise(length: number, seed = 12345): Uint8Array {
  let state = BigInt(seed);
  return Uint8Array.from({ length }, () => {
    state = (state * 1103515245n + 12345n) & 0x7fffffffn;
    return Number((state >> 16n) & 255n);
  });
}

export async function collect(options: ExtractOptions): Promise<FeatureRow[]> {
  const rows: FeatureRow[] = [];
  for await (const row of extractFeatures(options)) rows.push(row);
  return rows;
}

/** The images of a source as it reads them. */
export async function pixelsOf(source: ImageSource): Promise<Pixels[]> {
  const all: Pixels[] = [];
  for (let i = 0; i < source.count; i++) all.push(await (await source.read(i)).decode());
  return all;
}

export function largestDifference(a: readonly FeatureRow[], b: readonly FeatureRow[]): number {
  assert.equal(a.length, b.length);
  let largest = 0;
  a.forEach(({ features }, i) => {
    assert.equal(features.length, b[i]?.features.length);
    features.forEach((value, j) => (largest = Math.max(largest, Math.abs(value - b[i]!.features[j]!))));
  });
  assert.ok(!Number.isNaN(largest));
  return largest;
}
