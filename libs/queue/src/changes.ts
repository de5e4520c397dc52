/** One subscription per process to what happens to jobs, fanned out to whoever asks. */
import { duplicate, type Connection } from './connection.ts';
import type { Keys } from './names.ts';

export type ChangeListener = (job: string) => void;

export class JobChanges {
  readonly #subscriber: Connection;
  readonly #channel: string;
  readonly #listeners = new Set<ChangeListener>();

  private constructor(subscriber: Connection, channel: string) {
    this.#subscriber = subscriber;
    this.#channel = channel;
    subscriber.on('message', (from: string, job: string) => {
      if (from === channel) for (const listener of this.#listeners) listener(job);
    });
  }

  /** @param redis a connection to copy: a subscriber cannot do anything else */
  static async open(redis: Connection, keys: Keys): Promise<JobChanges> {
    const subscriber = duplicate(redis);
    subscriber.on('error', () => {
      // The connection it was copied from reports outages; this one resubscribes by itself.
    });
    const changes = new JobChanges(subscriber, keys.changes);
    await subscriber.subscribe(changes.#channel);
    return changes;
  }

  /** @returns a function that stops the listening */
  listen(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#listeners.clear();
    this.#subscriber.disconnect();
  }
}
