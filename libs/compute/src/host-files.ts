/**
 * Files that threads and processes of a host make once and map read-only: evaluation keys and inputs in the form that
 * the native kernels read, named by the digest of the upload. The least recently used files are removed when the disk
 * budget is full. A removed file that is still mapped lives on for those who map it.
 */
import { mkdir, readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from '@blindfit/base';
import { InvalidLockError, LockedError, replaceFile, takeLock, type FileLock } from '@blindfit/base/node';

/** Making a file takes a fraction of a second; a claim or a part of this age is left over. Milliseconds. */
const STALE_MS = 30_000;
const POLL_MS = 10;
/** A file that was used since then is not removed for an optional one. Milliseconds. */
const IDLE_MS = 600_000;
/** A file is marked as used at most this often: each mark changes its times, and then all of it is checked again. */
const TOUCH_MS = 60_000;
/** A survey that found no room counts for this long. Milliseconds. */
const FULL_MS = 10_000;
/** Share of the budget after which the directory is surveyed again, because other processes write there, too. */
const SURVEY_SHARE = 1 / 16;

export class HostFiles {
  readonly #directory: string;
  readonly #suffix: string;
  readonly #maxBytes: number;
  readonly #onDamage: () => void;
  /** What the last survey found, the bytes added since, and when it was made. */
  #usage: { readonly bytes: number; added: number; readonly at: number } | undefined;

  /**
   * @param directory on this host, private to its user; it is created when needed
   * @param maxBytes budget of all files; those in use count, too, but stay
   * @param onDamage called for each file that is removed because it is not as it was written
   */
  constructor(directory: string, suffix: string, maxBytes: number, onDamage: () => void = () => undefined) {
    this.#directory = directory;
    this.#suffix = suffix;
    this.#maxBytes = maxBytes;
    this.#onDamage = onDamage;
  }

  /** Marks a file as used. @returns its path, or undefined when it does not exist */
  async touch(name: string): Promise<string | undefined> {
    const path = this.#pathOf(name);
    const now = new Date();
    try {
      const { mtimeMs } = await stat(path);
      if (Math.abs(now.getTime() - mtimeMs) > TOUCH_MS) await utimes(path, now, now);
      return path;
    } catch (error) {
      const code = errnoOf(error);
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
      // The file of another user can be read, and its times cannot be set.
      if (code === 'EPERM' || code === 'EACCES') return path;
      throw error;
    }
  }

  /**
   * Makes a file, unless another thread or process is making it.
   * @returns its path, or undefined when another one is at work: look again after {@link waitForOthers}
   */
  async createOnce(name: string, content: () => Promise<Uint8Array>): Promise<string | undefined> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    using claim = await this.#claim(name);
    return claim && (await this.#write(name, [await content()]));
  }

  /** Waits a moment for files that others make. */
  waitForOthers(): Promise<void> {
    return sleep(POLL_MS);
  }

  /** Opens a file. @returns undefined when it is damaged, of another version, or gone; it is removed then */
  async openOrDiscard<T>(path: string, open: (path: string) => T): Promise<T | undefined> {
    try {
      return open(path);
    } catch (error) {
      await rm(path, { force: true });
      if (error instanceof Error && 'code' in error && error.code === 'DAMAGED_FILE') this.#onDamage();
      return undefined;
    }
  }

  /**
   * Best effort: writes a file only if it fits the budget without removing anything that was used in the last ten
   * minutes. So a working set larger than the budget keeps a stable part instead of thrashing. Errors of the file
   * system are swallowed.
   * @returns its path, or undefined when it was not written
   */
  async putIfRoom(name: string, pieces: readonly Uint8Array[]): Promise<string | undefined> {
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      if (!(await this.#hasRoom(bytes))) return undefined;
      const path = await this.#write(name, pieces);
      if (this.#usage !== undefined) this.#usage.added += bytes;
      return path;
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      this.#usage = { bytes: this.#maxBytes, added: 0, at: Date.now() };
      return undefined;
    }
  }

  /** Removes the least recently used files beyond the budget. @param keep names of files that stay */
  async trim(keep: ReadonlySet<string>): Promise<void> {
    await evict(await this.#survey(), this.#maxBytes, ({ name }) => keep.has(name));
  }

  async #hasRoom(bytes: number): Promise<boolean> {
    const maxBytes = this.#maxBytes;
    const usage = this.#usage;
    if (usage !== undefined && usage.added <= maxBytes * SURVEY_SHARE) {
      if (usage.bytes + usage.added + bytes <= maxBytes) return true;
      if (Date.now() - usage.at < FULL_MS) return false;
    }
    const idleSince = Date.now() - IDLE_MS;
    const target = Math.min(maxBytes - bytes, maxBytes * (1 - SURVEY_SHARE));
    const left = await evict(await this.#survey(), target, ({ usedAt }) => usedAt > idleSince);
    this.#usage = { bytes: left, added: 0, at: Date.now() };
    return left + bytes <= maxBytes;
  }

  /** All files. Parts and claims that killed processes left are removed. */
  async #survey(): Promise<HostFile[]> {
    const files: HostFile[] = [];
    for (const name of await readdir(this.#directory)) {
      const path = join(this.#directory, name);
      const info = await stat(path).catch(() => undefined);
      if (info === undefined) continue;
      if (name.endsWith(this.#suffix))
        files.push({ path, name: name.slice(0, -this.#suffix.length), bytes: info.size, usedAt: info.mtimeMs });
      else if (Date.now() - info.mtimeMs > STALE_MS) await rm(path, { force: true });
    }
    return files;
  }

  /** Not synced: a file that a power failure damages fails its checksums when it is opened. @returns its path */
  async #write(name: string, pieces: readonly Uint8Array[]): Promise<string> {
    const path = this.#pathOf(name);
    await replaceFile(path, pieces, { sync: false });
    return path;
  }

  /** @returns undefined when another thread or process holds the claim */
  async #claim(name: string): Promise<FileLock | undefined> {
    const path = join(this.#directory, `${name}.claim`);
    try {
      return await takeLock(path, { silenceMs: STALE_MS, silenceCounts: true });
    } catch (error) {
      // Earlier releases wrote claims of another form. Two threads that make the same file do no harm.
      if (error instanceof InvalidLockError) await rm(path, { force: true });
      else if (!(error instanceof LockedError)) throw error;
      return undefined;
    }
  }

  #pathOf(name: string): string {
    return join(this.#directory, `${name}${this.#suffix}`);
  }
}

interface HostFile {
  readonly path: string;
  readonly name: string;
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly usedAt: number;
}

/** Removes the least recently used files until at most `maxBytes` are left. @returns the bytes that are left */
async function evict(
  files: readonly HostFile[],
  maxBytes: number,
  stays: (file: HostFile) => boolean,
): Promise<number> {
  let bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  for (const file of files.toSorted((a, b) => a.usedAt - b.usedAt)) {
    if (bytes <= maxBytes) break;
    if (stays(file)) continue;
    await rm(file.path, { force: true });
    bytes -= file.bytes;
  }
  return bytes;
}
