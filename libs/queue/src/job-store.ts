/**
 * The record of every job, in Redis: what the API shows and what outlives the queues' own bookkeeping. Changes are
 * atomic and announced; final states never change again.
 */
import {
  isFinal,
  type JobError,
  type JobKind,
  type JobResult,
  type JobState,
  type JobView,
  type Operations,
  type RefreshAnswer,
  type TaskKind,
  type TaskResult,
} from '@blindfit/protocol';
import { requestOf, RUNNING, type ChainRecord } from './chain-record.ts';
import type { Connection } from './connection.ts';
import { figuresOf, readTotals, type JobFigures } from './job-figures.ts';
import { JobIndex, stateScore } from './job-index.ts';
import { Keys } from './names.ts';

/** What is known of a job from the moment it is accepted. */
export type NewJob = Pick<JobView, 'id' | 'manifest' | 'shape' | 'hyperparameters' | 'parameters'> & {
  /** @default train */
  readonly kind?: JobKind;
  readonly name?: string;
  /** Of a prediction: the training job, and its packed model as it was at submission. */
  readonly model?: { readonly job: string; readonly digests: readonly string[] };
  readonly tasksTotal: number;
  readonly levels: number;
  /** Of pairs of classes that advance together; a prediction counts as one. */
  readonly chains: number;
  /** The span of the request that submitted it, where that was traced. */
  readonly traceparent?: string;
};

/** One finished task, as progress and timings need it. */
export interface TaskRecord extends Omit<TaskResult, 'outputs'> {
  readonly kind: string;
  readonly iteration: number;
  /** Pair of classes, absent when the task serves all. */
  readonly pair?: number;
}

/** All or nothing: half a record would block its id for ever. KEYS: record, index, states. ARGV: time, job, id. */
const CREATE = `
if redis.call('HEXISTS', KEYS[1], 'state') == 1 then return 0 end
redis.call('HSET', KEYS[1], 'state', 'queued', 'createdAt', ARGV[1], 'job', ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[1], ARGV[3])
redis.call('ZADD', KEYS[3], ${stateScore('queued')} + ARGV[1], ARGV[3])
return 1`;

/**
 * Counts a task once, whoever else ran it too, into sums and extremes: the record of a long job stays small.
 * KEYS: tasks, record, progress. ARGV: task, counts for progress, pair, id, time, then operator, field, value by
 * threes.
 */
const RECORD = `
if redis.call('HSETNX', KEYS[1], 't:' .. ARGV[1], '1') == 0 then return 0 end
if ARGV[2] == '1' then
  redis.call('HINCRBY', KEYS[2], 'tasksDone', 1)
  redis.call('HSET', KEYS[2], 'lastPair', ARGV[3])
end
redis.call('ZADD', KEYS[3], 'XX', ARGV[5], ARGV[4])
for i = 6, #ARGV, 3 do
  local field, value = ARGV[i + 1], tonumber(ARGV[i + 2])
  if ARGV[i] == 'sum' then
    redis.call('HINCRBYFLOAT', KEYS[1], field, ARGV[i + 2])
  else
    local known = tonumber(redis.call('HGET', KEYS[1], field))
    if not known or (ARGV[i] == 'min' and value < known) or (ARGV[i] == 'max' and value > known) then
      redis.call('HSET', KEYS[1], field, ARGV[i + 2])
    end
  end
end
return 1`;

/** Before the name of an evaluator, in the totals of a job. */
const EVALUATOR = 'evaluator:';

/** Kinds that progress counts; the scheduler's own steps are quick and in between. */
const WORKER_KINDS: ReadonlySet<string> = new Set<TaskKind>(['start', 'forward', 'backward', 'predict']);

/**
 * KEYS: record, states, awaiting, progress. ARGV: state, id, its score less the time, time, then field, value by twos.
 */
