import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { digestOf, type Digest } from '@blindfit/base';

/** A directory of its own for one test, removed afterwards. */
export async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-storage-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Random bytes and their digest. */
export function randomBlob(size: number): { bytes: Uint8Array; digest: Digest } {
  const bytes = new Uint8Array(randomBytes(size));
  return { bytes, digest: digestOf(bytes) };
}

/** The bytes as a stream of chunks, with a turn of the event loop between them. */
export async function* chunked(bytes: Uint8Array, chunk = 16_384): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunk) {
    await new Promise((resolve) => setImmediate(resolve));
    yield bytes.subarray(at, at + chunk);
  }
}

/** Paths of all files below a directory. */
export async function filesUnder(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

export async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(Buffer.concat(await Array.fromAsync(stream)));
}
