import { createHash, randomUUID } from 'node:crypto';
import {
  access,
  constants,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  statfs,
  utimes,
  type FileHandle,
} from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { digestOfHex, errnoOf, hexOf, type Digest } from '@blindfit/base';
import { createFile, replaceFile, syncDirectory, undefinedIfMissing, writeAll } from '@blindfit/base/node';
import {
  openSource,
  type BlobInfo,
  type BlobSource,
  type CollectableBlobStore,
  type PutOptions,
  type PutResult,
} from './blob-store.ts';
import {
  BlobNotFoundError,
  BlobTooLargeError,
  CorruptBlobError,
  DigestMismatchError,
  StorageFullError,
  StoreUnavailableError,
} from './errors.ts';
import { formatIdentity, IDENTITY_NAME, parseIdentity, type StoreIdentity } from './identity.ts';
import { limited, type Limits } from './limits.ts';
import { verifyBytes, verifyStream } from './verify.ts';

/** A temporary file that was not written to for this long belongs to a process that died. Milliseconds. */
const STALE_MS = 3_600_000;
/** A file system with less room than this is full: even the result of one task may not fit. Bytes. */
const MIN_ROOM_BYTES = 16 * 2 ** 20;
/** What file systems of other hosts say when those are away. */
const AWAY: ReadonlySet<string> = new Set(['EIO', 'ESTALE', 'ENOTCONN', 'EHOSTDOWN', 'EHOSTUNREACH', 'ETIMEDOUT']);
const MOUNT_HINT = 'mount the store again; services wait for it';
/** Services of several users read the identity. */
const IDENTITY_MODE = 0o644;

export interface FileBlobStoreOptions {
  /**
   * Whether `put` returns only after the bytes and the directory entry are on disk, and damaged blobs are kept in
   * `<root>/corrupt` as evidence. A cache can do without both.
   * @default true
   */
  durable?: boolean | undefined;
  /** `check` fails when the file system has less room. Bytes. @default 16 MiB */
  minRoomBytes?: number | undefined;
}

/**
 * Blobs as files: `<root>/blobs/sha256/ab/<64 hex digits>`. Any number of processes may share the directory,
 * also over NFS: a file appears under its name only when it is complete.
 */
export class FileBlobStore implements CollectableBlobStore {
  readonly root: string;
  readonly #blobs: string;
  readonly #temporary: string;
  readonly #durable: boolean;
  readonly #minRoomBytes: number;
  /** Whether this process has seen the identity: a store without it is not the same one any more. */
  #identified = false;

  private constructor(root: string, { durable = true, minRoomBytes = MIN_ROOM_BYTES }: FileBlobStoreOptions) {
    this.root = root;
    this.#blobs = join(root, 'blobs', 'sha256');
    // Inside the root, because a rename is atomic only within one file system.
    this.#temporary = join(root, 'tmp');
    this.#durable = durable;
    this.#minRoomBytes = minRoomBytes;
  }

