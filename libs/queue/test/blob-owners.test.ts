import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newJob, newStore, redis } from './support.ts';

const digest = (number: number): string => `sha256:${String(number).padStart(64, '0')}`;

describe('blobs', () => {
  it('belong to those tenants that have them, until they leave the store', async () => {
    const { blobs } = newStore();
    await blobs.add('a', [digest(1), digest(2)]);
    await blobs.add('b', [digest(2)]);
    await blobs.add('c', []);
    assert.deepEqual([await blobs.has('a', digest(1)), await blobs.has('b', digest(1))], [true, false]);
    assert.deepEqual(await blobs.missing('b', [digest(1), digest(2), digest(3)]), new Set([digest(1), digest(3)]));
    await blobs.remove(digest(2));
    assert.deepEqual([await blobs.has('a', digest(2)), await blobs.has('b', digest(2))], [false, false]);
    assert.equal(await blobs.has('a', digest(1)), true);
  });

  it('are asked for in batches, each in its place', async () => {
    const { blobs } = newStore();
    const all = Array.from({ length: 2500 }, (_, number) => digest(number));
    const absent = [0, 999, 1000, 2499].map(digest);
    await blobs.add(
      'a',
      all.filter((each) => !absent.includes(each)),
    );
    assert.deepEqual(await blobs.missing('a', all), new Set(absent));
  });

  it('are to be adopted once, and only when the first job is from before there were tenants', async () => {
    const fresh = newStore();
    assert.equal(await fresh.blobs.areToBeAdopted(), false, 'a Redis that is new, or has lost its data');
    await fresh.create(newJob('job-a'));
    assert.equal(await fresh.blobs.areToBeAdopted(), false, 'the first job has a tenant');

    const upgraded = newStore();
    await upgraded.create(newJob('job-a'));
    await redis().hdel(upgraded.keys.job('job-a'), 'tenant');
    await upgraded.create(newJob('job-b'));
    assert.equal(await upgraded.blobs.areToBeAdopted(), true);
    await upgraded.blobs.setKept();
    assert.equal(await upgraded.blobs.areToBeAdopted(), false);
  });
});
