/** Fakes of what surrounds a scheduler: job records, queues and threads, all in memory. */
import { WaitingChildrenError } from 'bullmq';
import { signingKey } from '@blindfit/base/signature';
import { refreshStatement, type JobState, type TakenAnswer, type TaskResult } from '@blindfit/protocol';
import type { ChainPayload, ChainRecord, JobPayload } from '@blindfit/queue';
import {
  choosePlan,
  DEFAULT_HYPERPARAMETERS,
  derivePlan,
  type Hyperparameters,
  type KeylessWork,
  type Plan,
} from '@blindfit/training';
import type { Applicant } from '../src/admission.ts';
import type { ChainEntry } from '../src/chain.ts';
import type { Parent } from '../src/children.ts';

/** Signs for the owner of the job. */
export const OWNER = signingKey(new Uint8Array(32).fill(7));

export const JOB = 'job-000000000000';
export const MANIFEST = `sha256:${'a'.repeat(64)}`;

/** 40 samples in 3 shards, 100 features in 2 blocks, 2 pairs of classes in 2 chains; tasks of 2 shards and 1 block. */
export function planWith(more: Partial<Hyperparameters>, refreshEvery: number): Plan {
  const hyperparameters = { ...DEFAULT_HYPERPARAMETERS, ...more };
  const shape = { samples: 40, features: 100, classes: 3 };
  const { parameters } = choosePlan({
    shape,
    hyperparameters,
    refreshEvery,
    ring: 2048,
    security: 'none',
    precision: 10,
  });
  return derivePlan(
    parameters,
    { rows: 16, columns: 64 },
    shape,
    hyperparameters,
    { blocksPerTask: 1, shardsPerTask: 2, pairsPerChain: 1 },
    { refreshEvery, modelLevel: 0 },
  );
}

/** The owner's answer with which segment 1 of a chain begins. */
export function answerAfter(
  iteration: number,
  fresh: { readonly weights: string; readonly momentum: string },
): TakenAnswer {
  const place = { chain: 0, iteration };
  const facts = { id: '0'.repeat(32), ...fresh };
  return { ...facts, ...place, signature: OWNER.sign(refreshStatement({ id: JOB, manifest: MANIFEST }, place, facts)) };
}

/** Records of one job. */
export class FakeJobs {
  current: JobState | undefined = 'running';
  records: (ChainRecord | undefined)[];
  startScores: readonly string[] = [];
  planned = false;
  model: readonly string[] = [];
  readonly calls: unknown[][] = [];
  result: unknown;

  constructor(chains: number) {
    this.records = Array.from({ length: chains }, () => undefined);
  }

  workers = { threads: () => Promise.resolve({ workers: 1, threads: 2, protocol: 2 }) };
  retried: number | undefined;
  retriedAt = (): Promise<number | undefined> => Promise.resolve(this.retried);
  isNewer = (): Promise<boolean> => Promise.resolve(false);
  turns = {
    take: (_queue: string, ids: readonly string[]): Promise<number[]> =>
      Promise.resolve(ids.map((_, position) => position + 1)),
    takeOne: (): Promise<number> => Promise.resolve(1),
  };
  state = (): Promise<JobState | undefined> => Promise.resolve(this.current);
  chains = (): Promise<(ChainRecord | undefined)[]> => Promise.resolve([...this.records]);
  scores = (): Promise<string[]> => Promise.resolve([...this.startScores]);
  modelOf = (): Promise<readonly string[]> => Promise.resolve(this.model);
  isPlanned = (): Promise<boolean> => Promise.resolve(this.planned);
  get = (): Promise<undefined> => Promise.resolve(undefined);
  setChain = (_id: string, chain: number, seen: ChainRecord | undefined, next: ChainRecord): Promise<boolean> => {
    if (seen !== this.records[chain]) return Promise.resolve(false);
    this.records[chain] = next;
    return Promise.resolve(true);
  };
  setIteration = (...call: unknown[]): Promise<void> => this.#log('iteration', ...call.slice(1));
  setPhase = (_id: string, phase: string): Promise<void> => this.#log('phase', phase);
  setPlanned = (_id: string, scores: readonly string[]): Promise<void> => {
    this.planned = true;
    return this.#log('planned', scores);
  };
  start = async (): Promise<'started'> => {
    await this.#log('start');
    this.current = 'running';
    return 'started';
  };
  fail = async (id: string, error: unknown): Promise<boolean> => {
    if (this.current === 'failed') return false;
    this.current = 'failed';
    await this.#log('fail', id, error);
    return true;
  };
  succeed = (_id: string, models: readonly string[], iterates: readonly (readonly string[])[] = []): Promise<boolean> =>
    this.#succeed({ models, iterates });
  succeedPrediction = (_id: string, scores: unknown): Promise<boolean> => this.#succeed({ scores });

