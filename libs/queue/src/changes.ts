/** One subscription per process to what happens to jobs, fanned out to whoever asks. */
import { duplicate, type Connection } from './connection.ts';
import type { Keys } from './names.ts';

export type ChangeListener = (job: string) => void;

export class JobChanges {
  readonly #subscriber: Connection;
  readonly #listeners = new Set<ChangeListener>();
  readonly #stopListeners = new Set<ChangeListener>();

  private constructor(subscriber: Connection, { changes, stopped }: Pick<Keys, 'changes' | 'stopped'>) {
    this.#subscriber = subscriber;
    const byChannel = new Map([
      [changes, this.#listeners],
      [stopped, this.#stopListeners],
    ]);
    subscriber.on('message', (channel: string, job: string) => {
      for (const listener of byChannel.get(channel) ?? []) listener(job);
    });
  }

  /** @param redis a connection to copy: a subscriber cannot do anything else */
  static async open(redis: Connection, keys: Keys): Promise<JobChanges> {
    const subscriber = duplicate(redis);
    subscriber.on('error', () => {
      // The connection it was copied from reports outages; this one resubscribes by itself.
    });
    const changes = new JobChanges(subscriber, keys);
    await subscriber.subscribe(keys.changes, keys.stopped);
    return changes;
  }

  /** @returns a function that stops the listening */
  listen(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** As {@link listen}, for jobs that have failed or were cancelled. */
  listenToStops(listener: ChangeListener): () => void {
    this.#stopListeners.add(listener);
    return () => this.#stopListeners.delete(listener);
  }

  close(): void {
    this.#listeners.clear();
    this.#stopListeners.clear();
    this.#subscriber.disconnect();
  }
}
