/**
 * The record of every job, in Redis: what the API shows and what outlives the queues' own bookkeeping. Changes are atomic
 * and announced; final states never change again.
 */
import type { Redis } from 'ioredis';
import { isFinal, type JobError, type JobResult, type JobState, type JobView, type Operations, type TaskKind, type TaskResult } from '@blindfit/contracts';
import { Keys } from './names.ts';

/** What is known of a job from the moment it is accepted. */
export type NewJob = Pick<JobView, 'id' | 'manifest' | 'shape' | 'hyperparameters' | 'parameters'> & {
  readonly name?: string;
  readonly tasksTotal: number;
  readonly levels: number;
};

/** One finished task, as progress and timings need it. */
export interface TaskRecord extends Omit<TaskResult, 'outputs'> {
  readonly kind: string;
  readonly iteration: number;
  /** Pair of classes, absent when the task serves all. */
  readonly pair?: number;
}

/** All or nothing: half a record would block its id for ever. */
const CREATE = `
if redis.call('HEXISTS', KEYS[1], 'state') == 1 then return 0 end
redis.call('HSET', KEYS[1], 'state', 'queued', 'createdAt', ARGV[1], 'job', ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[1], ARGV[3])
return 1`;

const RECORD = `
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
if ARGV[3] == '1' then
  redis.call('HINCRBY', KEYS[2], 'tasksDone', 1)
  redis.call('HSET', KEYS[2], 'lastPair', ARGV[4])
end
return 1`;

/** Kinds that progress counts; the scheduler's own steps are quick and in between. */
const WORKER_KINDS: ReadonlySet<string> = new Set<TaskKind>(['start', 'forward', 'backward']);

const TRANSITION = `
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return 0 end
if state == 'succeeded' or state == 'failed' or state == 'cancelled' then return 0 end
if ARGV[1] == 'running' and state == 'running' then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[1])
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return 1`;

export class JobStore {
  readonly keys: Keys;
  private readonly redis: Redis;

  constructor(redis: Redis, prefix: string) {
    this.redis = redis;
    this.keys = new Keys(prefix);
  }

  /**
   * Records a new job in state `queued`.
   * @returns false when the id is taken (nothing is changed then)
   */
  async create(job: NewJob): Promise<boolean> {
    const { id, ...rest } = job;
    const created = await this.redis.eval(CREATE, 2, this.keys.job(id), this.keys.index, String(Date.now()), JSON.stringify(rest), id);
    if (created === 1) await this.announce(id);
    return created === 1;
  }

  async get(id: string): Promise<JobView | undefined> {
    // Read by every client that watches, several times a second: never the records of all tasks.
    const fields = await this.redis.hgetall(this.keys.job(id));
    if (fields['job'] === undefined || fields['state'] === undefined) return undefined;
    return viewOf(id, fields, fields['state'] as JobState);
  }

  /** Newest first. @param limit at most this many */
  async list(limit: number, states?: readonly JobState[]): Promise<JobView[]> {
    const ids = await this.redis.zrevrange(this.keys.index, 0, states === undefined ? limit - 1 : -1);
    const views: JobView[] = [];
    for (let from = 0; from < ids.length && views.length < limit; from += 50) {
      for (const view of await Promise.all(ids.slice(from, from + 50).map((id) => this.get(id)))) {
        if (view !== undefined && views.length < limit && (states === undefined || states.includes(view.state))) views.push(view);
      }
    }
    return views;
  }

  async state(id: string): Promise<JobState | undefined> {
    return ((await this.redis.hget(this.keys.job(id), 'state')) ?? undefined) as JobState | undefined;
  }

  /** How many jobs are in each state; reads every record's state, so meant for scrapes of at most some thousand jobs. */
  async countByState(): Promise<Map<JobState, number>> {
    const ids = await this.redis.zrange(this.keys.index, '0', '-1');
    const counts = new Map<JobState, number>();
    if (ids.length === 0) return counts;
    const pipeline = this.redis.pipeline();
    for (const id of ids) pipeline.hget(this.keys.job(id), 'state');
    for (const [, state] of (await pipeline.exec()) ?? []) {
      if (typeof state === 'string') counts.set(state as JobState, (counts.get(state as JobState) ?? 0) + 1);
    }
    return counts;
  }

