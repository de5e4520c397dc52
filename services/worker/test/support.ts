/** A worker on fakes of the queue, the job store and the threads. */
import { DelayedError, type Job } from 'bullmq';
import { Registry } from 'prom-client';
import { TaskCancelledError, type ComputeResult } from '@blindfit/compute';
import { noOperations } from '@blindfit/he';
import type { JobState, TaskResult } from '@blindfit/protocol';
import { createLogger, Intake, Readiness, Tracing } from '@blindfit/service';
import { WorkerMetrics } from '../src/metrics.ts';
import type { TaskEntry } from '../src/process-task.ts';
import { runWorker, type RunningWorker, type WorkerParts } from '../src/run-worker.ts';

export const DIGEST = `sha256:${'ab'.repeat(32)}`;
export const JOB = 'job-000000000001';

export const RESULT: ComputeResult = {
  outputs: [DIGEST],
  operations: { ...noOperations(), rotations: 3 },
  evaluator: 'native (ifma)',
  startedAt: 1_000,
  finishedAt: 3_000,
  loadKeysSeconds: 0.5,
  phases: [{ phase: 'circuit', start: 1_000, end: 2_000 }],
};

/** An entry of the queue, with as much of BullMQ's `Job` as a worker reads. */
export function entryOf(id: string, data: unknown, overrides: Partial<Record<keyof Job, unknown>> = {}): TaskEntry {
  const entry = {
    id,
    data,
    name: 'tasks/2',
    timestamp: Date.now(),
    delay: 0,
    attemptsMade: 0,
    attemptsStarted: 1,
    opts: { attempts: 4 },
    ...overrides,
  };
  return entry as unknown as TaskEntry;
}

export function backwardTask(job = JOB): Record<string, unknown> {
  return { kind: 'backward', job, manifest: DIGEST, iteration: 2, pair: 1, shards: [0], blocks: [0] };
}

export interface PoolCall {
  readonly work: unknown;
  readonly signal: AbortSignal | undefined;
  resolve(result?: ComputeResult): void;
  reject(error: Error): void;
}

export interface FakeWorker {
  readonly worker: RunningWorker;
  /** What the worker did to its parts, in order. */
  readonly log: string[];
  readonly states: Map<string, JobState>;
  /** Tasks that the pool was given; like the pool, they fail when their signal fires. */
  readonly calls: PoolCall[];
  readonly recorded: (readonly unknown[])[];
  readonly failed: (readonly unknown[])[];
  readonly computed: TaskResult[];
  /** Entries that were given back, with the error; and those whose trouble is over. */
  readonly givenBack: (readonly unknown[])[];
  readonly cleared: string[];
  readonly intake: Intake;
  /** The conditions of `/readyz`. */
  readonly readiness: Readiness;
  /** What the store holds. */
  readonly blobs: Set<string>;
  /** Hands an entry to the worker. */
  process(entry: TaskEntry): Promise<TaskResult>;
  /** Announces a change of a job. */
  announce(job: string): void;
  /** The value of a metric, by its name and labels as Prometheus writes them. */
  metric(line: string): Promise<number | undefined>;
}

export async function fakeWorker(overrides: Partial<WorkerParts> = {}): Promise<FakeWorker> {
  const registry = new Registry();
  const log: string[] = [];
  const states = new Map<string, JobState>([[JOB, 'running']]);
  const calls: PoolCall[] = [];
  const recorded: (readonly unknown[])[] = [];
  const failed: (readonly unknown[])[] = [];
  const computed: TaskResult[] = [];
  const givenBack: (readonly unknown[])[] = [];
  const cleared: string[] = [];
  const blobs = new Set([DIGEST]);
  const readiness = new Readiness();
  let process: (entry: TaskEntry) => Promise<TaskResult> = () => Promise.reject(new Error('no queue was opened'));
  let announce: (job: string) => void = () => undefined;
  const logger = createLogger({ service: 'worker', level: 'silent' });
  const intake = new Intake({ readiness, registry, logger, waitsMs: { first: 2, longest: 10 } });
  const worker = await runWorker({
    facts: { threads: 3 },
    pool: {
      run: (work, signal) =>
        new Promise((resolve, reject) => {
          signal?.addEventListener('abort', () => reject(new TaskCancelledError()));
          calls.push({ work, signal, resolve: (result = RESULT) => resolve(result), reject });
        }),
      close: () => (log.push('pool closed'), Promise.resolve()),
    },
    jobs: {
      state: (id) => Promise.resolve(states.get(id)),
      recordTask: (...record) => (recorded.push(record), Promise.resolve(true)),
      fail: (...failure) => (failed.push(failure), Promise.resolve(failed.length === 1)),
      workers: {
        beat: ({ id, threads }) => (log.push(`beat ${id} ${threads}`), Promise.resolve()),
        retire: ({ id, threads }) => (log.push(`retire ${id} ${threads}`), Promise.resolve()),
      },
      troubles: {
        giveBack: (...back) => (givenBack.push(back), Promise.resolve(new DelayedError())),
        clear: (entry) => (cleared.push(entry), Promise.resolve()),
      },
    },
    intake,
    hasBlob: (digest) => Promise.resolve(blobs.has(digest)),
    changes: {
      listen: (listener) => {
        announce = listener;
        return () => void log.push('stopped listening');
      },
      close: () => void log.push('changes closed'),
    },
    metrics: new WorkerMetrics(registry),
    compute: { computed: (result) => void computed.push(result) },
    logger,
    tracing: await Tracing.open('worker', '0', undefined, logger),
    openQueue: (handler) => {
      process = handler;
      return Promise.resolve({ close: () => (log.push('queue closed'), Promise.resolve()) });
    },
    isConnected: () => true,
    ...overrides,
  });
  return {
    worker,
    log,
    states,
    calls,
    recorded,
    failed,
    computed,
    givenBack,
    cleared,
    intake,
    readiness,
    blobs,
    process: (entry) => process(entry),
    announce: (job) => announce(job),
    metric: async (line) => {
      const text = await registry.metrics();
      const found = text.split('\n').find((each) => each.startsWith(`${line} `));
      return found === undefined ? undefined : Number(found.slice(line.length));
    },
  };
}

/** Lets promises that are settled go on. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}
