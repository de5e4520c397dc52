/**
 * Evaluation keys of a host, as the native kernels read them: one file a key, named by the digest of its upload, made once by whoever needs it
 * first and mapped read-only by every thread and process. The least recently used go when the disk budget is full; a file that is still
 * mapped somewhere lives on there.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Making one takes a fraction of a second; a claim this old belongs to nobody. Milliseconds. */
const STALE_CLAIM_MS = 30_000;
const POLL_MS = 10;
const SUFFIX = '.key';

export class KeyFiles {
  private readonly directory: string;
  private readonly maxBytes: number;

  /** @param directory of this host, private to its user @param maxBytes of all files; those in use count, too, but stay */
  constructor(directory: string, maxBytes: number) {
    this.directory = directory;
    this.maxBytes = maxBytes;
  }

  /** Where the file of a key is, or undefined when there is none yet. Marks it as used. */
  async find(name: string): Promise<string | undefined> {
    const path = join(this.directory, `${name}${SUFFIX}`);
    const now = new Date();
    try {
      await utimes(path, now, now);
      return path;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      // Made by another user who lets us read it.
      if (errnoOf(error) === 'EPERM' || errnoOf(error) === 'EACCES') return path;
      throw error;
    }
  }

  /**
   * Makes a file, unless another thread or process makes it right now.
   * @returns its path, or undefined when somebody else is at it: look again later
   */
  async make(name: string, content: () => Promise<Uint8Array>): Promise<string | undefined> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    const claim = join(this.directory, `${name}.claim`);
    if (!(await this.claim(claim))) return undefined;
    try {
      const path = join(this.directory, `${name}${SUFFIX}`);
      const part = join(this.directory, `${randomUUID()}.part`);
      try {
        await writeFile(part, await content(), { mode: 0o600, flag: 'wx' });
        await rename(part, path);
      } finally {
        await rm(part, { force: true });
      }
      return path;
    } finally {
      await rm(claim, { force: true });
    }
  }

  /** Waits a moment for what others make. */
  pause(): Promise<void> {
    return sleep(POLL_MS);
  }

  /** Removes a file that turned out to be of no use. */
  async drop(name: string): Promise<void> {
    await rm(join(this.directory, `${name}${SUFFIX}`), { force: true });
  }

  /** Removes the least recently used files beyond the budget. @param keep names that stay */
  async trim(keep: ReadonlySet<string>): Promise<void> {
    const files: { readonly path: string; readonly bytes: number; readonly used: number; readonly kept: boolean }[] = [];
    for (const name of await readdir(this.directory)) {
      const path = join(this.directory, name);
      const info = await stat(path).catch(() => undefined);
      if (info === undefined) continue;
      // What a killed process was writing.
      if (!name.endsWith(SUFFIX) && Date.now() - info.mtimeMs > STALE_CLAIM_MS) await rm(path, { force: true });
      if (name.endsWith(SUFFIX)) files.push({ path, bytes: info.size, used: info.mtimeMs, kept: keep.has(name.slice(0, -SUFFIX.length)) });
    }
    let bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    for (const file of files.sort((a, b) => a.used - b.used)) {
      if (bytes <= this.maxBytes) return;
      if (file.kept) continue;
      await rm(file.path, { force: true });
      bytes -= file.bytes;
    }
  }

  /** The claim names its holder, so that one left behind by a killed process does not count. */
  private async claim(path: string): Promise<boolean> {
    try {
      const file = await open(path, 'wx', 0o600);
      await file.writeFile(String(process.pid));
      await file.close();
      return true;
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
    const [holder, info] = await Promise.all([readFile(path, 'utf8').catch(() => ''), stat(path).catch(() => undefined)]);
    if (info !== undefined && (Date.now() - info.mtimeMs > STALE_CLAIM_MS || (holder !== '' && !isAlive(Number(holder))))) await rm(path, { force: true });
    return false;
  }
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
