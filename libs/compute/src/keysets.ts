/** Evaluation keys of one thread, by keyset. */
import { LRUCache } from 'lru-cache';
import { valueOf } from '@blindfit/base';
import { HeError, type Parameters } from '@blindfit/he';
import type { KeyedJob } from './engine.ts';
import type { ThreadStatistics } from './messages.ts';

/** `KEY_BUDGET`: the keys of a job alone exceed what a thread may hold. */
export class KeyBudgetError extends HeError {
  constructor(needed: number, budget: number) {
    const mb = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;
    super(
      'KEY_BUDGET',
      `the job's evaluation keys need ${mb(needed)} in a thread that may hold ${mb(budget)}`,
      'raise BLINDFIT_KEY_MEMORY_MB or start the worker with fewer threads',
    );
  }
}

/** Loads each keyset once. The least recently used keysets are freed to make room for another one. */
export class Keysets<K extends object> {
  readonly #budget: number;
  readonly #statistics: ThreadStatistics;
  readonly #cache: LRUCache<string, K>;

  /** @param budget bytes of all keysets together @param free releases the memory of a keyset */
  constructor(budget: number, statistics: ThreadStatistics, free: (keys: K) => void) {
    this.#budget = budget;
    this.#statistics = statistics;
    this.#cache = new LRUCache({ maxSize: Number.MAX_SAFE_INTEGER, dispose: free });
  }

  /**
   * The keys of a job, which stay valid until the next call. Room is made before they are loaded.
   * @throws KeyBudgetError; what `load` throws
   */
  async get(job: KeyedJob, load: () => Promise<K>): Promise<K> {
    const id = keysetId(job);
    const cached = this.#cache.get(id);
    if (cached !== undefined) {
      this.#statistics.keyHits++;
      return cached;
    }
    this.#statistics.keyMisses++;
    const { parameters, steps } = job.plan;
    const size = keyBytes(parameters) * (steps.length + 1);
    if (size > this.#budget) throw new KeyBudgetError(size, this.#budget);
    while (this.#cache.calculatedSize + size > this.#budget) this.#cache.pop();
    const keys = await load();
    this.#cache.set(id, keys, { size });
    return keys;
  }

  /** The keys of a job, if they are loaded. */
  cached(job: KeyedJob): K | undefined {
    return this.#cache.peek(keysetId(job));
  }

  /** Frees the keys of a job. */
  forget(job: KeyedJob): void {
    this.#cache.delete(keysetId(job));
  }
}

/** One evaluation key of a job, as its manifest names it. */
export interface KeyBlob {
  /** The rotation step; undefined for the relinearisation key. */
  readonly step: number | undefined;
  readonly digest: string;
  /** Path in the manifest. */
  readonly path: string;
}

/** The keys that the plan of a job needs: the relinearisation key first, then one for each rotation step. */
export function keyBlobsOf({ manifest: { blobs }, plan }: KeyedJob): KeyBlob[] {
  const galoisKeys = new Map(Object.entries(blobs.galoisKeys));
  return [
    { step: undefined, digest: blobs.relinearisationKey, path: 'blobs.relinearisationKey' },
    ...plan.steps.map((step) => ({
      step,
      digest: valueOf(galoisKeys, String(step), 'blobs.galoisKeys'),
      path: `blobs.galoisKeys.${step}`,
    })),
  ];
}

/** The parameters and the digests of all keys: keysets that differ in any of them are different. */
function keysetId(job: KeyedJob): string {
  return [job.plan.parameters.fingerprint, ...keyBlobsOf(job).map(({ digest }) => digest)].join(' ');
}

/** Memory of one loaded key: a row for each data prime, of two polynomials over all primes. */
function keyBytes({ dataBits: { length: primes }, ring }: Pick<Parameters, 'dataBits' | 'ring'>): number {
  return 2 * primes * (primes + 1) * ring * 8;
}
