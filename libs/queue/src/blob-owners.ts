/**
 * Whose blobs are whose. Stores keep a blob once however many tenants have it, and each tenant sees those only that it
 * has uploaded itself or that its jobs have made.
 */
import type { Connection } from './connection.ts';
import type { Keys } from './names.ts';
import type { Scripts } from './scripts.ts';

/** Digests in one command. */
const BATCH = 1000;

export class BlobOwners {
  readonly #redis: Connection & Scripts;
  readonly #keys: Keys;

  constructor(redis: Connection & Scripts, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** @param bytes of all of them together, where that is known; the collector finds the others out */
  async add(tenant: string, digests: readonly string[], bytes = 0): Promise<void> {
    if (digests.length === 0) return;
    let rest = bytes;
    for (const batch of batches(digests)) {
      const added = await this.#redis.blindfitAddBlobs(
        this.#keys.blobs(tenant),
        this.#keys.tenants,
        this.#keys.storedBytes,
        tenant,
        rest,
        ...batch,
      );
      if (added !== 0) rest = 0;
    }
  }

  /**
   * Whether the blobs of the store may have no owners yet, because its first job is from before there were tenants. A
   * Redis that has lost its data, or is new, says no: it must not give the blobs of all tenants to one.
   */
  async areToBeAdopted(): Promise<boolean> {
    if ((await this.#redis.exists(this.#keys.owned)) === 1) return false;
    const [first] = await this.#redis.zrange(this.#keys.index, '0', '0');
    return first !== undefined && (await this.#redis.hexists(this.#keys.job(first), 'tenant')) === 0;
  }

  async setKept(): Promise<void> {
    await this.#redis.set(this.#keys.owned, '1');
  }

  async has(tenant: string, digest: string): Promise<boolean> {
    return (await this.#redis.sismember(this.#keys.blobs(tenant), digest)) === 1;
  }

  /** Those of the digests that are not the tenant's. */
  async missing(tenant: string, digests: readonly string[]): Promise<Set<string>> {
    const missing = new Set<string>();
    for (const batch of batches(digests)) {
      const found = await this.#redis.smismember(this.#keys.blobs(tenant), ...batch);
      batch.forEach((digest, position) => {
        if (found[position] !== 1) missing.add(digest);
      });
    }
    return missing;
  }

  tenants(): Promise<string[]> {
    return this.#redis.smembers(this.#keys.tenants);
  }

  /** Replaces what was counted since the last time. @param bytes by tenant */
  async setBytes(bytes: ReadonlyMap<string, number>): Promise<void> {
    for (const [tenant, sum] of bytes) await this.#redis.hset(this.#keys.storedBytes, tenant, sum);
  }

  /** A blob has left the store: it is nobody's any more. */
  async remove(digest: string): Promise<void> {
    for (const tenant of await this.tenants()) await this.#redis.srem(this.#keys.blobs(tenant), digest);
  }
}

function* batches(digests: readonly string[]): Generator<readonly string[]> {
  for (let from = 0; from < digests.length; from += BATCH) yield digests.slice(from, from + BATCH);
}
