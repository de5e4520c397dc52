/**
 * What threads and processes of a host make once and map read-only, a file each: evaluation keys and inputs as the native kernels read them,
 * named by the digest of the upload. The least recently used go when the disk budget is full; a file that is still mapped somewhere lives on
 * there.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Making one takes a fraction of a second; a claim this old belongs to nobody. Milliseconds. */
const STALE_CLAIM_MS = 30_000;
const POLL_MS = 10;
/** A file that was used since then does not go for one that is offered. */
const IDLE_MS = 600_000;
/** How long a survey that found no room counts. */
const FULL_MS = 10_000;
/** Share of the budget after which the directory is looked at again: others write there, too. */
const SURVEY_SHARE = 1 / 16;

export class HostFiles {
  readonly #directory: string;
  readonly #suffix: string;
  readonly #maxBytes: number;
  /** As far as offers know: bytes there, bytes added since they were counted, and when that was. */
  #known: { bytes: number; added: number; at: number } | undefined;

  /** @param directory of this host, private to its user @param maxBytes of all files; those in use count, too, but stay */
  constructor(directory: string, suffix: string, maxBytes: number) {
    this.#directory = directory;
    this.#suffix = suffix;
    this.#maxBytes = maxBytes;
  }

  /** Where a file is, or undefined when there is none yet. Marks it as used. */
  async touch(name: string): Promise<string | undefined> {
    const path = join(this.#directory, `${name}${this.#suffix}`);
    const now = new Date();
    try {
      await utimes(path, now, now);
      return path;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
      // Made by another user who lets us read it.
      if (errnoOf(error) === 'EPERM' || errnoOf(error) === 'EACCES') return path;
      throw error;
    }
  }

  /**
   * Makes a file, unless another thread or process makes it right now.
   * @returns its path, or undefined when somebody else is at it: look again later
   */
  async createOnce(name: string, content: () => Promise<Uint8Array>): Promise<string | undefined> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const claim = join(this.#directory, `${name}.claim`);
    if (!(await this.#claim(claim))) return undefined;
    try {
      return await this.#write(name, [await content()]);
    } finally {
      await rm(claim, { force: true });
    }
  }

  /** Waits a moment for what others make. */
  waitForOthers(): Promise<void> {
    return sleep(POLL_MS);
  }

  /** Opens a file. Undefined when it is damaged, of another version, or gone again: then it is removed, to be made anew. */
  async openOrDiscard<T>(path: string, body: (path: string) => T): Promise<T | undefined> {
    try {
      return body(path);
    } catch {
      await rm(path, { force: true });
      return undefined;
    }
  }

  /**
   * Makes a file if there is room, for what can be done without. Files that were used of late stay: of a set that does not fit and is used
   * round by round, a part is kept rather than nothing. Whatever goes wrong, nothing is kept.
   * @returns its path, if it was made
   */
  async putIfRoom(name: string, pieces: readonly Uint8Array[]): Promise<string | undefined> {
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      if (!(await this.#hasRoom(bytes))) return undefined;
      const path = await this.#write(name, pieces);
      if (this.#known !== undefined) this.#known.added += bytes;
      return path;
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      this.#known = { bytes: this.#maxBytes, added: 0, at: Date.now() };
      return undefined;
    }
  }

  /** Removes the least recently used files beyond the budget. @param keep names that stay */
  async trim(keep: ReadonlySet<string>): Promise<void> {
    await this.#evict(await this.#survey(), this.#maxBytes, ({ name }) => keep.has(name));
  }

  async #hasRoom(bytes: number): Promise<boolean> {
    const known = this.#known;
    const maxBytes = this.#maxBytes;
    const fits = (held: number): boolean => held + bytes <= maxBytes;
    if (known !== undefined && known.added <= maxBytes * SURVEY_SHARE) {
      if (fits(known.bytes + known.added)) return true;
      if (Date.now() - known.at < FULL_MS) return false;
    }
    const files = await this.#survey();
    const idleSince = Date.now() - IDLE_MS;
    const held = await this.#evict(
      files,
      Math.min(maxBytes - bytes, maxBytes * (1 - SURVEY_SHARE)),
      ({ used }) => used > idleSince,
    );
    this.#known = { bytes: held, added: 0, at: Date.now() };
    return fits(held);
  }

  /** All files; what a killed process was writing is removed. */
  async #survey(): Promise<HostFile[]> {
    const files: HostFile[] = [];
    for (const name of await readdir(this.#directory)) {
      const path = join(this.#directory, name);
      const info = await stat(path).catch(() => undefined);
      if (info === undefined) continue;
      if (name.endsWith(this.#suffix))
        files.push({ path, name: name.slice(0, -this.#suffix.length), bytes: info.size, used: info.mtimeMs });
      else if (Date.now() - info.mtimeMs > STALE_CLAIM_MS) await rm(path, { force: true });
    }
    return files;
  }

  /** Removes the least recently used until `maxBytes` are left. @returns bytes left */
  async #evict(files: readonly HostFile[], maxBytes: number, stays: (file: HostFile) => boolean): Promise<number> {
    let bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    for (const file of [...files].sort((a, b) => a.used - b.used)) {
      if (bytes <= maxBytes) break;
      if (stays(file)) continue;
      await rm(file.path, { force: true });
      bytes -= file.bytes;
    }
    return bytes;
  }

  /** Whole or not at all, whoever reads at the same time. @returns its path */
  async #write(name: string, pieces: readonly Uint8Array[]): Promise<string> {
    const path = join(this.#directory, `${name}${this.#suffix}`);
    const part = join(this.#directory, `${randomUUID()}.part`);
    try {
      const file = await open(part, 'wx', 0o600);
      try {
        for (const piece of pieces) await writeAll(file, piece);
      } finally {
        await file.close();
      }
      await rename(part, path);
    } finally {
      await rm(part, { force: true });
    }
    return path;
  }

  /** The claim names its holder, so that one left behind by a killed process does not count. */
  async #claim(path: string): Promise<boolean> {
    try {
      const file = await open(path, 'wx', 0o600);
      await file.writeFile(String(process.pid));
      await file.close();
      return true;
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
    const [holder, info] = await Promise.all([
      readFile(path, 'utf8').catch(() => ''),
      stat(path).catch(() => undefined),
    ]);
    if (
      info !== undefined &&
      (Date.now() - info.mtimeMs > STALE_CLAIM_MS || (holder !== '' && !isAlive(Number(holder))))
    )
      await rm(path, { force: true });
    return false;
  }
}

interface HostFile {
  readonly path: string;
  readonly name: string;
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly used: number;
}

/** In one go: what is written 2 MiB and more at a time lies in huge pages on file systems that have them, and is mapped so. (writeFile writes 512 KiB at a time.) */
async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += (await file.write(bytes, at)).bytesWritten;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) !== 'ESRCH';
  }
}

function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
