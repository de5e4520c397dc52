/**
 * Kill any process at any moment: the job completes, and the encrypted model is bit for bit that of an undisturbed run.
 * Real processes, real Redis, 128-bit parameters.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { BlindfitClient } from '@blindfit/client';
import { decryptModel } from '@blindfit/owner';
import type { JobView } from '@blindfit/protocol';
import { openQueue, type JobPayload } from '@blindfit/queue';
import { startRedis } from '@blindfit/redis-server';
import { parseRedisUrl } from '@blindfit/service';
import { type RunningStack, type StackProcess } from '@blindfit/stack';
import { temporaryDirectory, until } from '@blindfit/testkit';
import {
  finished,
  largestError,
  prepareJob,
  SHARED_KEYS,
  syntheticData,
  waitFor,
  withStack,
  type Prepared,
} from './support.ts';

/** Enough tasks to be disturbed in, on little data. */
const DATA = syntheticData(200, 60, 20);

async function submitAndDisturb(
  client: BlindfitClient,
  prepared: Prepared,
  key: string,
  when: (job: JobView) => boolean,
  disturb: () => Promise<void>,
): Promise<JobView> {
  const { id } = await client.submit(prepared.manifest, { idempotencyKey: key });
  const met = await waitFor(client, id, when);
  assert.equal(met.state, 'running', `the job must still run when it is disturbed, it is ${met.state}`);
  await disturb();
  return finished(client, id);
}

function processOf(stack: RunningStack, name: string): StackProcess {
  const found = stack.processes.find((process) => process.name === name);
  assert.ok(found, `${name} is one of ${stack.processes.map((process) => process.name).join(', ')}`);
  return found;
}

function assertSameModel(job: JobView, reference: JobView): void {
  assert.equal(job.state, 'succeeded', job.error?.message);
  assert.deepEqual(
    job.result?.models,
    reference.result?.models,
    'the model is bit for bit that of the undisturbed run',
  );
  assert.deepEqual(job.result?.operations, reference.result?.operations, 'no task counts twice');
  assert.equal(job.progress.tasksDone, job.progress.tasksTotal);
}

it('a job is disturbed on a stack of two workers and two schedulers, of which one each remains', async (t) => {
  await using redisDirectory = await temporaryDirectory();
  const dataDir = join(redisDirectory.path, 'redis');
  let redis = await startRedis({ dataDir, log: () => undefined });
  t.after(() => redis.stop());
  await withStack({ workers: 2, schedulers: 2, threads: 1, redisUrl: redis.url }, async (stack, client) => {
    using prepared = await prepareJob(client, SHARED_KEYS, DATA);
    const reference = await finished(client, (await client.submit(prepared.manifest)).id);

    await t.test('undisturbed, it gives the model of the clear twin', async (t) => {
      assert.equal(reference.state, 'succeeded', reference.error?.message);
      const weights = decryptModel(
        prepared.keyset,
        prepared.plan,
        await client.result(reference.id, reference.result?.models ?? []),
      );
      const error = largestError(weights, prepared.clear);
      t.diagnostic(`largest weight error against the clear twin: ${error.toExponential(2)}`);
      assert.ok(error < 1e-5, `largest weight error ${error}`);
    });

    await t.test('kill -9 of one worker and one scheduler, for good: the others finish the job', async () => {
      const job = await submitAndDisturb(
        client,
        prepared,
        'kill one of each',
        ({ progress }) => progress.tasksDone >= 1,
        async () => {
          await Promise.all(['worker-2', 'scheduler-2'].map((name) => processOf(stack, name).kill('SIGKILL')));
        },
      );
      assertSameModel(job, reference);
    });

    for (const [name, when, tasks] of [
      ['worker-1', 'in a task', 1],
      ['scheduler-1', 'between iterations', 2],
    ] as const) {
      await t.test(`kill -9 of ${name} ${when}: same model, nothing counted twice`, async () => {
        const service = processOf(stack, name);
        const job = await submitAndDisturb(
          client,
          prepared,
          `kill ${name}`,
          ({ progress }) => progress.tasksDone >= tasks,
          async () => {
            await service.kill('SIGKILL');
            await service.restart();
          },
        );
        assertSameModel(job, reference);
      });
    }

    await t.test('an API that dies between recording and queueing it: the scheduler finds it', async () => {
      const scheduler = processOf(stack, 'scheduler-1');
      await scheduler.kill('SIGKILL');
      const { id } = await client.submit(prepared.manifest, { idempotencyKey: 'lost from the queue' });
      const redis = new Redis({ ...parseRedisUrl(stack.redisUrl), replyMapping: 'legacy', maxRetriesPerRequest: null });
      const queue = openQueue<JobPayload>('jobs', redis, '{blindfit}');
      try {
        assert.equal(await queue.remove(id), 1, 'it was in the queue');
      } finally {
        await queue.close();
        redis.disconnect();
      }
      // The scheduler's first look would take it for one that is just being submitted.
      await sleep(5_500);
      await scheduler.restart();
      assertSameModel(await finished(client, id), reference);
    });

    await t.test('kill -9 of Redis, started again with its file: same model', async () => {
      const job = await submitAndDisturb(
        client,
        prepared,
        'kill Redis',
        ({ progress }) => progress.tasksDone >= 1,
        async () => {
          process.kill(redis.pid, 'SIGKILL');
          await redis.exited;
          redis = await startRedis({ dataDir, log: () => undefined });
        },
      );
      assertSameModel(job, reference);
    });

    await t.test('cancelled, it stays so, and the next job gives the same model', async () => {
      const { id } = await client.submit(prepared.manifest, { idempotencyKey: 'cancel' });
      assert.equal((await client.cancel(id)).state, 'cancelled');
      assertSameModel(
        await finished(client, (await client.submit(prepared.manifest, { idempotencyKey: 'next' })).id),
        reference,
      );
      assert.equal((await client.job(id)).state, 'cancelled');
    });
  });
});

it('cancelling stops a task in the middle', async (t) => {
  // The first task on node-seal sets up parameters and keys for seconds before it computes.
  process.env['BLINDFIT_EVALUATOR'] = 'seal';
  t.after(() => delete process.env['BLINDFIT_EVALUATOR']);
  await withStack({ threads: 1 }, async (stack, client) => {
    using prepared = await prepareJob(client, SHARED_KEYS, DATA);
    const { url } = processOf(stack, 'worker-1');
    const metric = async (name: string): Promise<number> => {
      const lines = (await (await fetch(`${url}/metrics`)).text()).split('\n').filter((line) => line.startsWith(name));
      assert.ok(lines.length > 0, name);
      return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
    };
    const outcomes = async (outcome: string): Promise<number> => {
      const kinds = ['start', 'forward', 'backward', 'predict'];
      const counts = kinds.map((kind) => metric(`blindfit_tasks_total{kind="${kind}",outcome="${outcome}"}`));
      return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
    };
    const { id } = await client.submit(prepared.manifest);
    await until(async () => (await metric('blindfit_threads_busy')) === 1, 'a thread works on it');
    const started = performance.now();
    await client.cancel(id);
    await until(async () => (await metric('blindfit_threads_busy')) === 0, 'no thread works on it');
    const took = performance.now() - started;
    await until(async () => (await outcomes('cancelled')) > 0, 'its task is counted as cancelled');
    assert.equal(await outcomes('completed'), 0, 'the task was not computed to its end');
    t.diagnostic(`the thread was free after ${took.toFixed(0)} ms`);
    assert.ok(took < 5_000, `${took} ms`);
  });
});
