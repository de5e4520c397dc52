/** A worker with a Redis: how it takes tasks, which settings reach it, and that it leaves nothing open. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Redis } from 'ioredis';
import { Registry } from 'prom-client';
import { JobStore, LOCKS, openQueue } from '@blindfit/queue';
import { startRedis, type RunningRedis } from '@blindfit/redis-server';
import { createLogger, parseRedisUrl } from '@blindfit/service';
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
  const tasks = await openTaskQueue({ redis, prefix: PREFIX, concurrency: 2, metrics, logger }, async ({ id = '' }) => {
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
