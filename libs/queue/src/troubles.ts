/**
 * Entries that were given back because of a failure that is not their own. What happens again and again, or on one host
 * after another, may be theirs after all: the scheduler decides that.
 */
import { hostname } from 'node:os';
import { DelayedError, type Job } from 'bullmq';
import { backoffMs, BlindfitError, messageWithHint, required } from '@blindfit/base';
import { isFinal, type JobState } from '@blindfit/protocol';
import type { Connection } from './connection.ts';
import { jobOf, type Keys } from './names.ts';

/** Milliseconds until an entry that was given back may be taken again; they double from the first to the longest. */
const AGAIN_MS = { first: 500, longest: 60_000 };

export interface Trouble {
  readonly code: string;
  readonly message: string;
  /** The blob that was not found, where that is the trouble. */
  readonly blob?: string | undefined;
  /** The hosts that gave it back, each once. */
  readonly hosts: readonly string[];
  /** How often it was given back. */
  readonly count: number;
  /** When it was given back for the first and for the last time. Milliseconds since the epoch. */
  readonly since: number;
  readonly last: number;
}

/** The parts of a BullMQ entry that giving it back needs. */
export type GivenBack = Pick<Job, 'id' | 'token' | 'moveToDelayed' | 'promote'>;

export class Troubles {
  readonly #redis: Connection;
  readonly #keys: Keys;

  constructor(redis: Connection, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /**
   * Puts an entry back into its queue without using up one of its attempts. Where Redis does not take it back, its lock
   * runs out and another process takes it over.
   * @param error why; undefined where the process takes no entries for now and has not begun with it
   * @returns what the processor of the entry has to throw
   */
  async giveBack(entry: GivenBack, error?: unknown): Promise<DelayedError> {
    const id = required(entry.id, 'the id of an entry');
    try {
      const count = error === undefined ? 1 : await this.#report(id, error);
      const delay = backoffMs(count, AGAIN_MS.first, AGAIN_MS.longest);
      await entry.moveToDelayed(Date.now() + Math.round(delay), entry.token);
      // Its job may have ended before it lay there.
      if (error !== undefined && (await this.#hasEnded(jobOf(id)))) await entry.promote();
    } catch {
      // Redis is away, or refuses; its connection says so.
    }
    return new DelayedError();
  }

  /** An entry was done. */
  async clear(entry: string): Promise<void> {
    await this.#redis.hdel(this.#keys.troubles, entry);
  }

  /** All troubles that are not over, by the ids of their entries. */
  async all(): Promise<ReadonlyMap<string, Trouble>> {
    const fields = await this.#redis.hgetall(this.#keys.troubles);
    return new Map(Object.entries(fields).map(([id, text]) => [id, JSON.parse(text) as Trouble]));
  }

  /** Forgets those of jobs that have ended. */
  async clearJobs(jobs: ReadonlySet<string>): Promise<void> {
    const over = (await this.#redis.hkeys(this.#keys.troubles)).filter((entry) => jobs.has(jobOf(entry)));
    if (over.length > 0) await this.#redis.hdel(this.#keys.troubles, ...over);
  }

  async #hasEnded(job: string): Promise<boolean> {
    const state = (await this.#redis.hget(this.#keys.job(job), 'state')) as JobState | null;
    return state !== null && isFinal(state);
  }

  async #report(id: string, error: unknown): Promise<number> {
    const now = Date.now();
    const text = await this.#redis.hget(this.#keys.troubles, id);
    const before = text === null ? undefined : (JSON.parse(text) as Trouble);
    const { hosts = [], count = 0, since = now } = before ?? {};
    const code = error instanceof BlindfitError ? error.code : 'TASK_FAILED';
    const trouble: Trouble = {
      code,
      message: messageWithHint(error),
      blob: blobOf(error),
      hosts: [...new Set([...hosts, hostname()])],
      count: count + 1,
      since,
      last: now,
    };
    await this.#redis.hset(this.#keys.troubles, id, JSON.stringify(trouble));
    return trouble.count;
  }
}

/** The blob that an error says is missing: one of a store, or of a task that met one. */
function blobOf(error: unknown): string | undefined {
  if (!(error instanceof BlindfitError) || error.code !== 'BLOB_NOT_FOUND') return undefined;
  if ('blob' in error && typeof error.blob === 'string') return error.blob;
  return 'digest' in error && typeof error.digest === 'string' ? error.digest : undefined;
}
