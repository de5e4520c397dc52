import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Tenants } from '../src/index.ts';
import { newJob, newStore, record, redis } from './support.ts';

const DEFAULTS = { runningJobs: 2, jobs: 4, bytes: undefined, computeSeconds: undefined };

it('usage counts the jobs, bytes and thread seconds of one tenant, against its limits', async () => {
  const jobs = newStore();
  const tenants = new Tenants(redis(), jobs.keys, jobs.index, DEFAULTS);
  for (const [id, tenant] of [
    ['job-1', 'a'],
    ['job-2', 'a'],
    ['job-3', 'a'],
    ['job-4', 'b'],
  ] as const)
    await jobs.create(newJob(id, { tenant }));
  assert.equal(await jobs.start('job-1', 2), 'started');
  await jobs.cancel('job-3');
  await jobs.blobs.add('a', ['x', 'y'], 100);
  await jobs.blobs.add('a', ['x'], 100);
  await jobs.blobs.add('b', ['x'], 7);
  const now = Date.now();
  await jobs.recordTask('job-1', 'job-1.forward.1', record('forward', now - 2500, now));
  await jobs.recordTask('job-1', 'job-1.forward.1', record('forward', now - 2500, now));
  await jobs.recordTask('job-4', 'job-4.forward.1', record('forward', now - 500, now));
  const usage = await tenants.usage('a');
  const day = usage.computeSeconds.day;
  assert.match(day, /^\d{4}-\d{2}-\d{2}$/);
  assert.deepEqual(usage, {
    tenant: 'a',
    weight: 1,
    jobs: { used: 2, limit: 4 },
    runningJobs: { used: 1, limit: 2 },
    bytes: { used: 100 },
    computeSeconds: { used: 2.5, day },
  });
  assert.equal((await tenants.usage('a', now - 2 * 86_400_000)).computeSeconds.used, 0, 'another day');
  assert.equal((await tenants.usage('b')).computeSeconds.used, 0.5);

  await tenants.set('a', { weight: 2, runningJobs: 5, bytes: 200, computeSeconds: 60 });
  const { weight, runningJobs, bytes, computeSeconds, jobs: open } = await tenants.usage('a');
  assert.deepEqual([weight, runningJobs.limit, bytes.limit, computeSeconds.limit, open.limit], [2, 5, 200, 60, 4]);
  assert.deepEqual(await tenants.names(), ['a', 'b', 'default']);
  await jobs.blobs.setBytes(new Map([['a', 30]]));
  assert.equal((await tenants.usage('a')).bytes.used, 30);
});

it('so many jobs of a tenant run, those of others notwithstanding', async () => {
  const jobs = newStore();
  for (const [id, tenant] of [
    ['job-1', 'a'],
    ['job-2', 'a'],
    ['job-3', 'a'],
    ['job-4', 'b'],
  ] as const)
    await jobs.create(newJob(id, { tenant }));
  assert.equal(await jobs.start('job-1', 2), 'started');
  assert.equal(await jobs.start('job-4', 1), 'started');
  assert.equal(await jobs.start('job-2', 2), 'started');
  assert.equal(await jobs.start('job-3', 2), 'full');
  assert.equal(await jobs.state('job-3'), 'queued');
  assert.equal(await jobs.start('job-1', 2), 'unchanged', 'whatever the limit is');
  await jobs.cancel('job-1');
  assert.equal(await jobs.start('job-3', 2), 'started');
});
