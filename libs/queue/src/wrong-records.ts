/** Records of jobs that cannot be read: another program wrote them, or part of a write was lost. */
import { DEFAULT_TENANT } from '@blindfit/protocol';
import type { Connection } from './connection.ts';
import type { Keys } from './names.ts';

/** Records that are remembered; there should be none. */
const MAX = 1_000;
const DIGEST = /sha256:[0-9a-f]{64}/g;

export class WrongRecords {
  readonly #redis: Connection;
  readonly #keys: Keys;
  readonly #seen = new Set<string>();

  constructor(redis: Connection, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** How many this process has met and that were neither mended nor deleted since. */
  get count(): number {
    return this.#seen.size;
  }

  has(id: string): boolean {
    return this.#seen.has(id);
  }

  add(id: string): void {
    if (this.#seen.size < MAX) this.#seen.add(id);
  }

  remove(id: string): void {
    this.#seen.delete(id);
  }

  /** What the record may refer to, as far as it can be told. */
  async digests(id: string): Promise<string[]> {
    const fields = await this.#redis.hgetall(this.#keys.job(id));
    return Object.values(fields).flatMap((text) => text.match(DIGEST) ?? []);
  }

  /** Removes a record, wrong or not, with the marks of its tasks and its places in all lists; its blobs stay. */
  async delete(id: string): Promise<void> {
    const { index, states, awaiting, progress } = this.#keys;
    const tenant = (await this.#redis.hget(this.#keys.job(id), 'tenant')) ?? DEFAULT_TENANT;
    const pipeline = this.#redis.multi().del(this.#keys.job(id), this.#keys.tasks(id));
    for (const set of [index, states, awaiting, progress]) pipeline.zrem(set, id);
    for (const set of [index, states]) pipeline.zrem(this.#keys.ofTenant(set, tenant), id);
    await pipeline.exec();
    this.#seen.delete(id);
  }
}
