/**
 * All jobs by state, and those that somebody waits for, in sorted sets that the scripts of the job store keep: figures
 * over all jobs cost the same however many there are.
 */
import type { ChainableCommander } from 'ioredis';
import { at, required } from '@blindfit/base';
import { DEFAULT_TENANT, isFinal, JOB_STATES, type JobState } from '@blindfit/protocol';
import type { Connection } from './connection.ts';
import type { Keys } from './names.ts';
import type { Scripts } from './scripts.ts';
import { endOfScores, stateScore } from './state-scores.ts';

/** Figures over all jobs. */
export interface JobCounts {
  /** Of every state. */
  readonly byState: ReadonlyMap<JobState, number>;
  /** Seconds the oldest request for a refresh has waited for its owner; 0 when none does. */
  readonly oldestRefreshWait: number;
  /** Of the jobs that run, the longest time in seconds without a finished task or iteration; 0 when none runs. */
  readonly oldestProgress: number;
}

const FINAL_STATES = JOB_STATES.filter(isFinal);
const OPEN_STATES = JOB_STATES.filter((state) => !isFinal(state));

/** Of the sets: since 2 there are those of tenants. */
const LAYOUT = '2';

export class JobIndex {
  readonly #redis: Connection & Scripts;
  readonly #keys: Keys;

  constructor(redis: Connection & Scripts, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** In one round trip, whatever the number of jobs. */
  async counts(): Promise<JobCounts> {
    const now = Date.now();
    const [awaiting, progress, ...counts] = await this.#ask((pipeline) => {
      pipeline.zrange(this.#keys.awaiting, '0', '0', 'WITHSCORES').zrange(this.#keys.progress, '0', '0', 'WITHSCORES');
      for (const state of JOB_STATES) pipeline.zcount(this.#keys.states, stateScore(state), endOfScores(state));
    });
    const age = (oldest: unknown): number => {
      const since = (oldest as string[])[1];
      // The clocks of two machines may disagree.
      return since === undefined ? 0 : Math.max(0, (now - Number(since)) / 1000);
    };
    const byState = JOB_STATES.map((state, i): [JobState, number] => [state, Number(counts[i])]);
    return { byState: new Map(byState), oldestRefreshWait: age(awaiting), oldestProgress: age(progress) };
  }

  /** How many jobs of a tenant have not ended, and how many of these run. */
  async open(tenant: string): Promise<{ all: number; running: number }> {
    const counts = await this.#ask((pipeline) => {
      for (const state of OPEN_STATES)
        pipeline.zcount(this.#of(this.#keys.states, tenant), stateScore(state), endOfScores(state));
    });
    const of = (state: JobState): number => Number(at(counts, OPEN_STATES.indexOf(state), 'counts of open jobs'));
    return { all: OPEN_STATES.reduce((sum, state) => sum + of(state), 0), running: of('running') };
  }

  /**
   * The jobs that run, those without progress for the longest time first; those that wait for their owners, likewise;
   * then the others that have not ended, and those that ended lately, newest first each.
   * @param endedSince milliseconds since the epoch @param limit at most this many in all
   */
  async recent(endedSince: number, limit: number): Promise<string[]> {
    const found = await this.#newest(JOB_STATES, limit, endedSince);
    const [progress, awaiting] = (await this.#ask((pipeline) =>
      [this.#keys.progress, this.#keys.awaiting].map((key) => pipeline.zrange(key, '0', String(limit - 1))),
    )) as [string[], string[]];
    found.sort((a, b) => Number(isFinal(a.state)) - Number(isFinal(b.state)) || b.time - a.time);
    return [...new Set([...progress, ...awaiting, ...found.map(({ id }) => id)])].slice(0, limit);
  }

  /**
   * The jobs in some states, newest first: by their end if they have ended, else by their creation.
   * @param limit at most this many @param tenant whose @default those of all
   */
  async inStates(states: readonly JobState[], limit = Infinity, tenant?: string): Promise<string[]> {
    const found = await this.#newest(states, limit, 0, this.#of(this.#keys.states, tenant));
    found.sort((a, b) => b.time - a.time);
    return found.slice(0, limit).map(({ id }) => id);
  }

  /** Jobs that ended before a time, the oldest of each state first. @param limit at most this many of a state */
  async endedBefore(time: number, limit: number): Promise<string[]> {
    const replies = await this.#ask((pipeline) => {
      for (const state of FINAL_STATES)
        pipeline.zrangebyscore(this.#keys.states, stateScore(state), `(${stateScore(state) + time}`, 'LIMIT', 0, limit);
    });
    return replies.flatMap((ids) => ids as string[]);
  }

  /** Whether a job of a tenant waits for the answer of its owner. */
  async awaitsOwner(tenant: string): Promise<boolean> {
    for (const id of await this.#redis.zrange(this.#keys.awaiting, '0', '-1')) {
      const owner = await this.#redis.hget(this.#keys.job(id), 'tenant');
      if ((owner ?? DEFAULT_TENANT) === tenant) return true;
    }
    return false;
  }

  /** The jobs that were created last, newest first. @param limit at most this many @param tenant whose @default all */
  async created(limit: number, tenant?: string): Promise<string[]> {
    const [ids] = await this.#ask((pipeline) => pipeline.zrevrange(this.#of(this.#keys.index, tenant), 0, limit - 1));
    return ids as string[];
  }

  #of(set: string, tenant: string | undefined): string {
    return tenant === undefined ? set : this.#keys.ofTenant(set, tenant);
  }

  /** Up to `limit` of each state. Times are milliseconds since the epoch, of the end or else of the creation. */
  async #newest(
    states: readonly JobState[],
    limit: number,
    endedSince = 0,
    set = this.#keys.states,
  ): Promise<{ id: string; state: JobState; time: number }[]> {
    const replies = await this.#ask((pipeline) => {
      for (const state of states) {
        pipeline.zrevrangebyscore(
          set,
          endOfScores(state),
          stateScore(state) + (isFinal(state) ? endedSince : 0),
          'WITHSCORES',
          'LIMIT',
          0,
          limit === Infinity ? -1 : limit,
        );
      }
    });
    return states.flatMap((state, i) => {
      const flat = replies[i] as string[];
      return Array.from({ length: flat.length / 2 }, (_, at) => ({
        id: required(flat[2 * at], `id ${at} of the jobs ${state}`),
        state,
        time: Number(flat[2 * at + 1]) - stateScore(state),
      }));
    });
  }

  /** One round trip, and one more when the sets have to be made first. */
  async #ask(questions: (pipeline: ChainableCommander) => unknown, rebuilt = false): Promise<unknown[]> {
    const pipeline = this.#redis.pipeline().get(this.#keys.layout);
    pipeline.zcard(this.#keys.index).zcard(this.#keys.states);
    questions(pipeline);
    const [layout, jobs, indexed, ...replies] = required(
      (await pipeline.exec()) ?? undefined,
      'the answer of a pipeline',
    ).map(([error, reply]) => {
      if (error !== null) throw error;
      return reply;
    });
    if ((layout === LAYOUT && jobs === indexed) || rebuilt) return replies;
    await this.#rebuild(Date.now());
    return this.#ask(questions, true);
  }

  async #rebuild(now: number): Promise<void> {
    const { index, states, awaiting, progress, layout } = this.#keys;
    await this.#redis.blindfitRebuildIndex(index, states, awaiting, progress, layout, this.#keys.job(''), now, LAYOUT);
  }
}