const TRANSITION = `
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return 0 end
if state == 'succeeded' or state == 'failed' or state == 'cancelled' then return 0 end
if ARGV[1] == 'running' and state ~= 'queued' then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[1])
for i = 5, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
if ARGV[1] == 'running' then
  redis.call('ZADD', KEYS[2], ARGV[3] + (redis.call('HGET', KEYS[1], 'createdAt') or 0), ARGV[2])
  redis.call('ZADD', KEYS[4], ARGV[4], ARGV[2])
else
  redis.call('ZADD', KEYS[2], ARGV[3] + ARGV[4], ARGV[2])
  redis.call('ZREM', KEYS[3], ARGV[2])
  redis.call('ZREM', KEYS[4], ARGV[2])
end
return 1`;

/**
 * Replaces a chain's record if it still is what the caller has seen, and lets the job's state follow: it awaits its
 * owner when no chain can go on without. Since when a chain waits is kept for as long as it does. KEYS: record, states,
 * awaiting, progress. ARGV: chain, seen ('' for none), new, time, number of chains, id.
 */
const SET_CHAIN = `
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'running' and state ~= 'awaiting-refresh' then return 0 end
local field = 'chain:' .. ARGV[1]
if (redis.call('HGET', KEYS[1], field) or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], field, ARGV[3])
local next = cjson.decode(ARGV[3]).phase
local since = redis.call('HGET', KEYS[1], 'since:' .. ARGV[1])
if next == 'awaiting' then
  redis.call('HSET', KEYS[1], 'since:' .. ARGV[1], ARGV[4])
elseif since then
  redis.call('HDEL', KEYS[1], 'since:' .. ARGV[1])
  redis.call('HINCRBY', KEYS[1], 'refreshes', 1)
  redis.call('HINCRBYFLOAT', KEYS[1], 'refreshWait', (tonumber(ARGV[4]) - tonumber(since)) / 1000)
end
local running, awaiting, oldest = 0, 0, nil
for i = 0, tonumber(ARGV[5]) - 1 do
  local raw = redis.call('HGET', KEYS[1], 'chain:' .. i)
  local phase = raw and cjson.decode(raw).phase or 'running'
  if phase == 'running' then running = running + 1 elseif phase == 'awaiting' then awaiting = awaiting + 1 end
  local waits = tonumber(redis.call('HGET', KEYS[1], 'since:' .. i))
  if waits and (not oldest or waits < oldest) then oldest = waits end
end
if oldest then redis.call('ZADD', KEYS[3], oldest, ARGV[6]) else redis.call('ZREM', KEYS[3], ARGV[6]) end
local created = redis.call('HGET', KEYS[1], 'createdAt') or 0
if state == 'running' and running == 0 and awaiting > 0 then
  redis.call('HSET', KEYS[1], 'state', 'awaiting-refresh', 'awaitingSince', ARGV[4])
  redis.call('ZADD', KEYS[2], ${stateScore('awaiting-refresh')} + created, ARGV[6])
  redis.call('ZREM', KEYS[4], ARGV[6])
elseif state == 'awaiting-refresh' and running > 0 then
  local from = tonumber(redis.call('HGET', KEYS[1], 'awaitingSince'))
  redis.call('HSET', KEYS[1], 'state', 'running')
  redis.call('HINCRBYFLOAT', KEYS[1], 'refreshSeconds', (tonumber(ARGV[4]) - from) / 1000)
  redis.call('ZADD', KEYS[2], ${stateScore('running')} + created, ARGV[6])
  redis.call('ZADD', KEYS[4], ARGV[4], ARGV[6])
end
return 1`;

export class JobStore {
  readonly keys: Keys;
  readonly index: JobIndex;
  readonly #redis: Connection;
  readonly #endListeners = new Set<(id: string) => void>();

  constructor(redis: Connection, prefix: string) {
    this.#redis = redis;
    this.keys = new Keys(prefix);
    this.index = new JobIndex(redis, this.keys);
  }

