/**
 * Figures over all jobs and of one, and the metrics made of them: right at every step, at a cost that does not grow
 * with the jobs.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { at } from '@blindfit/base';
import type { RefreshRequest } from '@blindfit/protocol';
import { addClusterMetrics, AWAITING, DONE, openQueue, type ChainRecord, type JobStore } from '../src/index.ts';
import { jobsByState, newJob, newStore, record, redis } from './support.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const requestOf = (chain: number, since = new Date()): RefreshRequest => ({
  id: String(chain).padStart(32, '0'),
  chain,
  iteration: 1,
  weights: digest,
  since: since.toISOString(),
});
const awaiting = (chain: number, since?: Date): ChainRecord => ({
  phase: AWAITING,
  segment: 0,
  history: [],
  request: requestOf(chain, since),
});
const answerTo = (chain: number): Parameters<JobStore['answerRefresh']>[1] => ({
  id: requestOf(chain).id,
  weights: digest,
  momentum: digest,
  signature: '0'.repeat(128),
});

test('counts by state follow every change, and the oldest waits those who wait', async () => {
  const jobs = newStore();
  const counts = (): Promise<Record<string, number>> => jobsByState(jobs);
  const waits = async (): Promise<[boolean, boolean]> => {
    const { oldestRefreshWait, oldestProgress } = await jobs.index.counts();
    return [oldestRefreshWait > 0, oldestProgress > 0];
  };
  const later = (): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual([await counts(), await waits()], [{}, [false, false]]);
  for (const id of ['job-a', 'job-b']) await jobs.create(newJob(id));
  assert.equal(await jobs.create(newJob('job-a')), false);
  await later();
  assert.deepEqual(
    [await counts(), await waits()],
    [{ queued: 2 }, [false, false]],
    'who is queued makes no progress, and is not expected to',
  );
  await jobs.start('job-a');
  await later();
  assert.deepEqual([await counts(), await waits()], [{ queued: 1, running: 1 }, [false, true]]);
  await jobs.recordTask('job-a', 'job-a.forward.1', record('forward', 0, 1000));
  assert.ok((await jobs.index.counts()).oldestProgress < 10);

  await jobs.setChain('job-a', 0, undefined, awaiting(0));
  await later();
  assert.deepEqual(
    [await counts(), await waits()],
    [{ queued: 1, running: 1 }, [true, true]],
    'one chain waits, the other runs',
  );
  await jobs.setChain('job-a', 1, undefined, awaiting(1));
  assert.deepEqual([await counts(), await waits()], [{ queued: 1, 'awaiting-refresh': 1 }, [true, false]]);
  // A task that ends late does not make a job that waits, or is over, one that is expected to go on.
  await jobs.recordTask('job-a', 'job-a.forward.2', record('forward', 0, 1000));
  assert.deepEqual(await waits(), [true, false]);
  const taken: number[] = [];
  for (let i = 0; i < 2; i++) await jobs.answerRefresh('job-a', answerTo(0), (waited) => void taken.push(waited));
  assert.deepEqual(taken.map(Number.isFinite), [true], 'an answer that is repeated is taken once');
  assert.deepEqual([await counts(), await waits()], [{ queued: 1, running: 1 }, [true, (await waits())[1]]]);
  await jobs.answerRefresh('job-a', answerTo(1), (waited) => void taken.push(waited));
  assert.ok(taken.length === 2 && taken.every((seconds) => seconds > 0 && seconds < 60), String(taken));
  assert.equal((await waits())[0], false);
  await jobs.setChain('job-a', 0, (await jobs.chains('job-a'))[0], { phase: DONE, segment: 1, history: [] });

  await jobs.succeed('job-a', [digest]);
  await jobs.recordTask('job-a', 'job-a.forward.3', record('forward', 0, 1000));
  await jobs.cancel('job-b');
  assert.equal(await jobs.fail('job-b', { code: 'JOB_FAILED', message: 'too late' }), false);
  assert.deepEqual([await counts(), await waits()], [{ succeeded: 1, cancelled: 1 }, [false, false]]);
  const { states, awaiting: open, progress } = jobs.keys;
  assert.deepEqual(
    [await redis().zcard(states), await redis().exists(open), await redis().exists(progress)],
    [2, 0, 0],
  );
});

test('a job that is cancelled while it waits is waited for no longer', async () => {
  const jobs = newStore();
  await jobs.create(newJob('job-a', { chains: 1 }));
  await jobs.start('job-a');
  await jobs.setChain('job-a', 0, undefined, awaiting(0));
  await jobs.cancel('job-a');
  assert.equal((await jobs.index.counts()).oldestRefreshWait, 0);
  assert.equal((await jobs.figures('job-a'))?.awaitingSeconds, 0);
});

test('records of a version that kept no sets are counted', async () => {
  const jobs = newStore();
  for (const id of ['job-a', 'job-b', 'job-c', 'job-d']) await jobs.create(newJob(id, { chains: 1 }));
  for (const id of ['job-a', 'job-b', 'job-d']) await jobs.start(id);
  await jobs.fail('job-a', { code: 'JOB_FAILED', message: 'of itself' });
  await jobs.setChain('job-d', 0, undefined, awaiting(0));
  const { states, awaiting: open, progress } = jobs.keys;
  await redis().del(states, open, progress);
  assert.deepEqual(await jobsByState(jobs), {
    queued: 1,
    running: 1,
    'awaiting-refresh': 1,
    failed: 1,
  });
  assert.deepEqual(
    [await redis().zrange(open, '0', '-1'), await redis().zrange(progress, '0', '-1')],
    [['job-d'], ['job-b']],
  );
  assert.deepEqual((await jobs.index.recent(0, 10)).at(-1), 'job-a');
});

test('recent jobs: those that stand longest first, then the newest, no more than asked for', async () => {
  const jobs = newStore();
  const ids = Array.from({ length: 6 }, (_, i) => `job-${i}`);
  for (const id of ids) {
    await jobs.create(newJob(id));
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
  await jobs.cancel('job-5');
  await new Promise((resolve) => setTimeout(resolve, 3));
  const between = Date.now();
  await new Promise((resolve) => setTimeout(resolve, 3));
  await jobs.start('job-3');
  await jobs.fail('job-3', { code: 'JOB_FAILED', message: 'of itself' });
  await jobs.start('job-1');
  await new Promise((resolve) => setTimeout(resolve, 3));
  await jobs.start('job-4');
  assert.deepEqual(await jobs.index.recent(0, 100), ['job-1', 'job-4', 'job-2', 'job-0', 'job-3', 'job-5']);
  assert.deepEqual(await jobs.index.recent(between, 100), ['job-1', 'job-4', 'job-2', 'job-0', 'job-3']);
  assert.deepEqual(await jobs.index.recent(0, 2), ['job-1', 'job-4']);
});

test('figures of one job: tasks by kind, refreshes, operations', async () => {
  const jobs = newStore();
  assert.equal(await jobs.figures('job-a'), undefined);
  await jobs.create(newJob('job-a'));
  await jobs.start('job-a');
  const now = Date.now();
  await jobs.recordTask('job-a', 'f1', record('forward', now, now + 1500));
  for (let i = 0; i < 2; i++)
    await jobs.recordTask('job-a', 'f2', record('forward', now, now + 500, { loadKeysSeconds: 0.25 }));
  await jobs.recordTask('job-a', 's', record('step', now, now + 10));
  await jobs.setChain('job-a', 0, undefined, awaiting(0, new Date(now - 5000)));
  const open = await jobs.figures('job-a');
  assert.ok(
    open !== undefined && open.awaitingSeconds >= 5 && open.awaitingSeconds < 60,
    String(open?.awaitingSeconds),
  );
  await jobs.answerRefresh('job-a', answerTo(0));
  const figures = await jobs.figures('job-a');
  assert.deepEqual(figures?.tasks, [
    { kind: 'forward', done: 2, seconds: 2, slowest: 1.5 },
    { kind: 'step', done: 1, seconds: 0.01, slowest: 0.01 },
  ]);
  assert.deepEqual(figures.operations, {
    rotations: 30,
    relinearisations: 3,
    multiplications: 6,
    plainMultiplications: 9,
    rescales: 12,
  });
  assert.deepEqual([figures.refreshes, figures.awaitingSeconds, figures.refreshSeconds < 60], [1, 0, true]);
});

test('a scrape takes as many commands with 1000 jobs as with 10', async () => {
  const jobs = newStore();
  const prefix = at(jobs.keys.states.split(':'), 0, 'parts of a key');
  const queue = openQueue('tasks', redis(), prefix);
  const registry = new Registry();
  addClusterMetrics(registry, { redis: redis(), jobs, queues: { tasks: queue } });
  const seed = async (from: number, to: number): Promise<void> => {
    await Promise.all(
      Array.from({ length: to - from }, async (_, i) => {
        const id = `job-${from + i}`;
        await jobs.create(newJob(id));
        if (i % 3 > 0) await jobs.start(id);
        if (i % 3 > 1) await jobs.cancel(id);
        await queue.add('task', {}, { jobId: id });
      }),
    );
  };
  const calls = async (): Promise<number> => {
    await redis().config('RESETSTAT');
    const text = await registry.metrics();
    const stats = await redis().info('commandstats');
    assert.match(text, /^blindfit_jobs\{state="queued"\} \d+$/m);
    // Also what scripts call counts here.
    return Array.from(stats.matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm))
      .filter(([, name]) => name !== 'info' && name !== 'config|resetstat')
      .reduce((sum, [, , count]) => sum + Number(count), 0);
  };
  await seed(0, 10);
  await calls();
  const few = await calls();
  await seed(10, 1000);
  assert.equal(await calls(), few);
  assert.ok(few > 10 && few < 60, String(few));
  const text = await registry.metrics();
  const sample = (name: string): number =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.split(' ')
        .at(-1),
    );
  assert.equal(sample('blindfit_queue_jobs{queue="tasks",state="waiting"}'), 1000);
  assert.equal(
    sample('blindfit_jobs{state="queued"}') +
      sample('blindfit_jobs{state="running"}') +
      sample('blindfit_jobs{state="cancelled"}'),
    1000,
  );
  assert.ok(sample('blindfit_queue_oldest_wait_seconds{queue="tasks"}') > 0);
  assert.equal(sample('blindfit_queue_completed_total{queue="tasks"}'), 0);
  await queue.close();
});
