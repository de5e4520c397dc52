import { Worker, type Job, type Processor } from 'bullmq';
import { parseDigest } from '@blindfit/base';
import { ComputeMetrics, ThreadPool, type PoolOptions } from '@blindfit/compute';
import { evaluatorName, resolveEvaluator, type EvaluatorChoice, type ResolvedEvaluator } from '@blindfit/he/native';
import { parseManifest } from '@blindfit/protocol';
import {
  giveBackNewer,
  JobChanges,
  JobStore,
  LOCKS,
  logJobs,
  openQueue,
  openServiceStore,
  QUEUE_METRICS,
  QUEUES,
  spanOfEntry,
  Tenants,
  traceEntry,
  traceJobs,
  type ChainPayload,
  type JobPayload,
  type TenantDefaults,
} from '@blindfit/queue';
import {
  addRedisMemory,
  connectionErrors,
  Intake,
  openService,
  type ComputeOptions,
  type RunningService,
} from '@blindfit/service';
import { PlanCache } from '@blindfit/training';
import { Admission } from './admission.ts';
import { Aggregator } from './aggregator.ts';
import { runChain } from './chain.ts';
import { failureOf, watchFailures } from './failures.ts';
import { FairPool } from './fair-pool.ts';
import { SchedulerMetrics } from './metrics.ts';
import { assertNotEnded } from './not-ended.ts';
import { runPredictionJob } from './prediction-job.ts';
import { promoteDelayed } from './promote-delayed.ts';
import { runRetry } from './reconcile.ts';
import { finishTrainingJob, runTrainingJob } from './training-job.ts';

export interface SchedulerOptions extends ComputeOptions {
  /** Threads for additions and constants. @default 1 */
  readonly threads?: number | undefined;
  /** What tenants may use for which an operator has set nothing else. */
  readonly tenantDefaults: TenantDefaults;
  /** @default 'auto' */
  readonly evaluator?: EvaluatorChoice | undefined;
}

/** Steps that one scheduler drives at a time; they mostly wait. */
const CONCURRENCY = 32;
const MAX_MANIFESTS = 64;

/** The options of the pool of a scheduler, whose work needs no keys. */
export function poolOptionsOf(
  {
    storeUrl,
    token,
    cacheDir,
    cacheBytes,
    threads = 1,
  }: Pick<SchedulerOptions, 'storeUrl' | 'token' | 'cacheDir' | 'cacheBytes' | 'threads'>,
  evaluator: ResolvedEvaluator,
  onStatistics: PoolOptions['onStatistics'],
): PoolOptions {
  return { storeUrl, token, cacheDirectory: cacheDir, cacheBytes, keyBytes: 0, evaluator, threads, onStatistics };
}

