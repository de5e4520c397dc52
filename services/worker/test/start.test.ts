/** A worker with a Redis: how it takes tasks, which settings reach it, and that it leaves nothing open. */
import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Redis } from 'ioredis';
import { Registry } from 'prom-client';
import { TaskError } from '@blindfit/compute';
import { JobStore, LOCKS, openQueue } from '@blindfit/queue';
import { startRedis, type RunningRedis } from '@blindfit/redis-server';
import { createLogger, Intake, parseRedisUrl, Readiness } from '@blindfit/service';
import { readConfig } from '@blindfit/service/settings';
import { temporaryDirectory, until, type TemporaryDirectory } from '@blindfit/testkit';
import { WorkerMetrics } from '../src/metrics.ts';
import { worker } from '../src/service.ts';
import { openTaskQueue } from '../src/task-queue.ts';
import { RESULT } from './support.ts';

const PREFIX = '{worker-test}';
const logger = createLogger({ service: 'worker', level: 'silent' });

let directory: TemporaryDirectory;
let server: RunningRedis;
let redis: Redis;

before(async () => {
  directory = await temporaryDirectory();
  server = await startRedis({ dataDir: join(directory.path, 'redis'), log: () => undefined });
  redis = new Redis({ ...parseRedisUrl(server.url), replyMapping: 'legacy', maxRetriesPerRequest: null });
});

after(async () => {
  redis.disconnect();
  await server.stop();
  await directory[Symbol.asyncDispose]();
});

it('as many tasks as threads are processed at a time, under locks of eight seconds', async () => {
  const queue = openQueue('tasks', redis, PREFIX);
  const counts = { stalls: 0, lost: 0 };
  const metrics = {
    stall: () => {
      counts.stalls++;
    },
    lockLost: (count: number) => {
      counts.lost += count;
    },
  };
  const going = Promise.withResolvers<undefined>();
  const taken: string[] = [];
  const intake = { add: () => undefined, stopFor: () => false };
  const options = { redis, prefix: PREFIX, concurrency: 2, metrics, logger, intake };
  const tasks = await openTaskQueue(options, async ({ id = '' }) => {
    taken.push(id);
    await going.promise;
    return RESULT;
  });
  for (const id of ['a', 'b', 'c']) await queue.add('tasks', {}, { jobId: id });
  await until(() => taken.length === 2, 'two tasks are taken');
  assert.deepEqual([await queue.getActiveCount(), await queue.getWaitingCount()], [2, 1]);
  const left = await redis.pttl(`${PREFIX}:tasks:a:lock`);
  assert.ok(left > 0 && left <= LOCKS.lockDuration, `${left} ms`);
  tasks.emit('stalled', 'a', 'active');
  tasks.emit('lockRenewalFailed', ['a', 'b']);
  assert.deepEqual(counts, { stalls: 1, lost: 2 });
  going.resolve(undefined);
  await until(async () => (await queue.getCompletedCount()) === 3, 'all are done');
  await tasks.close();
  await queue.close();
});

it('a task that is given back keeps its tries and waits for longer each time', async () => {
  const prefix = '{worker-back}';
  const queue = openQueue('tasks', redis, prefix);
  const { troubles } = new JobStore(redis, prefix);
  const readiness = new Readiness();
  const disk = readiness.condition('disk');
  const waitsMs = { first: 1, longest: 20 };
  const intake = new Intake({ readiness, registry: new Registry(), logger, waitsMs });
  const metrics = { stall: () => undefined, lockLost: () => undefined };
  let failures = 2;
  const starts: number[] = [];
  const full = new TaskError('STORAGE_FULL', 'no room', true, 'host');
  const tasks = await openTaskQueue({ redis, prefix, concurrency: 2, metrics, logger, intake }, async (entry) => {
    starts.push(entry.attemptsStarted);
    if (failures-- <= 0) return RESULT;
    disk.fail('full');
    intake.stopFor(full);
    throw await troubles.giveBack(entry, full);
  });
  await queue.add('tasks', {}, { jobId: 'j1.forward.1', attempts: 1 });
  for (const count of [1, 2]) {
    await until(async () => (await queue.getDelayedCount()) === 1 && starts.length === count, 'it is given back');
    const trouble = (await troubles.all()).get('j1.forward.1');
    assert.ok(trouble !== undefined);
    const { hosts, since, last, ...rest } = trouble;
    assert.deepEqual(rest, { code: 'STORAGE_FULL', message: 'no room', count });
    assert.deepEqual([hosts, since <= last], [[hostname()], true]);
    const { delay = 0 } = (await queue.getJob('j1.forward.1')) ?? {};
    assert.ok(delay >= 250 * count - 5 && delay <= 500 * count + 5, `${delay} ms`);
    assert.ok(tasks.isPaused());
    disk.clear();
  }
  await until(async () => (await queue.getCompletedCount()) === 1, 'it is done at its only attempt');
  assert.deepEqual(starts, [1, 2, 3]);
  await troubles.clearJobs(new Set(['j2']));
  assert.equal((await troubles.all()).size, 1);
  await troubles.clearJobs(new Set(['j1']));
  assert.equal((await troubles.all()).size, 0);
  intake.close();
  await tasks.close();
  await queue.close();
});

it('lost locks are counted one by one', async () => {
  const registry = new Registry();
  const metrics = new WorkerMetrics(registry);
  metrics.lockLost(3);
  metrics.stall();
  const text = await registry.metrics();
  assert.match(text, /^blindfit_lock_renewals_lost_total 3$/m);
  assert.match(text, /^blindfit_tasks_stalled_total 1$/m);
});

it('a worker starts from its settings, says how many threads it has, and closes everything', async () => {
  const clients = async (): Promise<number> =>
    String(await redis.client('LIST'))
      .trim()
      .split('\n').length;
  const connections = await clients();
  const config = readConfig(worker.table, {
    BLINDFIT_REDIS_URL: server.url,
    BLINDFIT_STORE: pathToFileURL(directory.path).href,
    BLINDFIT_CACHE_DIR: join(directory.path, 'cache'),
    BLINDFIT_QUEUE_PREFIX: PREFIX,
    BLINDFIT_EVALUATOR: 'seal',
    BLINDFIT_THREADS: '3',
  });
  const running = await worker.start(config, logger);
  const jobs = new JobStore(redis, PREFIX);
  await until(async () => (await jobs.workers.threads()).threads === 3, 'it has said so');
  assert.equal((await fetch(`${running.url}/readyz`)).status, 200);
  assert.match(await (await fetch(`${running.url}/metrics`)).text(), /^blindfit_redis_up 1$/m);
  await running.close();
  await assert.rejects(fetch(running.url));
  assert.deepEqual(await jobs.workers.threads(), { workers: 0, threads: 0, protocol: 1 }, 'it has retired');
  await until(async () => (await clients()) === connections, 'no connection is left');
});
