/** The switch that makes a cluster accept no new jobs. It is in Redis, so that all services see it. */
import type { Queue } from 'bullmq';
import { defined } from '@blindfit/base';
import type { Maintenance, NewMaintenance } from '@blindfit/protocol';
import type { Connection } from './connection.ts';
import type { Keys } from './names.ts';

type Pausable = Pick<Queue, 'pause' | 'resume'>;

export class MaintenanceMode {
  readonly #redis: Connection;
  readonly #keys: Pick<Keys, 'maintenance'>;

  constructor(redis: Connection, keys: Pick<Keys, 'maintenance'>) {
    this.#redis = redis;
    this.#keys = keys;
  }

  async current(): Promise<Maintenance> {
    const text = await this.#redis.get(this.#keys.maintenance);
    return text === null ? { on: false } : (JSON.parse(text) as Maintenance);
  }

  /**
   * Switches it. Tasks that run end; unless drained, no queue hands out another one until it is off again.
   * @param queues all of the cluster
   */
  async switch({ on, drain, reason }: NewMaintenance, queues: readonly Pausable[]): Promise<Maintenance> {
    const { since = new Date().toISOString() } = await this.current();
    const next: Maintenance = on ? defined<Maintenance>({ on, drain, reason, since }) : { on };
    // Refused before the queues stand still, and until they run again.
    if (on) await this.#redis.set(this.#keys.maintenance, JSON.stringify(next));
    const stand = on && drain !== true;
    await Promise.all(queues.map((queue) => (stand ? queue.pause() : queue.resume())));
    if (!on) await this.#redis.del(this.#keys.maintenance);
    return next;
  }
}