  /**
   * Records a new job in state `queued`.
   * @returns false when the id is taken (nothing is changed then)
   */
  async create(job: NewJob): Promise<boolean> {
    const { id, ...rest } = job;
    const created = await this.#redis.eval(
      CREATE,
      3,
      this.keys.job(id),
      this.keys.index,
      this.keys.states,
      String(Date.now()),
      JSON.stringify(rest),
      id,
    );
    if (created === 1) await this.#announce(id);
    return created === 1;
  }

  async get(id: string): Promise<JobView | undefined> {
    // Read by every client that watches, several times a second: never the records of all tasks.
    const fields = await this.#redis.hgetall(this.keys.job(id));
    if (fields['job'] === undefined || fields['state'] === undefined) return undefined;
    return viewOf(id, fields, fields['state'] as JobState);
  }

  /**
   * Newest first: by their creation; those of states that are final, by their end. Costs the same however many other
   * jobs there are.
   * @param limit at most this many @param states only jobs in these
   */
  async list(limit: number, states?: readonly JobState[]): Promise<JobView[]> {
    const ids =
      states === undefined
        ? await this.#redis.zrevrange(this.keys.index, 0, limit - 1)
        : await this.index.inStates(states, limit);
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
    this.#endListeners.add(listener);
  }

  /** The span of the request that submitted a job; nothing of a job that is not traced. */
  async traceOf(id: string): Promise<{ traceparent?: string }> {
    const job = await this.#redis.hget(this.keys.job(id), 'job');
    const traceparent = job === null ? undefined : (JSON.parse(job) as NewJob).traceparent;
    return traceparent === undefined ? {} : { traceparent };
  }

  async state(id: string): Promise<JobState | undefined> {
    return ((await this.#redis.hget(this.keys.job(id), 'state')) ?? undefined) as JobState | undefined;
  }

  /** How many jobs are in each state that some are in. */
  async countByState(): Promise<ReadonlyMap<JobState, number>> {
    return (await this.index.counts()).byState;
  }

  /** What metrics of a single job are made of. Costs the same however many tasks the job has. */
  async figures(id: string): Promise<JobFigures | undefined> {
    const [fields, totals] = await Promise.all([
      this.#redis.hgetall(this.keys.job(id)),
      readTotals(this.#redis, this.keys.tasks(id)),
    ]);
    if (fields['job'] === undefined || fields['state'] === undefined) return undefined;
    return figuresOf(viewOf(id, fields, fields['state'] as JobState), fields, totals);
  }

  /** @returns whether the job changed: false when it was already running or final */
  start(id: string): Promise<boolean> {
    return this.#transition(id, 'running', { startedAt: String(Date.now()) });
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
    const [fields, totals] = await Promise.all([this.#redis.hgetall(this.keys.job(id)), this.#totals(id)]);
    if (fields['job'] === undefined) return false;
    const iterations = iterationsOf(JSON.parse(fields['job']) as NewJob);
    const result = resultOf(
      outputs,
      Number(fields['createdAt'] ?? 0),
      finishedAt,
      totals,
      Number(fields['refreshSeconds'] ?? 0),
      iterations,
    );
    return this.#transition(id, 'succeeded', { finishedAt: String(finishedAt), result: JSON.stringify(result) });
  }

  fail(id: string, error: JobError): Promise<boolean> {
    return this.#transition(id, 'failed', { finishedAt: String(Date.now()), error: JSON.stringify(error) });
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
    const job = await this.#redis.hget(this.keys.job(id), 'job');
    return job === null ? [] : ((JSON.parse(job) as NewJob).model?.digests ?? []);
  }

  /** What is recorded of a job's chains, by number; `undefined` for one that has not got through its first segment. */
  async chains(id: string): Promise<(ChainRecord | undefined)[]> {
    const fields = await this.#redis.hgetall(this.keys.job(id));
    return fields['job'] === undefined ? [] : chainRecords(fields, (JSON.parse(fields['job']) as NewJob).chains);
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
    const job = await this.#redis.hget(this.keys.job(id), 'job');
    if (job === null) return false;
    const { chains } = JSON.parse(job) as NewJob;
    const { states, awaiting, progress } = this.keys;
    const before = seen === undefined ? '' : JSON.stringify(seen);
    const changed = await this.#redis.eval(
      SET_CHAIN,
      4,
      this.keys.job(id),
      states,
      awaiting,
      progress,
      chain,
      before,
      JSON.stringify(next),
      Date.now(),
      chains,
      id,
    );
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
        answer,
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
    const counts = WORKER_KINDS.has(record.kind) ? '1' : '0';
    const { startedAt, finishedAt, loadKeysSeconds, operations, evaluator, iteration, kind } = record;
    const loaded = startedAt + 1000 * loadKeysSeconds;
    const facts: (readonly [string, string, number])[] = [
      ['min', 'start', startedAt],
      ['max', 'loadKeys', loadKeysSeconds],
      ['sum', 'compute', (finishedAt - loaded) / 1000],
      ['sum', `count:${kind}`, 1],
      ['sum', `seconds:${kind}`, (finishedAt - startedAt) / 1000],
      ['max', `slowest:${kind}`, (finishedAt - startedAt) / 1000],
      ...Object.entries(operations).map(([name, count]) => ['sum', name, count] as const),
      ...(evaluator === undefined ? [] : [['sum', `${EVALUATOR}${evaluator}`, 1] as const]),
      // Packing and publishing come after whatever iteration it is that they are about.
      ...(kind === 'pack' || kind === 'publish'
        ? []
        : [['min', `start:${iteration}`, loaded] as const, ['max', `end:${iteration}`, finishedAt] as const]),
    ];
    const keys = [this.keys.tasks(id), this.keys.job(id), this.keys.progress];
    const fresh = await this.#redis.eval(
      RECORD,
      keys.length,
      ...keys,
      task,
      counts,
      String(record.pair ?? ''),
      id,
      Date.now(),
      ...facts.flat(),
    );
    if (fresh === 1) await this.#announce(id);
    return fresh === 1;
  }

  /** Says that a worker lives: `blindfit plan` and submissions cut tasks for the threads at hand. */
  async heartbeat(worker: string, threads: number): Promise<void> {
    await this.#redis.zadd(this.keys.workers, Date.now(), `${worker} ${threads}`);
  }

  async retire(worker: string, threads: number): Promise<void> {
    await this.#redis.zrem(this.keys.workers, `${worker} ${threads}`);
  }

  /** Threads of all workers seen in the last 30 seconds. */
  async threads(): Promise<{ workers: number; threads: number }> {
    const now = Date.now();
    await this.#redis.zremrangebyscore(this.keys.workers, '-inf', now - 3_600_000);
    const members = await this.#redis.zrangebyscore(this.keys.workers, now - 30_000, '+inf');
    return {
      workers: members.length,
      threads: members.reduce((sum, member) => sum + Number(member.split(' ')[1] ?? 0), 0),
    };
  }

  /** By name: the sums and extremes of the recorded tasks. */
  async #totals(id: string): Promise<Map<string, number>> {
    const totals = new Map<string, number>();
    let cursor = '0';
    do {
      const [next, entries] = await this.#redis.hscan(this.keys.tasks(id), cursor, 'COUNT', 1000);
      for (let at = 0; at < entries.length; at += 2) {
        const name = entries[at] ?? '';
        if (!name.startsWith('t:')) totals.set(name, Number(entries[at + 1]));
      }
      cursor = next;
    } while (cursor !== '0');
    return totals;
  }

  async #transition(id: string, state: JobState, fields: Readonly<Record<string, string>>): Promise<boolean> {
    const { states, awaiting, progress } = this.keys;
    const changed = await this.#redis.eval(
      TRANSITION,
      4,
      this.keys.job(id),
      states,
      awaiting,
      progress,
      state,
      id,
      stateScore(state),
      Date.now(),
      ...Object.entries(fields).flat(),
    );
    if (changed !== 1) return false;
    if (isFinal(state)) for (const listener of this.#endListeners) listener(id);
    await this.#announce(id);
    return true;
  }

  async #announce(id: string): Promise<void> {
    await this.#redis.publish(this.keys.changes, id);
  }
}