/** Starts a scheduler. Several may run at once: BullMQ gives each step to one, and to another if that one dies. */
export async function startScheduler(options: SchedulerOptions): Promise<RunningService> {
  const base = await openService('scheduler', options);
  const { logger, redis, registry, tracing, readiness, start, health, close } = base;
  const { queuePrefix: prefix } = options;
  const jobs = new JobStore(redis, prefix);
  logJobs(jobs, logger);
  traceJobs(tracing, jobs, (error) => logger.debug({ err: error }, 'the span of a job is lost'));
  const store = await openServiceStore(base, { ...options, keys: jobs.keys, narrow: (opened) => opened }).catch(
    async (error: unknown) => {
      await close();
      throw error;
    },
  );
  const queues = {
    jobs: openQueue<JobPayload>('jobs', redis, prefix),
    chains: openQueue<ChainPayload>('chains', redis, prefix),
    tasks: openQueue<unknown>('tasks', redis, prefix),
  };
  const intake = new Intake({ readiness, registry, logger });
  // Their only errors are those of the connection, which reports them itself.
  for (const queue of Object.values(queues)) queue.on('error', () => undefined);
  const metrics = new SchedulerMetrics(registry, { redis, jobs, queues });
  addRedisMemory(registry, redis);
  start.fail('preparing the evaluator');
  const evaluator = await resolveEvaluator(options.evaluator, (line) => logger.info(line));
  const compute = new ComputeMetrics(registry);
  const pool = new ThreadPool(poolOptionsOf(options, evaluator, compute.thread));
  compute.watch(registry, pool, evaluator);

  const plans = new PlanCache(async (digest) => parseManifest(await store.get(parseDigest(digest))), MAX_MANIFESTS);
  const runJob = async (job: Job<JobPayload>, token: string): Promise<void> => {
    if (job.name === 'finish') return finishTrainingJob(dependencies, job);
    if (job.name === 'retry') return runRetry(dependencies, job, token);
    // An entry of a job that has ended is not given back for a manifest that is missing.
    await assertNotEnded(jobs, job.data.job);
    const planned = await plans.get(job.data.manifest);
    return planned.kind === 'train'
      ? runTrainingJob(dependencies, job, token)
      : runPredictionJob(dependencies, job, token, planned.plan);
  };

  const tenants = new Tenants(redis, jobs.keys, jobs.index, options.tenantDefaults);
  const admission = new Admission({ logger, queue: queues.jobs, jobs, tenants });
  const changes = await JobChanges.open(redis, jobs.keys);
  changes.listen(() => admission.look());
  const promote = (job: string): Promise<void> => promoteDelayed(redis, Object.values(queues), job);
  const ignore = connectionErrors(
    logger,
    'could not call back entries of a job that has ended; they come by themselves',
  );
  changes.listenToStops((job) => void promote(job).catch(ignore));
  const fairPool = new FairPool(pool, async (job) => (await jobs.rankOf(job)).tenant);
  const closing = new AbortController();
  const dependencies = {
    admission,
    closing: closing.signal,
    queue: queues.jobs,
    tasks: queues.tasks,
    chains: queues.chains,
    jobs,
    aggregator: new Aggregator(fairPool, jobs, metrics, compute, tracing),
    metrics,
    intake,
    logger,
    promoteDelayed: promote,
    hasBlob: async (digest: string) => (await store.has(parseDigest(digest))) !== undefined,
    forgetFailed: async ({ queueQualifiedName, id = '' }: { queueQualifiedName: string; id?: string | undefined }) => {
      await redis.del(`${queueQualifiedName}:${id}:unsuccessful`);
    },
    isStoreRight: async () => (await readiness.outcomes())['store'] === 'ok',
    planOf: async (digest: string) => (await plans.training(digest)).plan,
    signerOf: async (digest: string) => (await plans.training(digest)).manifest.signer,
  };
  const work = <Data extends JobPayload>(
    queue: keyof typeof QUEUES,
    processor: (job: Job<Data>, token: string) => Promise<void>,
  ): Worker<Data> => {
    const body: Processor<Data> = async (job, token) => {
      await giveBackNewer(job, token, () => metrics.newer(queue));
      try {
        await tracing.within(spanOfEntry(job), () => processor(job, token ?? ''));
        intake.succeeded();
      } catch (error) {
        throw await failureOf(dependencies, job, error);
      }
    };
    const worker = new Worker<Data>(QUEUES[queue], body, {
      connection: redis,
      prefix,
      concurrency: CONCURRENCY,
      metrics: QUEUE_METRICS,
      ...LOCKS,
    });
    // An outage makes many of them; the intake says so once.
    worker.on('error', (error) => logger[intake.stopFor(error) ? 'debug' : 'warn']({ err: error, queue }, 'queue'));
    intake.add(worker);
    worker.on('completed', (job) => traceEntry(tracing, job));
    worker.on('failed', (job, error) => {
      if (job !== undefined) traceEntry(tracing, job, error);
      logger.warn({ job: job?.data.job, id: job?.id, err: error, queue }, 'step failed');
    });
    worker.on('stalled', () => metrics.stall(queue));
    worker.on('lockRenewalFailed', (lost) => metrics.lockLost(queue, lost.length));
    return worker;
  };
  const workers = [
    work<JobPayload>('jobs', runJob),
    work<ChainPayload>('chains', (job, token) => runChain(dependencies, job, token)),
  ];
  await Promise.all(workers.map((worker) => worker.waitUntilReady()));
  const failures = watchFailures(redis, prefix, {
    ...dependencies,
  });

  start.clear();
  logger.info({ evaluator: evaluatorName(evaluator), why: evaluator.why, url: health.url }, 'scheduler is ready');
  return {
    url: health.url,
    close: () =>
      base.end(
        async () => {
          closing.abort();
          intake.close();
          admission.close();
          changes.close();
          await Promise.all(workers.map((worker) => worker.close()));
          await failures.close();
          await pool.close();
          await Promise.all(Object.values(queues).map((queue) => queue.close()));
          await store.close();
        },
        () => pool.busy > 0,
      ),
  };
}
