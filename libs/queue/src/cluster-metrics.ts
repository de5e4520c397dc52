/** What every API and every scheduler tells Prometheus about the whole cluster, read from Redis at each scrape. */
import type { Queue } from 'bullmq';
import { Counter, Gauge, type Registry } from 'prom-client';
import { required, valueOf } from '@blindfit/base';
import { JOB_STATES } from '@blindfit/protocol';
import type { Connection } from './connection.ts';
import type { JobCounts } from './job-index.ts';
import type { JobStore } from './job-store.ts';
import type { ClusterThreads } from './workers.ts';

const QUEUE_STATES = ['waiting', 'prioritized', 'waiting-children', 'active', 'delayed', 'failed'] as const;
/** A scrape must not wait for a Redis that hangs. Milliseconds. */
const COLLECT_TIMEOUT_MS = 3_000;

export interface ClusterSources {
  readonly redis: Connection;
  readonly jobs: JobStore;
  /** By name. */
  readonly queues: Readonly<Record<string, Queue>>;
}

interface QueueFigures {
  readonly name: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly completed: number;
  readonly failed: number;
  /** Of the entry that is served next; 0 when none waits. */
  readonly oldestWait: number;
}

interface Figures {
  readonly jobs: JobCounts;
  readonly workers: ClusterThreads;
  readonly queues: readonly QueueFigures[];
  readonly maintenance: boolean;
}

/**
 * Adds metrics of jobs, queues and workers. All of them come from one reading per scrape, whose cost does not depend on
 * the number of jobs or entries. There are no samples of them while Redis is away: an old value would look like a
 * current one.
 */
export function addClusterMetrics(registry: Registry, sources: ClusterSources): void {
  // All metrics of a registry are collected at once, so that they share what is under way.
  let reading: Promise<Figures | undefined> | undefined;
  const read = (): Promise<Figures | undefined> =>
    (reading ??= figuresInTime(sources).finally(() => (reading = undefined)));

  gauge('blindfit_jobs', 'Jobs by state, since the beginning.', ['state'], ({ jobs }) =>
    JOB_STATES.map((state) => [{ state }, valueOf(jobs.byState, state, 'counts of jobs')]),
  );
  gauge(
    'blindfit_jobs_awaiting_refresh',
    'Jobs none of whose chains can go on without their owner.',
    [],
    ({ jobs }) => [[{}, valueOf(jobs.byState, 'awaiting-refresh', 'counts of jobs')]],
  );
  gauge(
    'blindfit_refresh_oldest_wait_seconds',
    'Time the oldest open request for a refresh has waited for its owner; 0 when there is none.',
    [],
    ({ jobs }) => [[{}, jobs.oldestRefreshWait]],
  );
  gauge(
    'blindfit_job_oldest_progress_seconds',
    'Of the jobs that run, the longest time without a finished task or iteration; 0 when none runs.',
    [],
    ({ jobs }) => [[{}, jobs.oldestProgress]],
  );
  gauge(
    'blindfit_queue_jobs',
    'Entries of the queues by state; failed ones are kept for a day.',
    ['queue', 'state'],
    ({ queues }) =>
      queues.flatMap(({ name, counts }) =>
        QUEUE_STATES.map((state): Sample => [
          { queue: name, state },
          required(counts[state], `the count of ${state} entries`),
        ]),
      ),
  );
  gauge(
    'blindfit_queue_oldest_wait_seconds',
    'Time since the entry that is served next was added or last taken up; 0 when none waits.',
    ['queue'],
    ({ queues }) => queues.map(({ name, oldestWait }) => [{ queue: name }, oldestWait]),
  );
  gauge('blindfit_cluster_workers', 'Workers seen in the last 30 seconds.', [], ({ workers }) => [
    [{}, workers.workers],
  ]);
  gauge('blindfit_cluster_threads', 'Threads of these workers.', [], ({ workers }) => [[{}, workers.threads]]);
  gauge('blindfit_maintenance', 'Whether new jobs are refused, as an operator has asked.', [], ({ maintenance }) => [
    [{}, maintenance ? 1 : 0],
  ]);
  gauge('blindfit_cluster_protocol', 'The newest protocol that all workers read.', [], ({ workers }) => [
    [{}, workers.protocol],
  ]);
  counter(
    'blindfit_queue_completed_total',
    'Entries of the queues that were completed, as BullMQ counts them.',
    ({ queues }) => queues.map(({ name, completed }) => [{ queue: name }, completed]),
  );
  counter(
    'blindfit_queue_failed_total',
    'Entries of the queues that failed for good, as BullMQ counts them.',
    ({ queues }) => queues.map(({ name, failed }) => [{ queue: name }, failed]),
  );

  type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

  function gauge(
    name: string,
    help: string,
    labelNames: string[],
    samples: (figures: Figures) => readonly Sample[],
  ): void {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        const figures = await read();
        this.reset();
        this.remove({});
        if (figures !== undefined) for (const [labels, value] of samples(figures)) this.set(labels, value);
      },
    });
  }

  function counter(name: string, help: string, samples: (figures: Figures) => readonly Sample[]): void {
    new Counter({
      name,
      help,
      labelNames: ['queue'],
      registers: [registry],
      async collect() {
        const figures = await read();
        this.reset();
        if (figures !== undefined) for (const [labels, value] of samples(figures)) this.inc(labels, value);
      },
    });
  }
}

/** @returns undefined while Redis is away */
async function figuresInTime(sources: ClusterSources): Promise<Figures | undefined> {
  if (sources.redis.status !== 'ready') return undefined;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), COLLECT_TIMEOUT_MS);
  });
  // Redis going away in the middle is logged by its connection, and shows as missing samples.
  const figures = readFigures(sources).catch(() => undefined);
  try {
    return await Promise.race([figures, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function readFigures({ jobs, queues }: ClusterSources): Promise<Figures> {
  const [counts, workers, maintenance, ofQueues] = await Promise.all([
    jobs.index.counts(),
    jobs.workers.threads(),
    jobs.maintenance.current(),
    Promise.all(Object.entries(queues).map(([name, queue]) => readQueue(name, queue))),
  ]);
  return { jobs: counts, workers, queues: ofQueues, maintenance: maintenance.on };
}

async function readQueue(name: string, queue: Queue): Promise<QueueFigures> {
  const [counts, completed, failed, waiting, prioritized] = await Promise.all([
    queue.getJobCounts(...QUEUE_STATES),
    queue.getMetrics('completed', 0, 0),
    queue.getMetrics('failed', 0, 0),
    queue.getWaiting(0, 0),
    queue.getPrioritized(0, 0),
  ]);
  // BullMQ does not say since when an entry waits that was tried or ran before: not since before that.
  const since = Math.min(
    ...[...waiting, ...prioritized].map((next) => Math.max(next.timestamp + next.delay, next.processedOn ?? 0)),
  );
  return {
    name,
    counts,
    completed: completed.meta.count,
    failed: failed.meta.count,
    oldestWait: Math.max(0, (Date.now() - since) / 1000),
  };
}