  /** @returns whether the job changed: false when it was already running or final */
  start(id: string): Promise<boolean> {
    return this.transition(id, 'running', { startedAt: String(Date.now()) });
  }

  /** Sums up the recorded tasks: call it when the last one is recorded. @param models digests of the packed model, in order @param iterates packed V_t by iteration */
  async succeed(id: string, models: readonly string[], iterates: readonly (readonly string[])[] = []): Promise<boolean> {
    const finishedAt = Date.now();
    const [fields, tasks] = await Promise.all([this.redis.hgetall(this.keys.job(id)), this.taskRecords(id)]);
    if (fields['job'] === undefined) return false;
    const { hyperparameters } = JSON.parse(fields['job']) as NewJob;
    const result = resultOf(models, iterates, Number(fields['createdAt'] ?? 0), finishedAt, tasks, hyperparameters.iterations);
    return this.transition(id, 'succeeded', { finishedAt: String(finishedAt), result: JSON.stringify(result) });
  }

  fail(id: string, error: JobError): Promise<boolean> {
    return this.transition(id, 'failed', { finishedAt: String(Date.now()), error: JSON.stringify(error) });
  }

  cancel(id: string): Promise<boolean> {
    return this.transition(id, 'cancelled', { finishedAt: String(Date.now()) });
  }

  async setPhase(id: string, phase: string): Promise<void> {
    await this.redis.hset(this.keys.job(id), 'phase', phase);
    await this.announce(id);
  }

  /** Levels the slowest pair has left, and iterations all pairs have finished, follow from each pair's own count. */
  async setIteration(id: string, pair: number, iteration: number, levelsLeft: number): Promise<void> {
    await this.redis.hset(this.keys.job(id), { [`iteration:${pair}`]: iteration, [`levels:${pair}`]: levelsLeft });
    await this.announce(id);
  }

  /** Counts a finished task, once however often it ran. */
  async recordTask(id: string, task: string, record: TaskRecord): Promise<boolean> {
    const counts = WORKER_KINDS.has(record.kind) ? '1' : '0';
    const fresh = await this.redis.eval(RECORD, 2, this.keys.tasks(id), this.keys.job(id), task, JSON.stringify(record), counts, String(record.pair ?? ''));
    if (fresh === 1) await this.announce(id);
    return fresh === 1;
  }

  /** Says that a worker lives: `blindfit plan` and submissions cut tasks for the threads at hand. */
  async heartbeat(worker: string, threads: number): Promise<void> {
    await this.redis.zadd(this.keys.workers, Date.now(), `${worker} ${threads}`);
  }

  async retire(worker: string, threads: number): Promise<void> {
    await this.redis.zrem(this.keys.workers, `${worker} ${threads}`);
  }

  /** Threads of all workers seen in the last 30 seconds. */
  async threads(): Promise<{ workers: number; threads: number }> {
    const now = Date.now();
    await this.redis.zremrangebyscore(this.keys.workers, '-inf', now - 3_600_000);
    const members = await this.redis.zrangebyscore(this.keys.workers, now - 30_000, '+inf');
    return { workers: members.length, threads: members.reduce((sum, member) => sum + Number(member.split(' ')[1] ?? 0), 0) };
  }

  private async taskRecords(id: string): Promise<TaskRecord[]> {
    const raw = await this.redis.hvals(this.keys.tasks(id));
    return raw.map((text) => JSON.parse(text) as TaskRecord);
  }

  private async transition(id: string, state: JobState, fields: Readonly<Record<string, string>>): Promise<boolean> {
    const changed = await this.redis.eval(TRANSITION, 1, this.keys.job(id), state, ...Object.entries(fields).flat());
    if (changed === 1) await this.announce(id);
    return changed === 1;
  }

  private async announce(id: string): Promise<void> {
    await this.redis.publish(this.keys.changes, id);
  }
}

