/**
 * All jobs by state, and those that somebody waits for, in sorted sets that the scripts of the job store keep: figures
 * over all jobs cost the same however many there are.
 */
import type { ChainableCommander } from 'ioredis';
import { isFinal, JOB_STATES, type JobState } from '@blindfit/protocol';
import type { Connection } from './connection.ts';
import type { Keys } from './names.ts';

/** Longer than any time in milliseconds since the epoch: states do not overlap on the axis of scores. */
export const STATE_SPAN = 1e13;

/** Where the scores of a state begin; the time of creation, or of the end, is added. */
export function stateScore(state: JobState): number {
  return JOB_STATES.indexOf(state) * STATE_SPAN;
}

/** Where they end, exclusive, as Redis wants it. */
function endOf(state: JobState): string {
  return `(${stateScore(state) + STATE_SPAN}`;
}

/**
 * Makes the sets anew from the records of a version that kept none. Nothing says since when their jobs wait: from now
 * on. KEYS: index, states, awaiting, progress. ARGV: prefix of records, time, then the states.
 */
const REBUILD = `
local score = {}
for i = 3, #ARGV do score[ARGV[i]] = (i - 3) * ${STATE_SPAN} end
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local fields = redis.call('HMGET', ARGV[1] .. id, 'state', 'createdAt', 'finishedAt')
  local base = score[fields[1] or ''] or #ARGV * ${STATE_SPAN}
  redis.call('ZADD', KEYS[2], base + tonumber(fields[3] or fields[2] or 0), id)
  if fields[1] == 'running' then redis.call('ZADD', KEYS[4], 'NX', ARGV[2], id) end
  if fields[1] == 'awaiting-refresh' then redis.call('ZADD', KEYS[3], 'NX', ARGV[2], id) end
end`;

/** Figures over all jobs. */
export interface JobCounts {
  /** Only states that some job is in. */
  readonly byState: ReadonlyMap<JobState, number>;
  /** Seconds the oldest request for a refresh has waited for its owner; 0 when none does. */
  readonly oldestRefreshWait: number;
  /** Of the jobs that run, the longest time in seconds without a finished task or iteration; 0 when none runs. */
  readonly oldestProgress: number;
}

export class JobIndex {
  readonly #redis: Connection;
  readonly #keys: Keys;

  constructor(redis: Connection, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** In one round trip, whatever the number of jobs. */
  async counts(): Promise<JobCounts> {
    const now = Date.now();
    const [awaiting, progress, ...counts] = await this.#ask((pipeline) => {
      pipeline.zrange(this.#keys.awaiting, '0', '0', 'WITHSCORES').zrange(this.#keys.progress, '0', '0', 'WITHSCORES');
      for (const state of JOB_STATES) pipeline.zcount(this.#keys.states, stateScore(state), endOf(state));
    });
    const age = (oldest: unknown): number => {
      const since = (oldest as string[])[1];
      // The clocks of two machines may disagree.
      return since === undefined ? 0 : Math.max(0, (now - Number(since)) / 1000);
    };
    const byState = JOB_STATES.map((state, i): [JobState, number] => [state, Number(counts[i])]).filter(
      ([, count]) => count > 0,
    );
    return { byState: new Map(byState), oldestRefreshWait: age(awaiting), oldestProgress: age(progress) };
  }

  /**
   * The jobs that have not ended, and then those that ended lately, newest first each.
   * @param endedSince milliseconds since the epoch @param limit at most this many in all
   */
  async recent(endedSince: number, limit: number): Promise<string[]> {
    const found = await this.#newest(JOB_STATES, limit, endedSince);
    found.sort((a, b) => Number(isFinal(a.state)) - Number(isFinal(b.state)) || b.time - a.time);
    return found.slice(0, limit).map(({ id }) => id);
  }

  /**
   * The jobs in some states, newest first: by their end if they have ended, else by their creation.
   * @param limit at most this many
   */
  async inStates(states: readonly JobState[], limit = Infinity): Promise<string[]> {
    const found = await this.#newest(states, limit);
    found.sort((a, b) => b.time - a.time);
    return found.slice(0, limit).map(({ id }) => id);
  }

  /** Up to `limit` of each state. Times are milliseconds since the epoch, of the end or else of the creation. */
  async #newest(
    states: readonly JobState[],
    limit: number,
    endedSince = 0,
  ): Promise<{ id: string; state: JobState; time: number }[]> {
    const replies = await this.#ask((pipeline) => {
      for (const state of states) {
        pipeline.zrevrangebyscore(
          this.#keys.states,
          endOf(state),
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
        id: flat[2 * at] ?? '',
        state,
        time: Number(flat[2 * at + 1]) - stateScore(state),
      }));
    });
  }

  /** One round trip, and one more when the sets have to be made first. */
  async #ask(questions: (pipeline: ChainableCommander) => void, rebuilt = false): Promise<unknown[]> {
    const pipeline = this.#redis.pipeline().zcard(this.#keys.index).zcard(this.#keys.states);
    questions(pipeline);
    const [all, known, ...replies] = ((await pipeline.exec()) ?? []).map(([error, reply]) => {
      if (error !== null) throw error;
      return reply;
    });
    if (all === known || rebuilt) return replies;
    await this.#rebuild(Date.now());
    return this.#ask(questions, true);
  }

  async #rebuild(now: number): Promise<void> {
    const { index, states, awaiting, progress } = this.#keys;
    await this.#redis.eval(REBUILD, 4, index, states, awaiting, progress, this.#keys.job(''), now, ...JOB_STATES);
  }
}
