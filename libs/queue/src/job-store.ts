/**
 * The record of every job, in Redis: what the API shows and what outlives the queues' own bookkeeping. Changes are
 * atomic and announced; final states never change again, but that of a failed job that is retried.
 */
import { defined } from '@blindfit/base';
import {
  DEFAULT_TENANT,
  isFinal,
  OLDEST_PROTOCOL,
  PRIORITIES,
  PROTOCOL,
  type JobError,
  type JobState,
  type JobView,
  type Priority,
  type RefreshAnswer,
} from '@blindfit/protocol';
import { BlobOwners } from './blob-owners.ts';
import { AWAITING, RUNNING, type ChainRecord } from './chain-record.ts';
import type { Connection } from './connection.ts';
import { figuresOf, readTotals, type JobFigures } from './job-figures.ts';
import { JobIndex } from './job-index.ts';
import { chainRecords, endChains, jobIn, type NewJob, type TaskRecord } from './job-record.ts';
import { chainsOf, resultOf, viewOf, type Outputs } from './job-view.ts';
import { MaintenanceMode } from './maintenance-mode.ts';
import { Keys } from './names.ts';
import { withScripts, type Scripts } from './scripts.ts';
import { countsForProgress, factsOf, readAllTotals } from './task-totals.ts';
import { dayOf } from './tenants.ts';
import { Troubles } from './troubles.ts';
import { Turns } from './turns.ts';
import { Workers } from './workers.ts';
import { WrongRecords } from './wrong-records.ts';

type ChangeOfState = (id: string, state: JobState, fields: Readonly<Record<string, string>>) => void;

export class JobStore {
  readonly keys: Keys;
  readonly index: JobIndex;
  readonly blobs: BlobOwners;
  readonly turns: Turns;
  readonly troubles: Troubles;
  readonly wrong: WrongRecords;
  readonly workers: Workers;
  readonly maintenance: MaintenanceMode;
  readonly #redis: Connection & Scripts;
  readonly #listeners = new Set<ChangeOfState>();

