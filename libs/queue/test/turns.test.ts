/** Fair queueing in a real queue: in which order tenants and their jobs are served. */
import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import { Worker, type Job, type Queue } from 'bullmq';
import { at } from '@blindfit/base';
import { PRIORITIES, type Priority } from '@blindfit/protocol';
import { openQueue, Tenants, type JobStore } from '../src/index.ts';
import { newJob, newStore, redis } from './support.ts';

interface Scene {
  readonly jobs: JobStore;
  readonly queue: Queue<string>;
  readonly submit: (job: string, tenant: string, priority?: Priority) => Promise<void>;
  /** Adds entries of a job. */
  readonly add: (job: string, entries: number) => Promise<void>;
  /** The jobs whose entries are served next, in this order. */
  readonly serve: (entries: number) => Promise<string[]>;
}

async function setScene(t: TestContext): Promise<Scene> {
  const jobs = newStore();
  const prefix = jobs.keys.queue('').slice(0, -1);
  const queue = openQueue<string>('tasks', redis(), prefix);
  const connection = redis().duplicate({ maxRetriesPerRequest: null });
  const worker = new Worker<string>('tasks', null, { connection, prefix, autorun: false });
  await worker.waitUntilReady();
  t.after(async () => {
    await Promise.all([queue.close(), worker.close()]);
    connection.disconnect();
  });
  let count = 0;
  return {
    jobs,
    queue,
    submit: async (id, tenant, priority) => {
      await jobs.create(newJob(id, { tenant, priority }));
    },
    add: async (job, entries) => {
      const ids = Array.from({ length: entries }, () => `${job}.${count++}`);
      const turns = await jobs.turns.take('tasks', ids);
      await queue.addBulk(
        ids.map((jobId, i) => ({ name: 'x', data: job, opts: { priority: at(turns, i, 'turns'), jobId } })),
      );
    },
    serve: async (entries) => {
      const served: string[] = [];
      for (let i = 0; i < entries; i++) {
        const entry = (await worker.getNextJob('token', { block: false })) as Job<string> | undefined;
        if (entry === undefined) break;
        served.push(entry.data);
        await entry.moveToCompleted(undefined, 'token', false);
      }
      return served;
    },
  };
}

const countOf = (served: readonly string[], job: string): number => served.filter((each) => each === job).length;

it('a job of another tenant gets every second turn, however many entries or jobs are in front', async (t) => {
  const { submit, add, serve } = await setScene(t);
  for (let i = 0; i < 20; i++) {
    await submit(`job-a${i}`, 'a');
    await add(`job-a${i}`, 16);
  }
  await serve(10);
  await submit('job-b', 'b');
  await add('job-b', 10);
  const served = await serve(22);
  assert.equal(countOf(served, 'job-b'), 10, served.join(' '));
});

it('a tenant that begins to wait is served next, and not twice in a row', async (t) => {
  const { submit, add, serve } = await setScene(t);
  await submit('job-a', 'a');
  await submit('job-b', 'b');
  await add('job-a', 40);
  for (let i = 0; i < 5; i++) {
    await serve(3);
    await add('job-b', 2);
    assert.deepEqual(await serve(3), ['job-b', 'job-a', 'job-b']);
  }
});

it('what a tenant was served while it was alone is not held against it', async (t) => {
  const { submit, add, serve } = await setScene(t);
  await submit('job-a', 'a');
  await submit('job-b', 'b');
  for (let i = 0; i < 10; i++) {
    await add('job-a', 20);
    await serve(20);
  }
  await add('job-b', 20);
  await add('job-a', 20);
  const served = await serve(20);
  assert.ok(countOf(served, 'job-a') >= 9, served.join(' '));
  assert.ok(countOf(served, 'job-b') >= 9, served.join(' '));
});

it('the jobs of a tenant take turns, by their priorities', async (t) => {
  const { submit, add, serve } = await setScene(t);
  await submit('job-low', 'a', 'low');
  await submit('job-high', 'a', 'high');
  // Added in small parts, as stages are.
  for (let i = 0; i < 8; i++) {
    await add('job-low', 4);
    await add('job-high', 4);
  }
  const served = await serve(34);
  assert.equal(PRIORITIES.high / PRIORITIES.low, 16);
  assert.ok(countOf(served, 'job-high') >= 30, served.join(' '));
  assert.ok(countOf(served, 'job-low') >= 1, served.join(' '));
});

it('tenants share the queue by their weights', async (t) => {
  const { jobs, submit, add, serve } = await setScene(t);
  const tenants = new Tenants(redis(), jobs.keys, jobs.index, { runningJobs: 1 });
  await tenants.set('b', { weight: 3 });
  await submit('job-a', 'a');
  await submit('job-b', 'b');
  await add('job-a', 100);
  await add('job-b', 100);
  const served = await serve(80);
  assert.ok(Math.abs(countOf(served, 'job-b') - 60) <= 2, `${countOf(served, 'job-b')} of 80`);
});

it('virtual time begins again before priorities run out, and nobody loses its place', async (t) => {
  const { jobs, queue, submit, add, serve } = await setScene(t);
  await submit('job-a', 'a');
  await submit('job-b', 'b');
  await redis().hset(jobs.keys.clock('tasks'), { now: 2 ** 20 - 100, last: 2 ** 20 - 100 });
  await add('job-a', 40);
  await serve(20);
  const active = 'job-b.active';
  await queue.add('x', 'job-b', { jobId: active, priority: 2 ** 20 + 60, delay: 3_600_000 });
  await add('job-b', 4);
  await add('job-a', 4);
  const { now, last } = await redis().hgetall(jobs.keys.clock('tasks'));
  assert.ok(Number(now) < 100 && Number(last) < 400, `now ${now}, last ${last}`);
  assert.ok(((await queue.getJob(active))?.priority ?? Infinity) < 200, 'a delayed entry as well');
  const entries = await queue.getJobs(['prioritized'], 0, -1, true);
  const priorities = entries.map(({ priority }) => priority);
  assert.ok(
    priorities.every((priority) => priority >= 1 && priority < 400),
    priorities.join(' '),
  );
  const served = await serve(28);
  assert.ok(served.indexOf('job-b') < 4 && countOf(served, 'job-a') === 24, served.join(' '));
});

it('priorities end at the largest one of BullMQ', async (t) => {
  const { jobs, submit } = await setScene(t);
  await submit('job-a', 'a');
  const ids = (from: number): string[] => Array.from({ length: 7000 }, (_, i) => `job-a.${from + i}`);
  assert.deepEqual((await jobs.turns.take('tasks', ids(0))).slice(0, 3), [2, 10, 18]);
  await redis().hset(jobs.keys.clock('tasks'), { 'tenant:a': 2 ** 21 - 40_000 });
  const turns = await jobs.turns.take('tasks', ids(7000));
  assert.deepEqual([at(turns, 0, 'turns'), at(turns, 6999, 'turns')], [2 ** 21 - 40_000, 2 ** 21 - 1]);
});