function iso(milliseconds: string | undefined): string | undefined {
  return milliseconds === undefined ? undefined : new Date(Number(milliseconds)).toISOString();
}

function viewOf(id: string, fields: Readonly<Record<string, string>>, state: JobState): JobView {
  const job = JSON.parse(fields['job'] ?? '{}') as Omit<NewJob, 'id'>;
  const iterations = iterationsOf(job);
  const perChain = (name: string, missing: number): number[] =>
    Array.from({ length: job.chains }, (_, c) => Number(fields[`${name}:${c}`] ?? missing));
  const tasksDone = Number(fields['tasksDone'] ?? 0);
  const started = Number(fields['startedAt'] ?? 0);
  const waited = Number(fields['refreshSeconds'] ?? 0);
  const elapsed = started > 0 && state === 'running' ? (Date.now() - started) / 1000 - waited : 0;
  const pair = fields['lastPair'] === undefined || fields['lastPair'] === '' ? undefined : Number(fields['lastPair']);
  const classes =
    pair === undefined ? undefined : 2 * pair + 1 < job.shape.classes ? `${2 * pair}, ${2 * pair + 1}` : `${2 * pair}`;
  const [startedAt, finishedAt] = [iso(fields['startedAt']), iso(fields['finishedAt'])];
  return {
    id,
    kind: job.kind ?? 'train',
    ...(job.name === undefined ? {} : { name: job.name }),
    state,
    manifest: job.manifest,
    shape: job.shape,
    hyperparameters: job.hyperparameters,
    ...(job.model === undefined ? {} : { model: job.model.job }),
    parameters: job.parameters,
    createdAt: iso(fields['createdAt']) ?? new Date(0).toISOString(),
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(finishedAt === undefined ? {} : { finishedAt }),
    progress: {
      phase: isFinal(state) ? 'done' : state === 'awaiting-refresh' ? state : (fields['phase'] ?? 'queued'),
      iteration: Math.min(...perChain('iteration', 0)),
      iterations,
      tasksDone,
      tasksTotal: job.tasksTotal,
      levelsLeft: Math.max(0, Math.min(...perChain('levels', job.levels))),
      ...(classes === undefined ? {} : { classes }),
      ...(state === 'running' && tasksDone > 0
        ? { etaSeconds: (elapsed / tasksDone) * Math.max(0, job.tasksTotal - tasksDone) }
        : {}),
    },
    refreshes: isFinal(state) ? [] : chainRecords(fields, job.chains).flatMap((record) => requestOf(record)),
    ...(fields['result'] === undefined ? {} : { result: JSON.parse(fields['result']) as JobResult }),
    ...(fields['error'] === undefined ? {} : { error: JSON.parse(fields['error']) as JobError }),
  };
}