  constructor(redis: Connection, prefix: string) {
    this.#redis = withScripts(redis);
    this.keys = new Keys(prefix);
    this.index = new JobIndex(this.#redis, this.keys);
    this.blobs = new BlobOwners(this.#redis, this.keys);
    this.turns = new Turns(this.#redis, this.keys);
    this.troubles = new Troubles(redis, this.keys);
    this.wrong = new WrongRecords(redis, this.keys);
    this.workers = new Workers(redis, this.keys);
    this.maintenance = new MaintenanceMode(redis, this.keys);
  }

  /**
   * Records a new job in state `queued`.
   * @returns false when the id is taken (nothing is changed then)
   */
  async create(job: NewJob): Promise<boolean> {
    const { id, ...rest } = job;
    const created = await this.#redis.blindfitCreateJob(
      this.keys.job(id),
      this.keys.index,
      this.keys.states,
      Date.now(),
      JSON.stringify({ protocol: PROTOCOL, ...rest }),
      id,
      rest.tenant ?? DEFAULT_TENANT,
      PRIORITIES[rest.priority ?? 'normal'],
    );
    if (created === 1) await this.#announce(id);
    return created === 1;
  }

  /** @returns undefined when there is no such job, or its record is wrong: see {@link wrong} */
  async get(id: string): Promise<JobView | undefined> {
    // Read by every client that watches, several times a second: never the records of all tasks.
    const fields = await this.#redis.hgetall(this.keys.job(id));
    try {
      const view = viewOf(id, fields);
      if (view !== undefined) this.wrong.remove(id);
      else if (Object.keys(fields).length > 0) this.wrong.add(id);
      return view;
    } catch {
      this.wrong.add(id);
      return undefined;
    }
  }

  /**
   * Newest first: by their creation; those of states that are final, by their end. Costs the same however many other
   * jobs there are.
   * @param limit at most this many @param states only jobs in these @param tenant only jobs of this one
   */
  async list(limit: number, states?: readonly JobState[], tenant?: string): Promise<JobView[]> {
    const ids =
      states === undefined ? await this.index.created(limit, tenant) : await this.index.inStates(states, limit, tenant);
    const views: JobView[] = [];
    for (let from = 0; from < ids.length; from += 50) {
      for (const view of await Promise.all(ids.slice(from, from + 50).map((id) => this.get(id)))) {
        // Its state may have changed since.
        if (view !== undefined && (states === undefined || states.includes(view.state))) views.push(view);
      }
    }
    return views;
  }

  /** Tells of every job that is brought to its end through this store, once. */
  onEnd(listener: (id: string) => void): void {
    this.onChange((id, state) => {
      if (isFinal(state)) listener(id);
    });
  }

  /** Tells of every change of state that is made through this store, once, with the fields that it has set. */
  onChange(listener: ChangeOfState): void {
    this.#listeners.add(listener);
  }

  /** The span of the request that submitted a job; nothing of a job that is not traced. */
  async traceOf(id: string): Promise<{ traceparent?: string }> {
    return defined({ traceparent: (await this.#job(id))?.traceparent });
  }

  /** Whether a newer release wrote the record, and only such a one can carry the job on. */
  async isNewer(id: string): Promise<boolean> {
    const { protocol = OLDEST_PROTOCOL } = (await this.#job(id)) ?? {};
    return protocol > PROTOCOL;
  }

  async state(id: string): Promise<JobState | undefined> {
    return ((await this.#redis.hget(this.keys.job(id), 'state')) ?? undefined) as JobState | undefined;
  }

  /** What metrics of a single job are made of. Costs the same however many tasks the job has. */
  async figures(id: string): Promise<JobFigures | undefined> {
    const [fields, totals] = await Promise.all([
      this.#redis.hgetall(this.keys.job(id)),
      readTotals(this.#redis, this.keys.tasks(id)),
    ]);
    const view = viewOf(id, fields);
    return view === undefined ? undefined : figuresOf(view, fields, totals);
  }

  /**
   * @param limit how many jobs of its tenant may run at a time
   * @returns `unchanged` when it was already running or final, `full` when enough of its tenant run
   */
  async start(id: string, limit = Infinity): Promise<'started' | 'unchanged' | 'full'> {
    const outcome = await this.#change(id, 'running', { startedAt: String(Date.now()) }, limit);
    return outcome === 2 ? 'full' : outcome === 1 ? 'started' : 'unchanged';
  }

  /** Whose job it is, and what it counts among the jobs of its tenant. */
  async rankOf(id: string): Promise<{ tenant: string; priority: Priority }> {
    const { tenant = DEFAULT_TENANT, priority = 'normal' } = (await this.#job(id)) ?? {};
    return { tenant, priority };
  }

  /**
   * Sums up the recorded tasks: call it when the last one is recorded.
   * @param models digests of the packed model, in order
   * @param iterates packed V_t by iteration
   */
  succeed(id: string, models: readonly string[], iterates: readonly (readonly string[])[] = []): Promise<boolean> {
    return this.#complete(id, { models: [...models], iterates: iterates.map((row) => [...row]) });
  }

  /** As {@link succeed}, of a prediction. @param scores digests by shard, then by pair of classes */
  succeedPrediction(id: string, scores: readonly (readonly string[])[]): Promise<boolean> {
    return this.#complete(id, { models: [], iterates: [], scores: scores.map((row) => [...row]) });
  }

  async #complete(id: string, outputs: Outputs): Promise<boolean> {
    const finishedAt = Date.now();
    const [fields, totals] = await Promise.all([
      this.#redis.hgetall(this.keys.job(id)),
      readAllTotals(this.#redis, this.keys.tasks(id)),
    ]);
    const job = jobIn(fields);
    if (job === undefined) return false;
    const digests = [outputs.models, ...outputs.iterates, ...(outputs.scores ?? [])].flat();
    await this.blobs.add(job.tenant ?? DEFAULT_TENANT, digests);
    const result = resultOf(outputs, fields, totals, finishedAt);
    return this.#transition(id, 'succeeded', {
      finishedAt: String(finishedAt),
      result: JSON.stringify(result),
      ...endChains(fields, chainsOf(job, fields)),
    });
  }

  fail(id: string, error: JobError): Promise<boolean> {
    return this.#transition(id, 'failed', { finishedAt: String(Date.now()), error: JSON.stringify(error) });
  }

  /**
   * Lets a failed job wait again; what it has finished stays.
   * @returns false when it has not failed
   */
  async retry(id: string): Promise<boolean> {
    const changed = await this.#redis.blindfitRetryJob(
      this.keys.job(id),
      this.keys.states,
      this.keys.tasks(id),
      id,
      Date.now(),
    );
    if (changed === 1) await this.#announce(id);
    return changed === 1;
  }

  /** When it was last retried after a failure. Milliseconds since the epoch. */
  async retriedAt(id: string): Promise<number | undefined> {
    const time = await this.#redis.hget(this.keys.job(id), 'retriedAt');
    return time === null ? undefined : Number(time);
  }

  cancel(id: string): Promise<boolean> {
    return this.#transition(id, 'cancelled', { finishedAt: String(Date.now()) });
  }

  async setPhase(id: string, phase: string): Promise<void> {
    await this.#redis.hset(this.keys.job(id), 'phase', phase);
    await this.#announce(id);
  }

  /** Levels the slowest chain has left, and iterations all chains have finished, follow from each chain's own count. */
  async setIteration(id: string, chain: number, iteration: number, levelsLeft: number): Promise<void> {
    await this.#redis.hset(this.keys.job(id), { [`iteration:${chain}`]: iteration, [`levels:${chain}`]: levelsLeft });
    await this.#redis.zadd(this.keys.progress, 'XX', Date.now(), id);
    await this.#announce(id);
  }

  /** Packed model ciphertexts that a prediction uses, in order; none for other jobs. */
  async modelOf(id: string): Promise<readonly string[]> {
    return (await this.#job(id))?.model?.digests ?? [];
  }

  /** What is recorded of a job's chains, by number; `undefined` for one that has not got through its first segment. */
  async chains(id: string): Promise<(ChainRecord | undefined)[]> {
    const fields = await this.#redis.hgetall(this.keys.job(id));
    const job = jobIn(fields);
    return job === undefined ? [] : chainRecords(fields, job.chains);
  }

  /**
   * Whether the first segments of all chains were put into the queue: from then on the chains' records tell what is to
   * be done.
   */
  async isPlanned(id: string): Promise<boolean> {
    return (await this.#redis.hexists(this.keys.job(id), 'scores')) === 1;
  }

  /** @param scores of the constant start, by shard; none for a start at zero */
  async setPlanned(id: string, scores: readonly string[]): Promise<void> {
    await this.#redis.hset(this.keys.job(id), 'scores', JSON.stringify(scores));
  }

  async scores(id: string): Promise<string[]> {
    return JSON.parse((await this.#redis.hget(this.keys.job(id), 'scores')) ?? '[]') as string[];
  }

  /**
   * Replaces the record of a chain.
   * @param seen what the caller has read and decided upon
   * @returns false when it has changed meanwhile, or the job is not running any more
   */
  async setChain(id: string, chain: number, seen: ChainRecord | undefined, next: ChainRecord): Promise<boolean> {
    const job = await this.#job(id);
    if (job === undefined) return false;
    const { request } = next;
    // Before anybody is asked to read them.
    if (request !== undefined)
      await this.blobs.add(job.tenant ?? DEFAULT_TENANT, [
        request.weights,
        ...(request.previous === undefined ? [] : [request.previous]),
      ]);
    const { states, awaiting, progress } = this.keys;
    const changed = await this.#redis.blindfitSetChain(
      this.keys.job(id),
      states,
      awaiting,
      progress,
      chain,
      seen === undefined ? '' : JSON.stringify(seen),
      JSON.stringify(next),
      Date.now(),
      job.chains,
      id,
    );
    if (changed === 1 && next.phase === AWAITING)
      for (const listener of this.#listeners) listener(id, 'awaiting-refresh', { chain: String(chain) });
    if (changed === 1) await this.#announce(id);
    return changed === 1;
  }

  /**
   * Records the owner's answer to a refresh. Safe to repeat.
   * @param onTaken called if this call is the one that took it, with the seconds the request had waited
   * @returns the chain and its record as it is now; undefined when no chain waits for such an answer, or another one
   * was taken
   */
  async answerRefresh(
    id: string,
    answer: RefreshAnswer,
    onTaken?: (waited: number) => void,
  ): Promise<{ chain: number; record: ChainRecord } | undefined> {
    const state = await this.state(id);
    // Records of chains outlive their job, and would ask for ever.
    if (state !== 'running' && state !== 'awaiting-refresh') return undefined;
    const chains = await this.chains(id);
    const same = ({ id: request, weights, momentum }: RefreshAnswer): boolean =>
      request === answer.id && weights === answer.weights && momentum === answer.momentum;
    for (const [chain, record] of chains.entries()) {
      if (record === undefined) continue;
      if (record.answer !== undefined && same(record.answer)) return { chain, record };
      if (record.phase !== 'awaiting' || record.request?.id !== answer.id) continue;
      const { weights, momentum } = answer;
      const next: ChainRecord = {
        phase: RUNNING,
        segment: record.segment + 1,
        history: [],
        fresh: { weights, momentum },
        answer: { ...answer, chain, iteration: record.request.iteration },
      };
      if (await this.setChain(id, chain, record, next)) {
        onTaken?.(Math.max(0, (Date.now() - Date.parse(record.request.since)) / 1000));
        return { chain, record: next };
      }
      // Somebody else was faster, perhaps with the same answer.
      return this.answerRefresh(id, answer, onTaken);
    }
    return undefined;
  }

  /** Counts a finished task, once however often it ran. */
  async recordTask(id: string, task: string, record: TaskRecord): Promise<boolean> {
    const now = Date.now();
    const fresh = await this.#redis.blindfitRecordTask(
      this.keys.tasks(id),
      this.keys.job(id),
      this.keys.progress,
      task,
      countsForProgress(record.kind) ? '1' : '0',
      record.pair === undefined ? '' : String(record.pair),
      id,
      now,
      (record.finishedAt - record.startedAt) / 1000,
      this.keys.computed('', dayOf(now)),
      ...factsOf(record).flat(),
    );
    if (fresh === 1) await this.#announce(id);
    return fresh === 1;
  }

  async #job(id: string): Promise<Omit<NewJob, 'id'> | undefined> {
    const job = await this.#redis.hget(this.keys.job(id), 'job');
    return job === null ? undefined : jobIn({ job });
  }

  async #transition(id: string, state: JobState, fields: Readonly<Record<string, string>>): Promise<boolean> {
    return (await this.#change(id, state, fields)) === 1;
  }

  async #change(
    id: string,
    state: JobState,
    fields: Readonly<Record<string, string>>,
    limit = Infinity,
  ): Promise<unknown> {
    const { states, awaiting, progress } = this.keys;
    const changed = await this.#redis.blindfitChangeState(
      this.keys.job(id),
      states,
      awaiting,
      progress,
      this.keys.tasks(id),
      state,
      id,
      Date.now(),
      limit === Infinity ? '' : limit,
      ...Object.entries(fields).flat(),
    );
    if (changed !== 1) return changed;
    for (const listener of this.#listeners) listener(id, state, fields);
    await this.#announce(id);
    if (state === 'failed' || state === 'cancelled') await this.#redis.publish(this.keys.stopped, id);
    return changed;
  }

  async #announce(id: string): Promise<void> {
    await this.#redis.publish(this.keys.changes, id);
  }
}
