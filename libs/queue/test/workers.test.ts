/** Workers of several releases in one list. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DelayedError } from 'bullmq';
import { giveBackNewer } from '../src/index.ts';
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
