/** Files that are either complete or absent, although a process may be killed or the power may fail at any moment. */
import { randomUUID } from 'node:crypto';
import { link, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf } from '../errors.ts';

/** Suffix of files that are being written. */
export const PART_SUFFIX = '.part';

/** The bytes of a file: one piece or several that follow each other. */
export type FileContent = string | Uint8Array | readonly Uint8Array[];

export interface WriteOptions {
  /** Permissions of the file before the umask. @default 0o600 */
  readonly mode?: number | undefined;
  /** Whether the file and its directory entry are synced, so that they survive a power failure. @default true */
  readonly sync?: boolean | undefined;
}

/**
 * Writes a new file with a random name that ends in {@link PART_SUFFIX}.
 * @returns its path
 * @throws an error of the file system; then no file is left
 */
export async function writePart(directory: string, content: FileContent, options: WriteOptions = {}): Promise<string> {
  const { mode = 0o600, sync = true } = options;
  const path = join(directory, `${randomUUID()}${PART_SUFFIX}`);
  try {
    const file = await open(path, 'wx', mode);
    try {
      for (const piece of piecesOf(content)) await writeAll(file, piece);
      if (sync) await file.sync();
    } finally {
      await file.close();
    }
    return path;
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

/** Writes a file in place of an existing one, if any: readers see the old content or the new content. */
export async function replaceFile(path: string, content: FileContent, options: WriteOptions = {}): Promise<void> {
  const part = await writePart(dirname(path), content, options);
  try {
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
  if (options.sync ?? true) await syncDirectory(dirname(path));
}

/** Writes a file that must not exist yet; never overwrites. @throws an error with code EEXIST */
export async function createFile(path: string, content: FileContent, options: WriteOptions = {}): Promise<void> {
  const part = await writePart(dirname(path), content, options);
  try {
    await link(part, path);
  } finally {
    await rm(part, { force: true });
  }
  if (options.sync ?? true) await syncDirectory(dirname(path));
}

/**
 * Removes the parts that killed processes left in a directory.
 * @param minAgeMs parts that were written to since then stay; 0 only for the holder of the directory's lock
 */
export async function removeParts(directory: string, minAgeMs = 0): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!name.endsWith(PART_SUFFIX)) continue;
    const path = join(directory, name);
    const info = await stat(path).catch(undefinedIfMissing);
    if (info !== undefined && Date.now() - info.mtimeMs >= minAgeMs) await rm(path, { force: true });
  }
}

/** Makes new and renamed entries of a directory survive a power failure. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** For `.catch`: turns the error of a missing file into undefined and throws every other one. */
export function undefinedIfMissing(error: unknown): undefined {
  if (errnoOf(error) !== 'ENOENT') throw error;
}

/**
 * Writes all bytes. A write may be cut short, for instance by a disk that is nearly full.
 * Pieces of 2 MiB and more are written by one call, so that file systems with huge pages use them.
 */
export async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) written += (await file.write(bytes, written)).bytesWritten;
}

function piecesOf(content: FileContent): readonly Uint8Array[] {
  if (typeof content === 'string') return [Buffer.from(content)];
  return content instanceof Uint8Array ? [content] : content;
}
