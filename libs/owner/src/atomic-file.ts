/** Files that are either complete and on disk, or not there: a process may be killed, or the power fail, at any moment. */
import { randomUUID } from 'node:crypto';
import { link, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Of files that are being written. Whoever holds the directory's lock may remove them. */
const PART = '.part';

/** Writes bytes to a new file in `directory`, mode 0600 and synced, under a name of its own. @returns its path */
export async function writePart(directory: string, bytes: Uint8Array): Promise<string> {
  const path = join(directory, `${randomUUID()}${PART}`);
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  return path;
}

/** Writes or replaces a file. */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const part = await writePart(dirname(path), bytes);
  await rename(part, path);
  await syncDirectory(dirname(path));
}

/** Writes a file that must not exist yet; never overwrites. @throws an error with code EEXIST */
export async function createFile(path: string, bytes: Uint8Array): Promise<void> {
  const part = await writePart(dirname(path), bytes);
  try {
    await link(part, path);
  } finally {
    await rm(part, { force: true });
  }
  await syncDirectory(dirname(path));
}

/** Removes what killed processes were writing. */
export async function removeParts(directory: string): Promise<void> {
  for (const name of await readdir(directory))
    if (name.endsWith(PART)) await rm(join(directory, name), { force: true });
}

/** A new directory entry is on disk only after this. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** `ENOENT` and the like, undefined for anything that is no error of the operating system. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
