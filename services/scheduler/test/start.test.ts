/** A scheduler with a Redis: settings reach it, it begins by comparing records and queues, and leaves nothing open. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Redis } from 'ioredis';
import { Registry } from 'prom-client';
import { noOperations } from '@blindfit/he';
import { JobStore, openQueue, type ClusterSources, type JobPayload } from '@blindfit/queue';
import { startRedis } from '@blindfit/redis-server';
import { createLogger, parseRedisUrl, Tracing } from '@blindfit/service';
import { readConfig } from '@blindfit/service/settings';
import { temporaryDirectory, until } from '@blindfit/testkit';
import { DEFAULT_HYPERPARAMETERS } from '@blindfit/training';
import { Aggregator } from '../src/aggregator.ts';
import { SchedulerMetrics } from '../src/metrics.ts';
import { scheduler } from '../src/service.ts';
import { poolOptionsOf } from '../src/start.ts';
import { JOB, MANIFEST } from './support.ts';

const PREFIX = '{scheduler-test}';
const logger = createLogger({ service: 'scheduler', level: 'silent' });

describe('settings of a scheduler', () => {
  const env = {
    BLINDFIT_REDIS_URL: 'redis://h',
    BLINDFIT_STORE: 'file:///x',
    BLINDFIT_CACHE_DIR: '/cache',
  };

  it('are those of services that compute, with one thread', () => {
    const config = readConfig(scheduler.table, env);
    assert.deepEqual([config.threads, config.token, config.cacheMb], [1, undefined, 4096]);
    assert.equal(readConfig(scheduler.table, { ...env, BLINDFIT_THREADS: '3' }).threads, 3);
  });

  it('reach its threads, which hold no keys', () => {
    const evaluator = { kind: 'seal', why: 'test' } as const;
    const options = { storeUrl: 's', token: 't', cacheDir: 'c', cacheBytes: 7 };
    const onStatistics = (): void => undefined;
    const expected = {
      storeUrl: 's',
      token: 't',
      cacheDirectory: 'c',
      cacheBytes: 7,
      keyBytes: 0,
      evaluator,
      onStatistics,
    };
    assert.deepEqual(poolOptionsOf({ ...options, threads: 5 }, evaluator, onStatistics), { ...expected, threads: 5 });
    assert.deepEqual(poolOptionsOf(options, evaluator, onStatistics), { ...expected, threads: 1 });
  });
});

it('a scheduler starts from its settings, queues what was cut off at once, and closes everything', async (t) => {
  const directory = await temporaryDirectory(t);
  const server = await startRedis({ dataDir: join(directory, 'redis'), log: () => undefined });
  const redis = new Redis({ ...parseRedisUrl(server.url), replyMapping: 'legacy', maxRetriesPerRequest: null });
  const queue = openQueue<JobPayload>('jobs', redis, PREFIX);
  t.after(async () => {
    await queue.close();
    redis.disconnect();
    await server.stop();
  });
  await queue.waitUntilReady();
  const clients = async (): Promise<number> =>
    String(await redis.client('LIST'))
      .trim()
      .split('\n').length;
  const before = await clients();
  // Its submission was cut off a minute ago. That the manifest is not there fails it: the entry was taken up.
  const jobs = new JobStore(redis, PREFIX);
  await jobs.create({
    id: JOB,
    kind: 'train',
    name: 'x',
    tenant: 'default',
    manifest: MANIFEST,
    shape: { samples: 1, features: 2, classes: 2 },
    parameters: 'N1024',
    hyperparameters: DEFAULT_HYPERPARAMETERS as never,
    tasksTotal: 1,
    levels: 1,
    chains: 1,
  });
  await redis.hset(jobs.keys.job(JOB), 'createdAt', Date.now() - 60_000);

  const config = readConfig(scheduler.table, {
    BLINDFIT_REDIS_URL: server.url,
    BLINDFIT_STORE: pathToFileURL(directory).href,
    BLINDFIT_CACHE_DIR: join(directory, 'cache'),
    BLINDFIT_QUEUE_PREFIX: PREFIX,
    BLINDFIT_EVALUATOR: 'seal',
  });
  const running = await scheduler.start(config, logger);
  await until(async () => (await queue.getJob(JOB)) !== undefined, 'the job is queued', { seconds: 10 });
  assert.equal((await fetch(`${running.url}/readyz`)).status, 200);
  const metrics = await (await fetch(`${running.url}/metrics`)).text();
  assert.match(metrics, /^blindfit_redis_up 1$/m);
  assert.match(metrics, /^blindfit_evaluator_info\{evaluator="seal",kernel="wasm"\} 1$/m);

  const tasks = openQueue('tasks', redis, PREFIX);
  for (const id of [`${JOB}.forward.1`, `${JOB}1.forward.1`])
    await tasks.add('task', {}, { jobId: id, delay: 60_000, priority: 7 });
  await jobs.cancel(JOB);
  await until(async () => (await tasks.getPrioritizedCount()) === 1, 'the delayed task of the job comes at once');
  assert.equal((await tasks.getJob(`${JOB}.forward.1`))?.priority, 7);
  assert.equal(await tasks.getDelayedCount(), 1, 'that of another job stays');
  await until(async () => (await queue.getJob(JOB))?.failedReason !== undefined, 'the job has left its queue');
  await tasks.close();
  await running.close();
  await assert.rejects(fetch(running.url));
  await until(async () => (await clients()) === before, 'no connection is left');
});

describe('metrics of a scheduler', () => {
  const open = () => {
    const registry = new Registry();
    const metrics = new SchedulerMetrics(registry, { redis: { status: 'end' } } as unknown as ClusterSources);
    const value = async (line: string): Promise<number | undefined> => {
      const found = (await registry.metrics()).split('\n').find((each) => each.startsWith(`${line} `));
      return found === undefined ? undefined : Number(found.slice(line.length));
    };
    return { metrics, value };
  };

  it('begin at zero for both queues, and count what they are told', async () => {
    const { metrics, value } = open();
    const names = ['blindfit_steps_stalled_total', 'blindfit_scheduler_lock_renewals_lost_total'];
    for (const name of names)
      for (const queue of ['jobs', 'chains']) assert.equal(await value(`${name}{queue="${queue}"}`), 0, name);
    metrics.stall('chains');
    metrics.lockLost('jobs', 3);
    metrics.iteration(2, 50);
    metrics.iteration(1, 10);
    metrics.jobEnded('failed');
    metrics.jobEnded('succeeded', 12);
    for (const [line, expected] of [
      ['blindfit_steps_stalled_total{queue="chains"}', 1],
      ['blindfit_scheduler_lock_renewals_lost_total{queue="jobs"}', 3],
      ['blindfit_iterations_total', 3],
      ['blindfit_samples_total', 110],
      ['blindfit_jobs_ended_total{state="failed"}', 1],
      ['blindfit_jobs_ended_total{state="succeeded"}', 1],
      ['blindfit_job_duration_seconds_count', 1],
      ['blindfit_job_duration_seconds_sum', 12],
    ] as const)
      assert.equal(await value(line), expected, line);
  });

  it('of additions: recorded under the id of the task, timed in seconds, counted with their operations', async () => {
    const { metrics, value } = open();
    const result = { outputs: ['d'], operations: noOperations(), startedAt: 1, finishedAt: 2, phases: [] };
    const runs: unknown[] = [];
    const records: unknown[] = [];
    const computed: unknown[] = [];
    const pool = {
      run: (work: { readonly kind: string }) => {
        runs.push(work);
        return work.kind === 'prepare' ? Promise.reject(new Error('shown again later')) : Promise.resolve(result);
      },
    };
    const aggregator = new Aggregator(
      pool as never,
      { recordTask: (...record) => Promise.resolve(records.push(record) > 0) },
      metrics,
      { computed: (each) => void computed.push(each) },
      await Tracing.open('scheduler', '0', undefined, logger),
    );
    aggregator.prepare({ job: JOB, manifest: MANIFEST });
    const work = { kind: 'publish', chain: 1, iteration: 2, weights: 'w', level: 3 } as const;
    assert.deepEqual(await aggregator.run({ job: JOB, manifest: MANIFEST }, 'publish.2.1', work), ['d']);
    assert.deepEqual(runs, [
      { kind: 'prepare', job: JOB, manifest: MANIFEST },
      { job: JOB, manifest: MANIFEST, ...work },
    ]);
    const { outputs: _outputs, phases: _phases, ...record } = result;
    assert.deepEqual(records, [[JOB, `${JOB}.publish.2.1`, { ...record, kind: 'publish', iteration: 2 }]]);
    assert.deepEqual(computed, [result]);
    const name = 'blindfit_aggregation_duration_seconds';
    assert.equal(await value(`${name}_count{kind="publish"}`), 1);
    assert.equal(await value(`${name}_bucket{le="10",kind="publish"}`), 1);
  });
});