  /** Opens (and creates, where needed) the store in a directory and removes what dead processes left there. */
  static async open(directory: string, options: FileBlobStoreOptions = {}): Promise<FileBlobStore> {
    const store = new FileBlobStore(resolve(directory), options);
    try {
      await mkdir(store.#blobs, { recursive: true });
      await mkdir(store.#temporary, { recursive: true });
    } catch (error) {
      throw await store.#explain(error);
    }
    await store.removeLeftovers();
    return store;
  }

  get where(): string {
    return this.root;
  }

  /** Where the blob lies, or would lie. */
  pathOf(digest: Digest): string {
    const hex = hexOf(digest);
    return join(this.#blobs, hex.slice(0, 2), hex);
  }

  async has(digest: Digest): Promise<{ size: number } | undefined> {
    const info = await stat(this.pathOf(digest)).catch(undefinedIfMissing);
    if (info?.isFile() === true) return { size: info.size };
    await this.#assertThere();
    return undefined;
  }

  /** Like `BlobStore.touch`; also false for a file of another user, whose times this one may not change. */
  async touch(digest: Digest): Promise<boolean> {
    const now = new Date();
    try {
      await utimes(this.pathOf(digest), now, now);
      return true;
    } catch (error) {
      if (!['ENOENT', 'EPERM', 'EACCES'].includes(String(errnoOf(error)))) throw error;
      await this.#assertThere();
      return false;
    }
  }

  async put(digest: Digest, source: BlobSource, options: PutOptions = {}): Promise<PutResult> {
    const existing = await this.has(digest);
    // A blob that is collected between the two calls is written again.
    if (options.proof !== true && existing !== undefined && (await this.touch(digest)))
      return { created: false, size: existing.size };
    const maxBytes = options.maxBytes ?? Infinity;
    const declared = options.size ?? (source instanceof Uint8Array ? source.length : undefined);
    if (declared !== undefined && declared > maxBytes) throw new BlobTooLargeError(digest, maxBytes);

    const path = this.pathOf(digest);
    const temporary = join(this.#temporary, `${hexOf(digest).slice(0, 16)}-${randomUUID()}.part`);
    try {
      const size = await this.#receive(temporary, digest, openSource(source), { declared, maxBytes });
      const made = await mkdir(dirname(path), { recursive: true });
      const created = (await this.has(digest)) === undefined;
      await rename(temporary, path);
      if (this.#durable) {
        await syncDirectory(dirname(path));
        if (made !== undefined) await syncDirectory(this.#blobs);
      }
      return { created, size };
    } catch (error) {
      await rm(temporary, { force: true });
      throw await this.#explain(error);
    }
  }

  async get(digest: Digest): Promise<Uint8Array> {
    const bytes = await this.readHead(digest, Infinity);
    try {
      verifyBytes(bytes, digest, this.root);
    } catch (error) {
      if (error instanceof CorruptBlobError) await this.#setAside(digest);
      throw error;
    }
    return bytes;
  }

  async stream(digest: Digest): Promise<Readable> {
    const file = await this.#open(digest);
    return verifyStream(file.createReadStream(), digest, this.root, () => this.#setAside(digest));
  }

  async readHead(digest: Digest, bytes: number): Promise<Uint8Array> {
    const file = await this.#open(digest);
    try {
      const { size } = await file.stat();
      const head = new Uint8Array(Math.min(size, bytes));
      let filled = 0;
      while (filled < head.length) {
        const { bytesRead } = await file.read(head, filled, head.length - filled, filled);
        if (bytesRead === 0) return head.slice(0, filled);
        filled += bytesRead;
      }
      return head;
    } finally {
      await file.close();
    }
  }

  async delete(digest: Digest): Promise<void> {
    await rm(this.pathOf(digest), { force: true });
  }

  async collect(digest: Digest, olderThan: Date): Promise<boolean> {
    const path = this.pathOf(digest);
    if (!isOlder(await stat(path).catch(undefinedIfMissing), olderThan)) return false;
    // Out of its place it cannot be touched any more, so that the second look decides.
    const aside = join(this.#temporary, `${hexOf(digest).slice(0, 16)}-${randomUUID()}.old`);
    try {
      await rename(path, aside);
    } catch (error) {
      undefinedIfMissing(error);
      return false;
    }
    const second = await stat(aside).catch(undefinedIfMissing);
    // Another process that opens the store may clear what lies aside.
    if (second === undefined) return true;
    if (isOlder(second, olderThan)) {
      await rm(aside, { force: true });
      return true;
    }
    // Should it replace one that was put meanwhile: they have the same bytes, and the same age from here on.
    const now = new Date();
    await utimes(aside, now, now).catch(() => undefined);
    await rename(aside, path);
    return false;
  }

  /** Removes temporary files that were not written to for an hour. */
  async removeLeftovers(): Promise<void> {
    for (const name of await readdir(this.#temporary)) {
      const path = join(this.#temporary, name);
      const info = await stat(path).catch(undefinedIfMissing);
      if (info?.isFile() === true && Date.now() - info.mtimeMs > STALE_MS) await rm(path, { force: true });
    }
  }

  /** Looks at the file system, which a directory that is no longer mounted has another of. */
  async check(): Promise<void> {
    for (const path of [this.#blobs, this.#temporary]) await access(path, constants.R_OK | constants.W_OK);
    const { bavail, bsize, files, ffree } = await statfs(this.#temporary);
    const room = bavail * bsize;
    // File systems without a fixed number of files say 0 of 0.
    if (room < this.#minRoomBytes || (files > 0 && ffree === 0)) throw new StorageFullError(this.root, room);
  }

  async identity(): Promise<StoreIdentity | undefined> {
    const text = await readFile(join(this.root, IDENTITY_NAME), 'utf8').catch(undefinedIfMissing);
    if (text === undefined) return undefined;
    this.#identified = true;
    return parseIdentity(text, this.root);
  }

  async createIdentity(identity: StoreIdentity): Promise<StoreIdentity> {
    try {
      await createFile(join(this.root, IDENTITY_NAME), formatIdentity(identity), { mode: IDENTITY_MODE });
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw await this.#explain(error);
    }
    return (await this.identity()) ?? identity;
  }

  async replaceIdentity(identity: StoreIdentity): Promise<void> {
    await replaceFile(join(this.root, IDENTITY_NAME), formatIdentity(identity), { mode: IDENTITY_MODE });
  }

  async *list(): AsyncGenerator<BlobInfo> {
    for (const shard of await readdir(this.#blobs)) {
      const names = await readdir(join(this.#blobs, shard)).catch(undefinedIfMissing);
      for (const name of names ?? []) {
        if (!/^[0-9a-f]{64}$/.test(name)) continue;
        // Another process may delete it between the two calls.
        const info = await stat(join(this.#blobs, shard, name)).catch(undefinedIfMissing);
        if (info !== undefined) yield { digest: digestOfHex(name), size: info.size, modified: info.mtime };
      }
    }
  }

  async close(): Promise<void> {
    // Holds nothing open between calls.
  }

  /**
   * A directory that is not mounted any more has no blobs, and none of them is missing.
   * @throws {StoreUnavailableError}
   */
  async #assertThere(): Promise<void> {
    if (!this.#identified) return;
    const identity = join(this.root, IDENTITY_NAME);
    if ((await stat(identity).catch(undefinedIfMissing)) !== undefined) return;
    throw new StoreUnavailableError(this.root, 1, new Error(`${identity} is gone`), MOUNT_HINT);
  }

  /** Writes the source to a temporary file; returns its size once the digest is known to be right. */
  async #receive(path: string, digest: Digest, source: AsyncIterable<Uint8Array>, limits: Limits): Promise<number> {
    const hash = createHash('sha256');
    let size = 0;
    const file = await open(path, 'wx');
    try {
      for await (const chunk of limited(source, digest, limits)) {
        size += chunk.length;
        hash.update(chunk);
        await writeAll(file, chunk);
      }
      const actual = digestOfHex(hash.digest('hex'));
      if (actual !== digest) throw new DigestMismatchError(digest, actual);
      if (this.#durable) await file.sync();
    } finally {
      await file.close();
    }
    return size;
  }

  async #open(digest: Digest): Promise<FileHandle> {
    const file = await open(this.pathOf(digest))
      .catch(undefinedIfMissing)
      .catch(async (error: unknown) => {
        throw await this.#explain(error);
      });
    if (file !== undefined) return file;
    await this.#assertThere();
    const damaged = await stat(this.#setAsideAt(digest)).catch(undefinedIfMissing);
    throw new BlobNotFoundError(
      digest,
      damaged === undefined
        ? this.root
        : `${this.root} any more: it was found damaged and set aside as ${this.#setAsideAt(digest)}`,
    );
  }

  /** Moves damaged bytes out of the way, so that the next `put` can heal the blob and the evidence stays. */
  async #setAside(digest: Digest): Promise<void> {
    if (!this.#durable) {
      await this.delete(digest);
      return;
    }
    await mkdir(dirname(this.#setAsideAt(digest)), { recursive: true });
    await rename(this.pathOf(digest), this.#setAsideAt(digest)).catch(undefinedIfMissing);
  }

  #setAsideAt(digest: Digest): string {
    return join(this.root, 'corrupt', hexOf(digest));
  }

  /** Turns "no room" in its several disguises, and a store that is away, into one error each; leaves others. */
  async #explain(error: unknown): Promise<unknown> {
    if (errnoOf(error) === 'ENOENT') await this.#assertThere();
    if (AWAY.has(String(errnoOf(error)))) return new StoreUnavailableError(this.root, 1, error, MOUNT_HINT);
    if (!['ENOSPC', 'EDQUOT', 'EFBIG'].includes(String(errnoOf(error)))) return error;
    const space = await statfs(this.root).catch(() => undefined);
    return new StorageFullError(this.root, space === undefined ? undefined : space.bavail * space.bsize, error);
  }
}

function isOlder(file: { mtimeMs: number } | undefined, than: Date): boolean {
  return file !== undefined && file.mtimeMs < than.getTime();
}
