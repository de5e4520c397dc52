/** Manifests, read and checked by the process of a pool for all of its threads, which therefore load no schemas. */
import { LRUCache } from 'lru-cache';
import { parseDigest } from '@blindfit/base';
import { openBlobStore, type BlobStore } from '@blindfit/blobs';
import { parseManifest, type Manifest } from '@blindfit/protocol';
import type { ThreadOptions } from './messages.ts';

/** Manifests are small, but a service lives long. */
const MAX_MANIFESTS = 32;

export class Manifests {
  readonly #options: Pick<ThreadOptions, 'storeUrl' | 'token'>;
  readonly #cache = new LRUCache<string, Promise<Manifest>>({ max: MAX_MANIFESTS });
  #store: Promise<BlobStore> | undefined;

  constructor(options: Pick<ThreadOptions, 'storeUrl' | 'token'>) {
    this.#options = options;
  }

  /** @throws ContractError; what reading throws. A failure is not remembered. */
  get(digest: string): Promise<Manifest> {
    const cached = this.#cache.get(digest);
    if (cached !== undefined) return cached;
    const reading = this.#read(digest);
    this.#cache.set(digest, reading);
    reading.catch(() => this.#cache.delete(digest));
    return reading;
  }

  async #read(digest: string): Promise<Manifest> {
    const store = await this.#open();
    return parseManifest(await store.get(parseDigest(digest)));
  }

  /** A store that cannot be opened now is opened with the next task. */
  #open(): Promise<BlobStore> {
    const { storeUrl, token } = this.#options;
    this.#store ??= openBlobStore(storeUrl, { token }).catch((error: unknown) => {
      this.#store = undefined;
      throw error;
    });
    return this.#store;
  }
}
