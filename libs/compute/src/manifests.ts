/**
 * Manifests, as the process of a pool reads and checks them once for all of its threads: a thread that loads no schemas is
 * there a third of a second earlier.
 */
import { parseDigest } from '@blindfit/base';
import { openBlobStore, type BlobStore } from '@blindfit/blobs';
import { parseJobManifest, type JobManifest } from '@blindfit/protocol';
import { evictOldest } from './evict-oldest.ts';
import type { ThreadOptions } from './messages.ts';

/** They are small, but a service lives long. */
const MAX_MANIFESTS = 32;

export class Manifests {
  readonly #options: Pick<ThreadOptions, 'storeUrl' | 'token'>;
  readonly #known = new Map<string, Promise<JobManifest>>();
  #store: Promise<BlobStore> | undefined;

  constructor(options: Pick<ThreadOptions, 'storeUrl' | 'token'>) {
    this.#options = options;
  }

  /** @throws ContractError, and what reading throws; nothing of it is remembered */
  get(digest: string): Promise<JobManifest> {
    const known = this.#known.get(digest);
    if (known !== undefined) return known;
    const reading = this.#read(digest);
    evictOldest(this.#known, MAX_MANIFESTS);
    this.#known.set(digest, reading);
    reading.catch(() => this.#known.delete(digest));
    return reading;
  }

  async #read(digest: string): Promise<JobManifest> {
    const store = await this.#open();
    return parseJobManifest(await store.get(parseDigest(digest)));
  }

  /** A store that cannot be opened now may be there for the next task. */
  #open(): Promise<BlobStore> {
    const { storeUrl, token } = this.#options;
    this.#store ??= openBlobStore(storeUrl, token === undefined ? {} : { token }).catch((error: unknown) => {
      this.#store = undefined;
      throw error;
    });
    return this.#store;
  }
}
