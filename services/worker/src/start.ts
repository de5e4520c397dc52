import { hostname } from 'node:os';
import { parseDigest } from '@blindfit/base';
import { ComputeMetrics, ThreadPool, type PoolOptions } from '@blindfit/compute';
import { evaluatorName, resolveEvaluator, type EvaluatorChoice, type ResolvedEvaluator } from '@blindfit/he/native';
import { JobChanges, JobStore, logJobs, openServiceStore, traceJobs } from '@blindfit/queue';
import { Intake, openService, REVISION, VERSION, type ComputeOptions, type RunningService } from '@blindfit/service';
import { WorkerMetrics } from './metrics.ts';
import { runWorker } from './run-worker.ts';
import { openTaskQueue } from './task-queue.ts';

export interface WorkerOptions extends ComputeOptions {
  readonly threads: number;
  /** Evaluation keys that all threads together may hold. */
  readonly keyMemoryBytes: number;
  /** Disk space for the key files of the native evaluator. @default 8 GiB */
  readonly keyDiskBytes?: number | undefined;
  /** Disk space for its files of input ciphertexts. @default 4 GiB */
  readonly inputDiskBytes?: number | undefined;
  /** @default 'auto' */
  readonly evaluator?: EvaluatorChoice | undefined;
}

type PoolSettings = Pick<
  WorkerOptions,
  'storeUrl' | 'token' | 'cacheDir' | 'cacheBytes' | 'keyMemoryBytes' | 'keyDiskBytes' | 'inputDiskBytes' | 'threads'
>;

/** The options of the pool of a worker. */
export function poolOptionsOf(
  { storeUrl, token, cacheDir, cacheBytes, keyMemoryBytes, keyDiskBytes, inputDiskBytes, threads }: PoolSettings,
  evaluator: ResolvedEvaluator,
  onStatistics: PoolOptions['onStatistics'],
): PoolOptions {
  return {
    storeUrl,
    token,
    cacheDirectory: cacheDir,
    cacheBytes,
    keyBytes: keyMemoryBytes,
    keyDiskBytes,
    inputDiskBytes,
    evaluator,
    threads,
    onStatistics,
  };
}

/** Starts a worker: takes tasks, hands them to threads, records them. Any number may run, on any number of machines. */
export async function startWorker(options: WorkerOptions): Promise<RunningService> {
  const { threads, queuePrefix } = options;
  const base = await openService('worker', options);
  const { logger, redis, registry, tracing, readiness, start, health, close } = base;
  const jobs = new JobStore(redis, queuePrefix);
  logJobs(jobs, logger);
  traceJobs(tracing, jobs, (error) => logger.debug({ err: error }, 'the span of a job is lost'));
  // Threads open it themselves; this one is for readiness and for what they do not find.
  const store = await openServiceStore(base, { ...options, keys: jobs.keys, narrow: (opened) => opened }).catch(
    async (error: unknown) => {
      await close();
      throw error;
    },
  );
  start.fail('preparing the evaluator');
  const evaluator = await resolveEvaluator(options.evaluator, (line) => logger.info(line));
  const compute = new ComputeMetrics(registry);
  const pool = new ThreadPool(poolOptionsOf(options, evaluator, compute.thread));
  compute.watch(registry, pool, evaluator);
  const metrics = new WorkerMetrics(registry);
  const intake = new Intake({ readiness, registry, logger });
  const worker = await runWorker({
    facts: {
      threads,
      host: hostname(),
      version: VERSION,
      revision: REVISION,
      evaluator: evaluatorName(evaluator),
      // Only said of it: an API of the release before cannot be asked.
      store: (await store.identity().catch(() => undefined))?.id,
    },
    pool,
    jobs,
    changes: await JobChanges.open(redis, jobs.keys),
    metrics,
    compute,
    logger,
    tracing,
    intake,
    hasBlob: async (digest) => (await store.has(parseDigest(digest))) !== undefined,
    openQueue: (process) =>
      openTaskQueue({ redis, prefix: queuePrefix, concurrency: threads, metrics, logger, intake }, process),
    isConnected: () => redis.status === 'ready',
  });
  start.clear();
  logger.info({ threads, evaluator: evaluatorName(evaluator), why: evaluator.why, url: health.url }, 'worker is ready');
  return {
    url: health.url,
    close: () =>
      base.end(
        async () => {
          await worker.close();
          await store.close();
        },
        () => pool.busy > 0,
      ),
  };
}
