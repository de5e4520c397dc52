import { utimes } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { Digest } from '@blindfit/base';
import type { BlobInfo, BlobSource, BlobStore, PutOptions, PutResult } from './blob-store.ts';
import { BlobNotFoundError, CorruptBlobError } from './errors.ts';
import { FileBlobStore } from './file-store.ts';
import { verifyBytes } from './verify.ts';

/** What happened in a cache; for counters. `bytes` is the size of the blob concerned. */
export interface CacheEvent {
  /**
   * `hit`: served from the directory, or together with a fetch under way; `miss`: fetched from the store;
   * `evict`: removed for the budget; `corrupt`: a damaged file was thrown away; `error`: the directory could not be
   * used and the blob was served without it.
   */
  kind: 'hit' | 'miss' | 'evict' | 'corrupt' | 'error';
  digest: Digest;
  bytes: number;
  /** The reason; only for `error`. */
  error?: unknown;
}

export interface BlobCacheOptions {
  directory: string;
  /** Budget in bytes. Several processes sharing the directory may each overshoot it by a sixteenth for a moment. */
  maxBytes: number;
  onEvent?: ((event: CacheEvent) => void) | undefined;
}

/**
 * A local directory in front of another store. Files are verified on every read, so a damaged one is only a miss. The
 * least recently used go first, by modification time, which a hit renews: that way processes that share the directory
 * also share the order. A blob is read into memory as a whole, so eviction never pulls a file from under a reader.
 */
export class BlobCache implements BlobStore {
  readonly #store: BlobStore;
  readonly #files: FileBlobStore;
  readonly #maxBytes: number;
  readonly #onEvent: (event: CacheEvent) => void;
  readonly #loading = new Map<Digest, Promise<Uint8Array>>();
  #bytes = 0;
  /** Bytes this process added since it last surveyed the directory. */
  #added = 0;
  #trimming: Promise<void> | undefined;

  private constructor(store: BlobStore, files: FileBlobStore, options: BlobCacheOptions) {
    this.#store = store;
    this.#files = files;
    this.#maxBytes = options.maxBytes;
    this.#onEvent = options.onEvent ?? (() => undefined);
  }

  /** Opens the cache directory and brings it under the budget. */
  static async open(store: BlobStore, options: BlobCacheOptions): Promise<BlobCache> {
    // Damage by a power cut is found on reading, so that writes need not wait for the disk.
    const files = await FileBlobStore.open(options.directory, { durable: false });
    const cache = new BlobCache(store, files, options);
    await cache.#trim();
    return cache;
  }

  /** Bytes in the directory, as far as this process knows. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Asks the store: a cached copy does not tell whether others still find the blob. */
  has(digest: Digest): Promise<{ size: number } | undefined> {
    return this.#store.has(digest);
  }

  /** Touches the blob in the store. The age of the cached copy does not change. */
  touch(digest: Digest): Promise<boolean> {
    return this.#store.touch(digest);
  }

  /** Bytes go to the store and, once they are there, into the cache; a stream goes to the store only. */
  async put(digest: Digest, source: BlobSource, options: PutOptions = {}): Promise<PutResult> {
    const result = await this.#store.put(digest, source, options);
    if (source instanceof Uint8Array) await this.#cache(digest, source);
    return result;
  }

  /** Like `BlobStore.get`. Concurrent callers share one fetch **and the array**: do not write to it or transfer it. */
  async get(digest: Digest): Promise<Uint8Array> {
    const pending = this.#loading.get(digest);
    if (pending !== undefined) {
      const bytes = await pending;
      this.#onEvent({ kind: 'hit', digest, bytes: bytes.length });
      return bytes;
    }
    const loading = this.#load(digest);
    this.#loading.set(digest, loading);
    try {
      return await loading;
    } finally {
      this.#loading.delete(digest);
    }
  }

  async stream(digest: Digest): Promise<Readable> {
    return await this.#localFirst(digest, (store) => store.stream(digest));
  }

