/** Input ciphertexts that one thread keeps parsed between its tasks. */
import { LRUCache } from 'lru-cache';
import { parseDigest } from '@blindfit/base';
import type { BlobStore } from '@blindfit/blobs';
import { WireError, type Ciphertext } from '@blindfit/he';
import type { Engine } from './engine.ts';
import type { ThreadStatistics } from './messages.ts';
import { ciphertextBytes, fits, type CiphertextPlace } from './parse-ciphertext.ts';

/** Mapped ciphertexts are reclaimable page cache but count towards the memory of the process, so they expire. */
const MAPPED_BYTES = 512 * 2 ** 20;
const MAPPED_MS = { sameJob: 10_000, otherJob: 500 };

interface Entry {
  readonly ciphertext: Ciphertext;
  /** Milliseconds on the cache's clock. */
  usedAt: number;
  /** The manifest of the job that used the ciphertext last. */
  usedBy: string;
  /** See {@link Input}. */
  readonly isIntact: (() => boolean) | undefined;
}

export class CiphertextCache {
  readonly #budget: number;
  readonly #statistics: ThreadStatistics;
  readonly #now: () => number;
  /** Ciphertexts in the memory of the thread. Only {@link trim} evicts: circuits may use any of them. */
  readonly #own = unbounded();
  /** Ciphertexts in pages of files. */
  readonly #mapped = unbounded();
  /** The manifest of the current job. */
  #job = '';

  /** @param budget bytes of the thread's own memory @param now a monotonic clock in milliseconds */
  constructor(budget: number, statistics: ThreadStatistics, now = (): number => performance.now()) {
    this.#budget = budget;
    this.#statistics = statistics;
    this.#now = now;
  }

  /** Sets the job, by its manifest, for which the following calls are. */
  workFor(manifest: string): void {
    this.#job = manifest;
  }

  /**
   * One ciphertext, owned by the cache and valid until the next {@link trim}.
   * @throws WireError when it does not fit the place; what the store throws
   */
  async get(engine: Engine, store: BlobStore, digest: string, place: CiphertextPlace): Promise<Ciphertext> {
    const cached = this.#own.get(digest) ?? this.#mapped.get(digest);
    if (cached !== undefined) {
      this.#statistics.ciphertextHits++;
      [cached.usedAt, cached.usedBy] = [this.#now(), this.#job];
      checkPlace(cached.ciphertext, place);
      return cached.ciphertext;
    }
    this.#statistics.ciphertextMisses++;
    const { ciphertext, isIntact } = await engine.loadInput(digest, place, () => store.get(parseDigest(digest)));
    const size = ciphertextBytes(engine.parameters, ciphertext.level);
    const entry = { ciphertext, usedAt: this.#now(), usedBy: this.#job, isIntact };
    (isIntact === undefined ? this.#own : this.#mapped).set(digest, entry, { size });
    return ciphertext;
  }

  /**
   * Frees the ciphertexts whose files are not as they were written, also those in use: what was computed with them is
   * to be thrown away. @returns whether all were intact
   */
  discardDamaged(): boolean {
    const damaged = [...this.#mapped.entries()].filter(([, { isIntact }]) => isIntact?.() === false);
    for (const [digest] of damaged) this.#mapped.delete(digest);
    return damaged.length === 0;
  }

  /** Frees what has expired and the least recently used beyond the budgets. No ciphertext may be in use. */
  trim(): void {
    while (this.#own.calculatedSize > this.#budget) this.#own.pop();
    while (this.#mapped.calculatedSize > MAPPED_BYTES) this.#mapped.pop();
    const now = this.#now();
    for (const [digest, { usedAt, usedBy }] of [...this.#mapped.entries()])
      if (now - usedAt > MAPPED_MS[usedBy === this.#job ? 'sameJob' : 'otherJob']) this.#mapped.delete(digest);
  }
}

function unbounded(): LRUCache<string, Entry> {
  return new LRUCache({
    maxSize: Number.MAX_SAFE_INTEGER,
    dispose: ({ ciphertext }) => ciphertext[Symbol.dispose](),
  });
}

/** A blob may stand at several places of a manifest; the first one decided what was parsed. */
function checkPlace(ciphertext: Ciphertext, place: CiphertextPlace): void {
  if (fits(ciphertext, place)) return;
  const { level, scale } = ciphertext;
  throw level === place.level
    ? new WireError(`a ciphertext of scale ${scale}`, `scale ${String(place.scale)} is expected`)
    : new WireError(`a ciphertext at level ${level}`, `level ${place.level} is expected`);
}