  #succeed(result: unknown): Promise<boolean> {
    if (this.current === 'succeeded') return Promise.resolve(false);
    this.current = 'succeeded';
    this.result = result;
    return Promise.resolve(true);
  }

  #log(...call: unknown[]): Promise<void> {
    this.calls.push(call);
    return Promise.resolve();
  }
}

interface Added {
  readonly id: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** A queue that keeps what is added as Redis would, once for each id. */
export class FakeQueue {
  readonly added: Added[] = [];
  readonly names: string[] = [];
  readonly options: Readonly<Record<string, unknown>>[] = [];

  getJob = (): Promise<undefined> => Promise.resolve(undefined);
  add = (_name: string, data: object, options: { readonly jobId?: string } = {}): Promise<never> => {
    const { jobId: id = '' } = options;
    this.options.push({ ...options });
    if (!this.added.some((entry) => entry.id === id))
      this.added.push({ id, data: JSON.parse(JSON.stringify(data)) as Added['data'] });
    return Promise.resolve(undefined as never);
  };
  addBulk = async (
    entries: { readonly name: string; readonly data: object; readonly opts?: { readonly jobId?: string } }[],
  ): Promise<never[]> => {
    for (const { name, data, opts } of entries) {
      this.names.push(name);
      await this.add('', data, opts);
    }
    return [];
  };
}

/** The outputs of a task: one for each shard, or a single one. */
export function outputsOf({ id, data }: Added): string[] {
  const { shards } = data;
  return data['kind'] === 'backward' || !Array.isArray(shards) ? [id] : shards.map((_, at) => `${id}/${at}`);
}

/** A BullMQ entry whose children are in a queue. */
export function entryOf<Data extends JobPayload>(data: Data, tasks: FakeQueue) {
  const done = new Map<string, Pick<TaskResult, 'outputs'>>();
  const entry = {
    id: `${JOB}.entry`,
    data,
    attemptsMade: 0,
    queueQualifiedName: 'blindfit:chains',
    getChildrenValues: <T>(): Promise<Record<string, T>> =>
      Promise.resolve(Object.fromEntries([...done].map(([id, result]) => [`blindfit:tasks:${id}`, result as T]))),
    moveToWaitingChildren: (): Promise<boolean> => Promise.resolve(tasks.added.some(({ id }) => !done.has(id))),
    queueName: 'chains',
    getDependenciesCount: (): Promise<{ processed: number }> => Promise.resolve({ processed: done.size }),
    changePriority: (): Promise<void> => Promise.resolve(),
    updateData: (next: Data): Promise<void> => {
      entry.data = next;
      return Promise.resolve();
    },
  };
  return {
    entry,
    /** Runs the entry again until it no longer waits for children. @returns how many times it ran */
    runToEnd: async (run: (each: Parent & ChainEntry & Applicant) => Promise<void>): Promise<number> => {
      for (let runs = 1; ; runs++) {
        try {
          await run(entry as unknown as Parent & ChainEntry & Applicant);
          return runs;
        } catch (error) {
          if (!(error instanceof WaitingChildrenError) || runs > 50) throw error;
          for (const added of tasks.added) done.set(added.id, { outputs: outputsOf(added) });
        }
      }
    },
  };
}

/** Everything a scheduler's steps need, in memory. */
export function fakeScheduler(plan: Plan) {
  const tasks = new FakeQueue();
  const queue = new FakeQueue();
  const chains = new FakeQueue();
  const jobs = new FakeJobs(2);
  const works: [string, KeylessWork<string>][] = [];
  const metrics: unknown[][] = [];
  const dependencies = {
    tasks,
    queue,
    chains,
    jobs,
    aggregator: {
      prepare: () => void metrics.push(['prepare']),
      run: (_data: unknown, step: string, work: KeylessWork<string>): Promise<string[]> => {
        works.push([step, work]);
        return Promise.resolve([`of ${step}`]);
      },
    },
    metrics: {
      iteration: (...call: unknown[]) => void metrics.push(['iteration', ...call]),
      jobEnded: (state: string) => void metrics.push(['ended', state]),
    },
    admission: {
      start: async (): Promise<void> => {
        await jobs.start();
      },
    },
    closing: new AbortController().signal,
    signerOf: () => Promise.resolve(OWNER.name),
    planOf: () => Promise.resolve(plan),
  };
  return { dependencies, tasks, queue, chains, jobs, works, metrics };
}

export function chainData(more: Partial<ChainPayload> = {}): ChainPayload {
  return { job: JOB, manifest: MANIFEST, chain: 0, segment: 0, history: [], ...more };
}