function iso(milliseconds: string | undefined): string | undefined {
  return milliseconds === undefined ? undefined : new Date(Number(milliseconds)).toISOString();
}

function viewOf(id: string, fields: Readonly<Record<string, string>>, state: JobState): JobView {
  const job = JSON.parse(fields['job'] ?? '{}') as Omit<NewJob, 'id'>;
  const { iterations } = job.hyperparameters;
  const pairs = Math.ceil(job.shape.classes / 2);
  const perPair = (name: string, missing: number): number[] => Array.from({ length: pairs }, (_, p) => Number(fields[`${name}:${p}`] ?? missing));
  const tasksDone = Number(fields['tasksDone'] ?? 0);
  const started = Number(fields['startedAt'] ?? 0);
  const elapsed = started > 0 && state === 'running' ? (Date.now() - started) / 1000 : 0;
  const pair = fields['lastPair'] === undefined || fields['lastPair'] === '' ? undefined : Number(fields['lastPair']);
  const classes = pair === undefined ? undefined : 2 * pair + 1 < job.shape.classes ? `${2 * pair}, ${2 * pair + 1}` : `${2 * pair}`;
  const [startedAt, finishedAt] = [iso(fields['startedAt']), iso(fields['finishedAt'])];
  return {
    id,
    ...(job.name === undefined ? {} : { name: job.name }),
    state,
    manifest: job.manifest,
    shape: job.shape,
    hyperparameters: job.hyperparameters,
    parameters: job.parameters,
    createdAt: iso(fields['createdAt']) ?? new Date(0).toISOString(),
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(finishedAt === undefined ? {} : { finishedAt }),
    progress: {
      phase: isFinal(state) ? 'done' : (fields['phase'] ?? 'queued'),
      iteration: Math.min(...perPair('iteration', 0)),
      iterations,
      tasksDone,
      tasksTotal: job.tasksTotal,
      levelsLeft: Math.max(0, Math.min(...perPair('levels', job.levels))),
      ...(classes === undefined ? {} : { classes }),
      ...(state === 'running' && tasksDone > 0 ? { etaSeconds: (elapsed / tasksDone) * Math.max(0, job.tasksTotal - tasksDone) } : {}),
    },
    ...(fields['result'] === undefined ? {} : { result: JSON.parse(fields['result']) as JobResult }),
    ...(fields['error'] === undefined ? {} : { error: JSON.parse(fields['error']) as JobError }),
  };
}

/** @param created,finished milliseconds since the epoch */
function resultOf(models: readonly string[], iterates: readonly (readonly string[])[], created: number, finished: number, tasks: readonly TaskRecord[], iterations: number): JobResult {
  // A job without tasks took no time at all, rather than for ever.
  const firstStart = tasks.reduce((first, task) => Math.min(first, task.startedAt), finished);
  const loadKeys = tasks.reduce((most, task) => Math.max(most, task.loadKeysSeconds), 0);
  const sum = (name: keyof Operations): number => tasks.reduce((total, task) => total + task.operations[name], 0);
  return {
    models: [...models],
    iterates: iterates.map((row) => [...row]),
    operations: {
      rotations: sum('rotations'),
      relinearisations: sum('relinearisations'),
      multiplications: sum('multiplications'),
      plainMultiplications: sum('plainMultiplications'),
      rescales: sum('rescales'),
    },
    seconds: {
      train: Math.max(0, (finished - firstStart) / 1000 - loadKeys),
      loadKeys,
      queued: Math.max(0, (firstStart - created) / 1000),
      iterations: Array.from({ length: iterations }, (_, t) => {
        // Packing comes after all iterations, whatever iteration it packs.
        const own = tasks.filter((task) => task.iteration === t + 1 && task.kind !== 'pack');
        if (own.length === 0) return 0;
        return (Math.max(...own.map((task) => task.finishedAt)) - Math.min(...own.map((task) => task.startedAt + 1000 * task.loadKeysSeconds))) / 1000;
      }),
      compute: tasks.reduce((total, task) => total + (task.finishedAt - task.startedAt) / 1000 - task.loadKeysSeconds, 0),
    },
  };
}
