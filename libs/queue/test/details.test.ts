/** Records that are deleted, changes that are listened to, turns that are kept, and what metrics make of queues. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Registry } from 'prom-client';
import { at } from '@blindfit/base';
import { JOB_STATES } from '@blindfit/protocol';
import { until } from '@blindfit/testkit';
import { addClusterMetrics, JobChanges } from '../src/index.ts';
import { newJob, newStore, record, redis } from './support.ts';

it('a wrong record that is deleted leaves nothing behind, and others stay', async () => {
  const jobs = newStore();
  const { wrong, keys } = jobs;
  for (const id of ['job-bad', 'job-good']) {
    await jobs.create(newJob(id, { tenant: 'a' }));
    await jobs.recordTask(id, `${id}.forward.1`, record('forward', 1, 2));
    for (const set of [keys.awaiting, keys.progress]) await redis().zadd(set, 1, id);
  }
  await redis().hset(keys.job('job-bad'), 'result', `{"x":"sha256:${'a'.repeat(64)}","y":"sha256:${'b'.repeat(64)}"`);
  assert.equal(await jobs.get('job-bad'), undefined);
  assert.deepEqual([wrong.has('job-bad'), wrong.count], [true, 1]);
  const named = await wrong.digests('job-bad');
  for (const digit of ['a', 'b']) assert.ok(named.includes(`sha256:${digit.repeat(64)}`));
  await wrong.delete('job-bad');
  assert.deepEqual([wrong.has('job-bad'), wrong.count], [false, 0]);
  assert.equal(await redis().exists(keys.job('job-bad'), keys.tasks('job-bad')), 0);
  assert.equal(await redis().exists(keys.job('job-good'), keys.tasks('job-good')), 2);
  const { index, states, awaiting, progress } = keys;
  for (const set of [index, states, awaiting, progress, keys.ofTenant(index, 'a'), keys.ofTenant(states, 'a')])
    assert.deepEqual(await redis().zrange(set, '0', '-1'), ['job-good'], set);
});

it('so many wrong records are remembered, and mended ones are forgotten', () => {
  const { wrong } = newStore();
  for (let i = 0; i < 1001; i++) wrong.add(`job-${i}`);
  assert.deepEqual([wrong.count, wrong.has('job-999'), wrong.has('job-1000')], [1000, true, false]);
  wrong.remove('job-0');
  wrong.add('job-1000');
  assert.deepEqual([wrong.count, wrong.has('job-1000'), wrong.has('job-0')], [1000, true, false]);
});

it('changes of jobs reach those that listen, and those no more that have stopped', async (t) => {
  const jobs = newStore();
  const changes = await JobChanges.open(redis(), jobs.keys);
  t.after(() => changes.close());
  const heard: string[] = [];
  const stop = changes.listen((job) => heard.push(`first ${job}`));
  changes.listen((job) => heard.push(`second ${job}`));
  await jobs.create(newJob('job-1'));
  await until(() => heard.length >= 2, 'the change');
  stop();
  await newStore().create(newJob('job-elsewhere'));
  await jobs.create(newJob('job-2'));
  await until(() => heard.includes('second job-2'), 'the second change');
  assert.deepEqual(heard, ['first job-1', 'second job-1', 'second job-2']);
});

it('jobs that fail or are cancelled are announced, and what is given back of them comes at once', async (t) => {
  const jobs = newStore();
  const changes = await JobChanges.open(redis(), jobs.keys);
  t.after(() => changes.close());
  const stopped: string[] = [];
  changes.listenToStops((job) => stopped.push(job));
  for (const job of ['job-a', 'job-b', 'job-c', 'job-d']) await jobs.create(newJob(job));
  await jobs.succeed('job-a', []);
  await jobs.fail('job-b', { code: 'X', message: 'x' });
  await jobs.cancel('job-c');
  await until(() => stopped.length === 2, 'both are announced');
  assert.deepEqual(stopped, ['job-b', 'job-c']);
  const giveBack = async (job: string, error?: unknown): Promise<string[]> => {
    const calls: string[] = [];
    const call = (name: string) => (calls.push(name), Promise.resolve());
    const entry = { id: `${job}.forward.1`, moveToDelayed: () => call('delayed'), promote: () => call('promoted') };
    await jobs.troubles.giveBack(entry, error);
    return calls;
  };
  for (const job of ['job-a', 'job-b', 'job-c'])
    assert.deepEqual(await giveBack(job, new Error('full')), ['delayed', 'promoted']);
  for (const job of ['job-d', 'job-gone']) assert.deepEqual(await giveBack(job, new Error('full')), ['delayed']);
  assert.deepEqual(await giveBack('job-b'), ['delayed']);
});

it('each queue has turns of its own, and one entry takes the turn that several would begin with', async () => {
  const jobs = newStore();
  await jobs.create(newJob('job-a', { tenant: 'a' }));
  const waiting = (queue: 'jobs' | 'chains' | 'tasks') => redis().zrange(`${jobs.keys.turns(queue)}a`, '0', '-1');
  assert.equal(await jobs.turns.takeOne('chains', 'job-a.chain.0.0'), 2);
  assert.deepEqual(await jobs.turns.take('tasks', ['job-a.1', 'job-a.2']), [2, 10]);
  assert.deepEqual(
    [await waiting('jobs'), await waiting('chains'), await waiting('tasks')],
    [[], ['job-a.chain.0.0'], ['job-a.1', 'job-a.2']],
  );
  // None of these was added to the queue, so none of them waits.
  await jobs.turns.takeOne('tasks', 'job-a.3');
  assert.deepEqual(await waiting('tasks'), ['job-a.3'], 'entries that wait no more are not kept');
});

it('when virtual time begins again no entry gets the priority of none, and parents keep their order', async () => {
  const jobs = newStore();
  await jobs.create(newJob('job-a', { tenant: 'a' }));
  const queue = jobs.keys.queue('tasks');
  const begin = 2 ** 20 + 1;
  const priorities = { 'job-a.old': 7, 'job-a.parent': begin + 50, 'job-a.first': 0 };
  for (const [id, priority] of Object.entries(priorities)) {
    await redis().hset(`${queue}:${id}`, 'priority', priority);
    await redis().zadd(`${queue}:waiting-children`, 1, id);
  }
  await redis().hset(jobs.keys.clock('tasks'), { now: begin, last: begin, 'tenant:a': begin + 8 });
  assert.equal(await jobs.turns.takeOne('tasks', 'job-a.new'), 8);
  const now = await Promise.all(Object.keys(priorities).map((id) => redis().hget(`${queue}:${id}`, 'priority')));
  assert.deepEqual(now, ['1', '50', '0']);
});

it('an entry that was taken up before waits since then, and clocks that disagree make no negative wait', async () => {
  const registry = new Registry();
  const now = Date.now();
  const entry = (timestamp: number, processedOn?: number, delay = 0) => ({ timestamp, processedOn, delay });
  const queueOf = (waiting: unknown[], prioritized: unknown[]) => ({
    getJobCounts: () =>
      Promise.resolve({ 'waiting-children': 0, waiting: 1, prioritized: 2, active: 3, delayed: 4, failed: 5 }),
    getMetrics: (kind: string) => Promise.resolve({ meta: { count: kind === 'completed' ? 7 : 8 } }),
    getWaiting: () => Promise.resolve(waiting),
    getPrioritized: () => Promise.resolve(prioritized),
  });
  const counts = { byState: new Map(), oldestRefreshWait: 0, oldestProgress: 0 };
  addClusterMetrics(registry, {
    redis: { status: 'ready' },
    jobs: {
      index: { counts: () => Promise.resolve({ ...counts, byState: new Map(JOB_STATES.map((state) => [state, 1])) }) },
      workers: { threads: () => Promise.resolve({ workers: 1, threads: 2, protocol: 1 }) },
      maintenance: { current: () => Promise.resolve({ on: false }) },
    },
    queues: {
      jobs: queueOf([], [entry(now - 500_000, now - 20_000)]),
      chains: queueOf([entry(now - 100_000, undefined, 60_000)], [entry(now - 10_000)]),
      tasks: queueOf([entry(now + 60_000)], []),
    },
  } as never);
  const text = await registry.metrics();
  const wait = (queue: string): number =>
    Number(new RegExp(`oldest_wait_seconds\\{queue="${queue}"\\} (\\S+)`).exec(text)?.[1]);
  const about = (value: number, expected: number): void => assert.ok(Math.abs(value - expected) < 5, String(value));
  about(wait('jobs'), 20);
  about(wait('chains'), 40);
  assert.equal(wait('tasks'), 0);
  assert.match(text, /blindfit_queue_completed_total\{queue="jobs"\} 7/);
  assert.match(text, /blindfit_queue_failed_total\{queue="jobs"\} 8/);
  assert.match(text, /blindfit_queue_jobs\{queue="jobs",state="delayed"\} 4/);
  assert.equal(at(text.match(/^blindfit_cluster_threads (\d)/m) ?? [], 1, 'matches'), '2');
});
