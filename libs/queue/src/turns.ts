/** Whose entry comes next: fair queueing over tenants, and over the jobs of each. */
import { at, required } from '@blindfit/base';
import type { Connection } from './connection.ts';
import { jobOf, type Keys, type QUEUES } from './names.ts';
import type { Scripts } from './scripts.ts';

/** Comes before all others, except those without a priority. */
export const FIRST_PRIORITY = 1;

export class Turns {
  readonly #redis: Connection & Scripts;
  readonly #keys: Keys;

  constructor(redis: Connection & Scripts, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /**
   * The priorities of the next entries of a job, which are to be added with them.
   * @param queue in which they are to wait @param ids of entries of one job that is recorded, at least one
   */
  async take(queue: (typeof QUEUES)[keyof typeof QUEUES], ids: readonly string[]): Promise<number[]> {
    const job = jobOf(at(ids, 0, 'ids'));
    const priorities = (await this.#redis.blindfitTakeTurns(
      this.#keys.job(job),
      this.#keys.clock(queue),
      this.#keys.tenantSettings,
      `${this.#keys.queue(queue)}:prioritized`,
      `${this.#keys.queue(queue)}:`,
      this.#keys.turns(queue),
      ...ids,
    )) as number[];
    return ids.map((id, position) => required(priorities[position], `the turn of ${id}`));
  }

  /** As {@link take}, for one entry. */
  async takeOne(queue: (typeof QUEUES)[keyof typeof QUEUES], id: string): Promise<number> {
    return at(await this.take(queue, [id]), 0, 'turns');
  }
}
