/** Evaluation keys of one thread: loaded once per keyset, the least recently used dropped when the budget is full. */
import { parseDigest } from '@blindfit/base';
import { type BlobStore } from '@blindfit/blobs';
import { HeError, unwrap, type WireFields } from '@blindfit/he';
import { type EvaluationKeys, type Scheme } from '@blindfit/he/seal';
import type { KeyedJob } from './engine.ts';
import { named } from './errors.ts';
import type { ThreadStatistics } from './messages.ts';

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

interface Entry {
  readonly keys: EvaluationKeys;
  readonly bytes: number;
}

export class KeyCache {
  readonly #budget: number;
  readonly #statistics: ThreadStatistics;
  /** In order of use, the oldest first. */
  readonly #entries = new Map<string, Entry>();

  constructor(budget: number, statistics: ThreadStatistics) {
    this.#budget = budget;
    this.#statistics = statistics;
  }

  async get(
    { manifest, plan }: KeyedJob,
    scheme: Scheme,
    store: BlobStore,
    checkpoint: () => void,
  ): Promise<EvaluationKeys> {
    const id = keysetId({ manifest, plan });
    const known = this.#entries.get(id);
    if (known !== undefined) {
      this.#entries.delete(id);
      this.#entries.set(id, known);
      this.#statistics.keyHits++;
      return known.keys;
    }
    this.#statistics.keyMisses++;
    const bytes = loadedKeyBytes(plan.parameters.dataBits.length, plan.parameters.ring) * (plan.steps.length + 1);
    this.#makeRoom(bytes);
    const keys = await loadKeys({ manifest, plan }, scheme, store, checkpoint);
    this.#entries.set(id, { keys, bytes });
    return keys;
  }

  #makeRoom(bytes: number): void {
    if (bytes > this.#budget) throw new KeyBudgetError(bytes, this.#budget);
    let held = [...this.#entries.values()].reduce((sum, entry) => sum + entry.bytes, 0);
    for (const [id, entry] of this.#entries) {
      if (held + bytes <= this.#budget) break;
      free(entry.keys);
      this.#entries.delete(id);
      held -= entry.bytes;
    }
  }
}

/** Tells the keysets of a thread apart. */
export function keysetId({ manifest: { blobs }, plan }: KeyedJob): string {
  return [
    plan.parameters.fingerprint,
    blobs.relinearisationKey,
    ...plan.steps.map((step) => blobs.galoisKeys[String(step)] ?? ''),
  ].join(' ');
}

/** Memory of one loaded key: a row per data prime, each of two polynomials over all primes. */
export function loadedKeyBytes(primes: number, ring: number): number {
  return 2 * primes * (primes + 1) * ring * 8;
}

function free(keys: EvaluationKeys): void {
  keys.relinearisation?.delete();
  for (const key of keys.galois.values()) key.delete();
}

async function loadKeys(
  { manifest, plan }: KeyedJob,
  scheme: Scheme,
  store: BlobStore,
  checkpoint: () => void,
): Promise<EvaluationKeys> {
  const { blobs } = manifest;
  const payload = async (digest: string, fields: WireFields): Promise<Uint8Array> =>
    unwrap(await store.get(parseDigest(digest)), { parameters: plan.parameters, fields });
  const relinearisation = await named('blobs.relinearisationKey', blobs.relinearisationKey, async () =>
    scheme.loadRelinearisationKey(await payload(blobs.relinearisationKey, { kind: 'relinearisation-key' })),
  );
  const galois = new Map<number, ReturnType<Scheme['loadGaloisKey']>>();
  const keys = { relinearisation, galois };
  try {
    for (const step of plan.steps) {
      checkpoint();
      const digest = blobs.galoisKeys[String(step)] ?? '';
      galois.set(
        step,
        await named(`blobs.galoisKeys.${step}`, digest, async () =>
          scheme.loadGaloisKey(await payload(digest, { kind: 'galois-key', step }), step),
        ),
      );
    }
    return keys;
  } catch (error) {
    free(keys);
    throw error;
  }
}
