/** Workers of several releases in one list. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DelayedError } from 'bullmq';
import { giveBackNewer, logJobs } from '../src/index.ts';
import { newJob, newStore, redis } from './support.ts';

const NEW = {
  id: 'b',
  threads: 4,
  protocol: 2,
  host: 'node 1',
  version: '0.2.0',
  revision: '0123456789ab',
  evaluator: 'native (ifma)',
  store: 'store-1',
};

test('a worker is listed with all that it says of itself; one of the first release with its threads', async () => {
  const jobs = newStore();
  await jobs.workers.beat(NEW);
  await redis().zadd(jobs.keys.workers, Date.now(), 'a 3');
  assert.deepEqual(await jobs.workers.alive(), [{ id: 'a', threads: 3, protocol: 1 }, NEW]);
  assert.deepEqual(await jobs.workers.threads(), { workers: 2, threads: 7, protocol: 1 });
  const members = await redis().zrange(jobs.keys.workers, '0', '-1');
  for (const member of members) assert.match(member, /^[ab] [34]( |$)/, 'the first release reads this');
  await jobs.workers.retire(NEW);
  assert.deepEqual(await jobs.workers.alive(), [{ id: 'a', threads: 3, protocol: 1 }]);
});

test('a record says in whose form it is', async () => {
  const jobs = newStore();
  await jobs.create(newJob('job-current'));
  await jobs.create(newJob('job-newer', { protocol: 3 }));
  await jobs.create(newJob('job-first', { protocol: undefined }));
  const ids = ['job-current', 'job-newer', 'job-first', 'job-unknown'];
  assert.deepEqual(await Promise.all(ids.map((id) => jobs.isNewer(id))), [false, true, false, false]);
  const job = JSON.parse((await redis().hget(jobs.keys.job('job-current'), 'job')) ?? '{}') as { protocol?: number };
  assert.equal(job.protocol, 2);
});

test('an entry is given back when its name or its data tell of a newer protocol', async () => {
  const given = async (name: string, data: unknown): Promise<number | undefined> => {
    let number: number | undefined;
    const moved: (string | undefined)[] = [];
    const moveToDelayed = (_at: number, token?: string): Promise<void> => Promise.resolve(void moved.push(token));
    await giveBackNewer({ name, data, moveToDelayed }, 'lock', (protocol) => (number = protocol)).catch(
      (error: unknown) => assert.ok(error instanceof DelayedError),
    );
    assert.deepEqual(moved, number === undefined ? [] : ['lock']);
    return number;
  };
  assert.equal(await given('segment', { protocol: 3 }), 3);
  assert.equal(await given('tasks/4', {}), 4);
  assert.equal(await given('job', { protocol: 2 }), undefined);
  assert.equal(await given('job', {}), undefined);
  assert.equal(await given('tasks', undefined), undefined);
});

test('each change of a job is a line in the log of the process that made it', async () => {
  const jobs = newStore();
  const lines: unknown[][] = [];
  const log = (level: string) => (facts: object, message: string) => void lines.push([level, facts, message]);
  logJobs(jobs, { info: log('info'), error: log('error') });
  for (const id of ['job-a', 'job-b', 'job-c']) {
    await jobs.create(newJob(id));
    await jobs.start(id);
    await jobs.start(id);
  }
  const request = { id: 'r', chain: 0, iteration: 1, weights: 'w', since: new Date().toISOString() };
  await jobs.setChain('job-a', 0, undefined, { phase: 'awaiting', segment: 0, history: [], request } as never);
  const error = { code: 'HE_WIRE', message: 'a bad key' };
  await jobs.fail('job-a', error);
  await jobs.fail('job-a', error);
  await jobs.succeed('job-b', []);
  await jobs.cancel('job-c');
  assert.deepEqual(lines, [
    ...['job-a', 'job-b', 'job-c'].map((job) => ['info', { job }, 'job started']),
    ['info', { job: 'job-a', chain: 0 }, 'job waits for its owner'],
    ['error', { job: 'job-a', error }, 'job failed'],
    ['info', { job: 'job-b' }, 'job succeeded'],
    ['info', { job: 'job-c' }, 'job cancelled'],
  ]);
});
