/**
 * What everybody stands on goes away for a while: jobs wait, and give the bytes of an undisturbed run. Real processes,
 * real Redis, 128-bit parameters.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { required } from '@blindfit/base';
import { FileBlobStore } from '@blindfit/blobs';
import type { JobView } from '@blindfit/protocol';
import { JobStore } from '@blindfit/queue';
import { createLogger, parseRedisUrl } from '@blindfit/service';
import type { RunningStack } from '@blindfit/stack';
import { until } from '@blindfit/testkit';
import { startWorker } from '@blindfit/worker';
import { finished, prepareJob, SHARED_KEYS, syntheticData, waitFor, withStack } from './support.ts';

/** Enough tasks to be disturbed in, on little data. */
const DATA = syntheticData(200, 60, 12);

interface Readiness {
  readonly failing: readonly string[];
  readonly checks: Readonly<Record<string, string>>;
}

async function readyz(url: string): Promise<Readiness> {
  return (await (await fetch(`${url}/readyz`)).json()) as Readiness;
}

function processOf(stack: RunningStack, name: string) {
  return required(
    stack.processes.find((process) => process.name === name),
    name,
  );
}

async function counted(url: string, pattern: RegExp): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => pattern.test(line))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

async function digestsIn(storeUrl: string): Promise<string[]> {
  const store = await FileBlobStore.open(fileURLToPath(storeUrl));
  return await Array.fromAsync(store.list(), ({ digest }) => digest);
}

function assertSameModel(job: JobView, reference: JobView): void {
  assert.equal(job.state, 'succeeded', job.error?.message);
  assert.deepEqual(job.result?.models, reference.result?.models, 'the model has the bytes of the undisturbed run');
  assert.deepEqual(job.result?.operations, reference.result?.operations, 'no task counts twice');
  assert.equal(job.progress.tasksDone, job.progress.tasksTotal);
}

it('jobs survive outages of store, disk, Redis and API, and go on after a failure', async (t) => {
  await withStack({ threads: 1 }, async (stack, client) => {
    using prepared = await prepareJob(client, SHARED_KEYS, DATA);
    const inputs = new Set(await digestsIn(stack.storeUrl));
    const worker = processOf(stack, 'worker-1');
    const redis = new Redis({ ...parseRedisUrl(stack.redisUrl), replyMapping: 'legacy', maxRetriesPerRequest: null });
    const begin = async (): Promise<string> => {
      const { id } = await client.submit(prepared.manifest);
      const met = await waitFor(client, id, ({ progress }) => progress.tasksDone >= 3);
      assert.equal(met.state, 'running', 'it must still run when it is disturbed');
      return id;
    };
    const stopped = async (url: string, reason: RegExp): Promise<void> => {
      await until(async () => reason.test((await readyz(url)).checks['work'] ?? ''), `${url} takes no work`);
    };

    // What it stores is new, as it is not in the runs after it.
    let first: JobView | undefined;
    await t.test('a full disk: results find no room for a while', async () => {
      const id = await begin();
      const limit = (bytes: string): Buffer =>
        execFileSync('prlimit', ['--pid', String(worker.pid), `--fsize=${bytes}:unlimited`]);
      limit('1000');
      await stopped(worker.url, /^takes no work: no room left in /);
      limit('unlimited');
      first = await finished(client, id);
    });

    const reference = await finished(client, (await client.submit(prepared.manifest)).id);
    assert.equal(reference.state, 'succeeded', reference.error?.message);
    assertSameModel(required(first, 'the first job'), reference);

    await t.test('a store that is not mounted: the worker says so, waits and heals', async () => {
      const id = await begin();
      const store = fileURLToPath(stack.storeUrl);
      await rename(store, `${store}.away`);
      await stopped(worker.url, /^takes no work: /);
      assert.equal(await counted(worker.url, /^blindfit_intake_stopped\{.*fault="host"/), 1);
      await rename(`${store}.away`, store);
      assertSameModel(await finished(client, id), reference);
      await until(async () => (await readyz(worker.url)).failing.length === 0, 'the worker is ready');
    });

    for (const [reply, begins, ends] of [
      ['OOM', ['config', 'set', 'maxmemory', '1mb'], ['config', 'set', 'maxmemory', '0']],
      ['READONLY', ['replicaof', '127.0.0.1', '1'], ['replicaof', 'no', 'one']],
    ] as const) {
      await t.test(`Redis that answers ${reply}`, async () => {
        const id = await begin();
        const [command, ...arguments_] = begins;
        await redis.call(command, ...arguments_);
        await stopped(worker.url, new RegExp(reply));
        await sleep(1_000);
        const [back, ...none] = ends;
        await redis.call(back, ...none);
        assertSameModel(await finished(client, id), reference);
      });
    }

    await t.test('a job that failed goes on from its last finished step', async () => {
      const id = await begin();
      const jobs = new JobStore(redis, '{blindfit}');
      assert.ok(await jobs.fail(id, { code: 'TASK_FAILED', message: 'made to fail' }));
      const failed = await client.job(id);
      const done = await counted(worker.url, /^blindfit_tasks_total\{.*outcome="completed"/);
      const retried = await client.retry(id);
      assert.deepEqual([retried.error, retried.finishedAt], [undefined, undefined]);
      await assert.rejects(client.retry(reference.id), { code: 'JOB_NOT_FAILED' });
      const job = await finished(client, id);
      assertSameModel(job, reference);
      const computed = (await counted(worker.url, /^blindfit_tasks_total\{.*outcome="completed"/)) - done;
      // One may have been done without having been recorded.
      const left = job.progress.tasksTotal - failed.progress.tasksDone;
      assert.ok(computed <= left + 1, `${computed} tasks computed, ${left} were left`);
    });

    await t.test('results that the store has lost are computed again', async () => {
      const id = await begin();
      const jobs = new JobStore(redis, '{blindfit}');
      assert.ok(await jobs.fail(id, { code: 'TASK_FAILED', message: 'made to fail' }));
      // What is still computed would be recorded after the retry, and its result is among those that get lost.
      await until(async () => (await redis.llen('{blindfit}:tasks:active')) === 0, 'no task is under way');
      const { manifest } = await client.job(id);
      const store = await FileBlobStore.open(fileURLToPath(stack.storeUrl));
      for await (const { digest } of store.list())
        if (!inputs.has(digest) && digest !== manifest) await store.delete(digest);
      await client.retry(id);
      assertSameModel(await finished(client, id), reference);
    });

    await t.test('an API away for some seconds, with the store behind it', async () => {
      await worker.kill('SIGTERM');
      const remote = await startWorker({
        redisUrl: stack.redisUrl,
        storeUrl: stack.url,
        token: stack.token,
        cacheDir: join(stack.dataDir, 'remote'),
        cacheBytes: 2 ** 28,
        keyMemoryBytes: 2 ** 30,
        queuePrefix: '{blindfit}',
        threads: 1,
        logger: createLogger({ service: 'worker', level: 'silent' }),
      });
      try {
        const id = await begin();
        const api = processOf(stack, 'api');
        await api.kill('SIGKILL');
        await stopped(remote.url, /^takes no work: /);
        assert.equal(await counted(remote.url, /^blindfit_intake_stopped\{.*fault="world"/), 1);
        await api.restart();
        assertSameModel(await finished(client, id), reference);
      } finally {
        await remote.close();
      }
    });
    redis.disconnect();
  });
});
