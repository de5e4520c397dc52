import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { digestOf, type Digest } from '@blindfit/base';

/** A directory of its own for one test, removed afterwards. */
export async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-api-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Random bytes and their digest. */
export function randomBlob(size: number): { bytes: Uint8Array<ArrayBuffer>; digest: Digest } {
  const bytes = new Uint8Array(randomBytes(size));
  return { bytes, digest: digestOf(bytes) };
}

/** Names of all files below a directory. */
export async function filesUnder(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** Waits until a condition holds; fails after ten seconds. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited ten seconds in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