function iterationsOf({ kind, hyperparameters }: Pick<NewJob, 'kind' | 'hyperparameters'>): number {
  return kind === 'predict' ? 1 : hyperparameters.iterations;
}

function chainRecords(fields: Readonly<Record<string, string>>, chains: number): (ChainRecord | undefined)[] {
  return Array.from({ length: chains }, (_, chain) => {
    const raw = fields[`chain:${chain}`];
    return raw === undefined ? undefined : (JSON.parse(raw) as ChainRecord);
  });
}

type Outputs = Pick<JobResult, 'models' | 'iterates' | 'scores'>;

/** @param created,finished milliseconds since the epoch @param refreshSeconds spent waiting for the owner */
function resultOf(
  outputs: Outputs,
  created: number,
  finished: number,
  totals: ReadonlyMap<string, number>,
  refreshSeconds: number,
  iterations: number,
): JobResult {
  const total = (name: keyof Operations | 'loadKeys' | 'compute'): number => totals.get(name) ?? 0;
  // A job without tasks took no time at all, rather than for ever.
  const firstStart = totals.get('start') ?? finished;
  return {
    ...outputs,
    operations: {
      rotations: total('rotations'),
      relinearisations: total('relinearisations'),
      multiplications: total('multiplications'),
      plainMultiplications: total('plainMultiplications'),
      rescales: total('rescales'),
    },
    evaluators: Object.fromEntries(
      [...totals].flatMap(([name, tasks]) =>
        name.startsWith(EVALUATOR) ? [[name.slice(EVALUATOR.length), tasks]] : [],
      ),
    ),
    seconds: {
      train: Math.max(0, (finished - firstStart) / 1000 - total('loadKeys')),
      loadKeys: total('loadKeys'),
      queued: Math.max(0, (firstStart - created) / 1000),
      iterations: Array.from(
        { length: iterations },
        (_, t) => ((totals.get(`end:${t + 1}`) ?? 0) - (totals.get(`start:${t + 1}`) ?? 0)) / 1000,
      ),
      compute: total('compute'),
      refresh: refreshSeconds,
    },
  };
}