  async readHead(digest: Digest, bytes: number): Promise<Uint8Array> {
    return await this.#localFirst(digest, (store) => store.readHead(digest, bytes));
  }

  async delete(digest: Digest): Promise<void> {
    await this.#drop(digest);
    await this.#store.delete(digest);
  }

  list(): AsyncIterable<BlobInfo> {
    return this.#store.list();
  }

  /** Waits for a running eviction and closes the store behind. */
  async close(): Promise<void> {
    await this.#trimming;
    await this.#store.close();
  }

  async #load(digest: Digest): Promise<Uint8Array> {
    const cached = await this.#read(digest);
    if (cached !== undefined) {
      this.#onEvent({ kind: 'hit', digest, bytes: cached.length });
      return cached;
    }
    const bytes = await this.#store.get(digest);
    this.#onEvent({ kind: 'miss', digest, bytes: bytes.length });
    await this.#cache(digest, bytes);
    return bytes;
  }

  /** The cached bytes; undefined when there are none or they are damaged. */
  async #read(digest: Digest): Promise<Uint8Array | undefined> {
    try {
      const bytes = await this.#files.readHead(digest, Infinity);
      try {
        verifyBytes(bytes, digest, this.#files.root);
      } catch (error) {
        if (!(error instanceof CorruptBlobError)) throw error;
        this.#onEvent({ kind: 'corrupt', digest, bytes: bytes.length });
        await this.#drop(digest);
        return undefined;
      }
      const now = new Date();
      // Another process may have evicted it meanwhile; the bytes are good all the same.
      await utimes(this.#files.pathOf(digest), now, now).catch(() => undefined);
      return bytes;
    } catch (error) {
      if (!(error instanceof BlobNotFoundError)) this.#onEvent({ kind: 'error', digest, bytes: 0, error });
      return undefined;
    }
  }

  /** Caches bytes. Failures are reported as events: the caller has its bytes. */
  async #cache(digest: Digest, bytes: Uint8Array): Promise<void> {
    if (bytes.length > this.#maxBytes) return;
    try {
      const { created } = await this.#files.put(digest, bytes);
      if (!created) return;
      this.#bytes += bytes.length;
      this.#added += bytes.length;
      // Other processes add to the directory, too: survey it before the count of this process says that it is full.
      if (this.#bytes > this.#maxBytes || this.#added > this.#maxBytes / 16) await this.#trim();
    } catch (error) {
      this.#onEvent({ kind: 'error', digest, bytes: bytes.length, error });
    }
  }

  async #localFirst<T>(digest: Digest, read: (store: BlobStore) => Promise<T>): Promise<T> {
    try {
      return await read(this.#files);
    } catch (error) {
      if (!(error instanceof BlobNotFoundError)) this.#onEvent({ kind: 'error', digest, bytes: 0, error });
      return await read(this.#store);
    }
  }

  async #drop(digest: Digest): Promise<void> {
    const file = await this.#files.has(digest);
    await this.#files.delete(digest);
    if (file !== undefined) this.#bytes = Math.max(0, this.#bytes - file.size);
  }

  #trim(): Promise<void> {
    this.#trimming ??= this.#trimNow().finally(() => {
      this.#trimming = undefined;
    });
    return this.#trimming;
  }

  /** Counts what is there; when it is over the budget, removes the least recently used down to nine tenths of it. */
  async #trimNow(): Promise<void> {
    this.#added = 0;
    const files = await Array.fromAsync(this.#files.list());
    let total = files.reduce((sum, file) => sum + file.size, 0);
    if (total > this.#maxBytes) {
      files.sort((a, b) => a.modified.getTime() - b.modified.getTime());
      for (const file of files) {
        if (total <= this.#maxBytes * 0.9) break;
        await this.#files.delete(file.digest);
        total -= file.size;
        this.#onEvent({ kind: 'evict', digest: file.digest, bytes: file.size });
      }
    }
    this.#bytes = total;
  }
}
