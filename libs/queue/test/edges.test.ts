/** What services agree on about the queues, and edges of the records that no story of a job meets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JOB_OPTIONS, LOCKS, QUEUE_METRICS, TASK_OPTIONS } from '../src/index.ts';
import { jobsByState, newJob, newStore, record, redis } from './support.ts';

test('tasks fail their parents, are tried four times at growing intervals, and stay for a while', () => {
  const common = {
    removeOnComplete: { age: 3600, count: 2_000 },
    removeOnFail: { age: 86_400, count: 5_000 },
    attempts: 4,
    backoff: { type: 'exponential', delay: 500 },
  };
  assert.deepEqual(JOB_OPTIONS, common);
  assert.deepEqual(TASK_OPTIONS, { ...common, failParentOnFailure: true });
  assert.deepEqual(LOCKS, { lockDuration: 8_000, stalledInterval: 3_000, maxStalledCount: 8 });
  assert.deepEqual(QUEUE_METRICS, { maxDataPoints: 60 });
});

test('workers that were silent for half a minute do not count, and after an hour they are forgotten', async () => {
  const jobs = newStore();
  await jobs.workers.beat({ id: 'new', threads: 3, protocol: 2 });
  const now = Date.now();
  for (const [worker, age] of [
    ['recent', 25_000],
    ['silent', 35_000],
    ['gone', 3_650_000],
  ] as const)
    await redis().zadd(jobs.keys.workers, now - age, `${worker} 5`);
  assert.deepEqual(await jobs.workers.threads(), { workers: 2, threads: 8, protocol: 1 });
  const members = await redis().zrange(jobs.keys.workers, '0', '-1');
  assert.deepEqual(members.toSorted(), ['new 3 {"protocol":2}', 'recent 5', 'silent 5']);
  await jobs.workers.retire({ id: 'new', threads: 3, protocol: 2 });
  assert.deepEqual(await jobs.workers.threads(), { workers: 1, threads: 5, protocol: 1 });
});

test('the ends of jobs are told once, and only ends', async () => {
  const jobs = newStore();
  const ended: string[] = [];
  jobs.onEnd((id) => void ended.push(id));
  for (const id of ['job-a', 'job-b', 'job-c']) {
    await jobs.create(newJob(id));
    await jobs.start(id);
  }
  assert.deepEqual(ended, []);
  await jobs.succeed('job-a', ['m']);
  await jobs.fail('job-b', { code: 'X', message: 'y' });
  await jobs.cancel('job-c');
  await jobs.cancel('job-c');
  assert.deepEqual(ended, ['job-a', 'job-b', 'job-c']);
});

test('what a job results in is its tenant’s', async () => {
  const jobs = newStore();
  const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;
  await jobs.create(newJob('job-a', { tenant: 'one' }));
  await jobs.start('job-a');
  await jobs.succeed('job-a', [digest('a')], [[digest('b')]]);
  await jobs.create(newJob('job-p', { tenant: 'two' }));
  await jobs.start('job-p');
  await jobs.succeedPrediction('job-p', [[digest('c')]]);
  assert.deepEqual(await jobs.blobs.missing('one', ['a', 'b', 'c'].map(digest)), new Set([digest('c')]));
  assert.deepEqual(await jobs.blobs.missing('two', ['a', 'b', 'c'].map(digest)), new Set(['a', 'b'].map(digest)));
});

test('a job that has ended makes no progress any more, and clocks that differ make no age negative', async () => {
  const jobs = newStore();
  await jobs.create(newJob('job-a'));
  await jobs.start('job-a');
  const later = Date.now() + 60_000;
  await redis().zadd(jobs.keys.progress, later, 'job-a');
  await redis().zadd(jobs.keys.awaiting, later, 'job-a 0');
  const counts = await jobs.index.counts();
  assert.deepEqual([counts.oldestProgress, counts.oldestRefreshWait], [0, 0]);
  await redis().zadd(jobs.keys.progress, Date.now() - 60_000, 'job-a');
  assert.ok((await jobs.index.counts()).oldestProgress >= 60);
  await jobs.setIteration('job-a', 0, 1, 1);
  assert.ok((await jobs.index.counts()).oldestProgress < 30, 'an iteration is progress');
  await redis().zrem(jobs.keys.awaiting, 'job-a 0');
  await jobs.cancel('job-a');
  await jobs.setIteration('job-a', 0, 2, 0);
  await jobs.recordTask('job-a', 'backward.1', record('backward', later, later + 1, { pair: 0 }));
  assert.deepEqual(await redis().zrange(jobs.keys.progress, '0', '-1'), []);
  assert.equal((await jobs.index.counts()).oldestProgress, 0);
});

test('a job whose state changes while it is listed is left out', async (t) => {
  const jobs = newStore();
  await jobs.create(newJob('job-a'));
  await jobs.create(newJob('job-b'));
  const get = jobs.get.bind(jobs);
  t.mock.method(jobs, 'get', async (id: string) => {
    if (id === 'job-a') await jobs.cancel(id);
    return get(id);
  });
  assert.deepEqual(
    (await jobs.list(10, ['queued'])).map(({ id }) => id),
    ['job-b'],
  );
  assert.deepEqual(await jobsByState(jobs), { queued: 1, cancelled: 1 });
});
