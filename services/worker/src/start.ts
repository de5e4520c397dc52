import { randomUUID } from 'node:crypto';
import { Worker, type Job } from 'bullmq';
import { ComputeMetrics, ThreadPool } from '@blindfit/compute';
import { evaluatorName, resolveEvaluator, type EvaluatorChoice } from '@blindfit/he/native';
import { isFinal, type TaskResult } from '@blindfit/protocol';
import { JobChanges, JobStore, LOCKS, QUEUE_METRICS, QUEUES, traceJobs } from '@blindfit/queue';
import { openService, type RunningService, type ServiceOptions } from '@blindfit/service';
import { WorkerMetrics } from './metrics.ts';
import { processTask } from './process-task.ts';

export interface WorkerOptions extends ServiceOptions {
  readonly threads: number;
  /** Evaluation keys all threads together may hold. */
  readonly keyMemoryBytes: number;
  /** Disk space for the key files of the native evaluator. @default 8 GiB */
  readonly keyDiskBytes?: number;
  /** Disk space for its files of input ciphertexts. @default 4 GiB */
  readonly inputDiskBytes?: number;
  /** @default 'auto' */
  readonly evaluator?: EvaluatorChoice;
}

const HEARTBEAT_MS = 5_000;
/** A cancellation announced while Redis was away is found by looking. */
const CANCEL_POLL_MS = 500;

/** Starts a worker: pulls tasks, hands them to threads, records what they did. Any number may run on any number of machines. */
export async function startWorker(options: WorkerOptions): Promise<RunningService> {
  const { logger, redis, registry, tracing, serveHealth } = await openService('worker', options);
  const jobs = new JobStore(redis, options.queuePrefix);
  traceJobs(tracing, jobs, (error) => logger.debug({ err: error }, 'the span of a job is lost'));
  const changes = await JobChanges.open(redis, jobs.keys);
  const evaluator = await resolveEvaluator(options.evaluator);
  const compute = new ComputeMetrics(registry);
  const pool = new ThreadPool({
    storeUrl: options.storeUrl,
    ...(options.token === undefined ? {} : { token: options.token }),
    cacheDirectory: options.cacheDir,
    cacheBytes: options.cacheBytes,
    keyBytes: options.keyMemoryBytes,
    ...(options.keyDiskBytes === undefined ? {} : { keyDiskBytes: options.keyDiskBytes }),
    ...(options.inputDiskBytes === undefined ? {} : { inputDiskBytes: options.inputDiskBytes }),
    evaluator,
    threads: options.threads,
    onStatistics: compute.thread,
  });
  compute.watch(registry, pool, evaluator);
  const metrics = new WorkerMetrics(registry);
  const running = new Map<string, Set<AbortController>>();

  const abortIfFinal = async (job: string): Promise<void> => {
    const tasks = running.get(job);
    if (tasks === undefined) return;
    const state = await jobs.state(job);
    if (state === undefined || isFinal(state)) for (const task of tasks) task.abort();
  };
  const ignore = (error: unknown): void => logger.debug({ err: error }, 'could not look at a job; looking again soon');
  const stopListening = changes.listen((job) => void abortIfFinal(job).catch(ignore));
  const poll = setInterval(() => {
    for (const job of running.keys()) void abortIfFinal(job).catch(ignore);
  }, CANCEL_POLL_MS);

  const id = randomUUID();
  const beat = (): void => void jobs.heartbeat(id, options.threads).catch(ignore);
  beat();
  const heartbeat = setInterval(beat, HEARTBEAT_MS);

  const dependencies = { pool, jobs, metrics, compute, logger, running, tracing };
  const worker = new Worker<unknown, TaskResult>(
    QUEUES.tasks,
    (job: Job<unknown, TaskResult>) => processTask(dependencies, job),
    {
      connection: redis,
      prefix: options.queuePrefix,
      concurrency: options.threads,
      metrics: QUEUE_METRICS,
      ...LOCKS,
    },
  );
  worker.on('error', (error) => logger.warn({ err: error }, 'queue'));
  worker.on('stalled', () => metrics.stall());
  worker.on('lockRenewalFailed', (lost) => metrics.lockLost(lost.length));
  await worker.waitUntilReady();

  const health = await serveHealth();
  logger.info(
    { threads: options.threads, evaluator: evaluatorName(evaluator), why: evaluator.why, url: health.url },
    'worker is ready',
  );
  return {
    url: health.url,
    async close() {
      await worker.close();
      clearInterval(heartbeat);
      clearInterval(poll);
      stopListening();
      changes.close();
      await pool.close();
      if (redis.status === 'ready') await jobs.retire(id, options.threads);
      await health.close();
      await tracing.close();
      redis.disconnect();
    },
  };
}
