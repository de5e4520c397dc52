/** Finished jobs are removed with their data, at their owner's wish, and nothing that others need. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDigest, required } from '@blindfit/base';
import { cancelStatement, purgeStatement, type JobView, type MadeToken } from '@blindfit/protocol';
import { jobOf, problemOf } from './answers.ts';
import { inputsOf } from './collecting.ts';
import { makeJob, OWNER, putBlob, startService, type Service } from './service.ts';
import { randomBlob } from './support.ts';

const purge = (service: Service, id: string, headers: Record<string, string> = {}): Promise<Response> =>
  service.call(`/v1/jobs/${id}?purge=true`, { method: 'DELETE', headers });

const has = async ({ store }: Service, digest: string): Promise<boolean> =>
  (await store.has(parseDigest(digest))) !== undefined;

const result = ({ store }: Service): Promise<string> => putBlob(store, randomBlob(300).bytes);

async function ended(service: Service, job: JobView): Promise<string> {
  const model = await result(service);
  await service.jobs.succeed(job.id, [model]);
  return model;
}

test('a purged job goes with its record, results and inputs, but for what other jobs name', async (t) => {
  const service = await startService(t);
  const [{ manifest }, other] = [
    await makeJob(service.store),
    await makeJob(service.store, {}, { samples: 90, features: 5, classes: 2 }),
  ];
  // Both jobs have one key.
  const shared = manifest.blobs.relinearisationKey;
  other.manifest.blobs.relinearisationKey = shared;
  const job = await jobOf(await service.submit(manifest), 201);
  const neighbour = await jobOf(await service.submit(other.manifest), 201);
  const unfinished = await problemOf(await purge(service, job.id), 409, 'JOB_NOT_FINISHED');
  assert.match(unfinished.hint ?? '', /blindfit cancel job-/);
  const model = await ended(service, job);
  await service.jobs.recordTask(job.id, 'x', {
    kind: 'forward',
    iteration: 1,
    operations: { rotations: 0, relinearisations: 0, multiplications: 0, plainMultiplications: 0, rescales: 0 },
    startedAt: 0,
    finishedAt: 1,
    loadKeysSeconds: 0,
  });
  const last = await jobOf(await purge(service, job.id), 200);
  assert.deepEqual([last.id, last.state], [job.id, 'succeeded']);

  await problemOf(await service.call(`/v1/jobs/${job.id}`), 404, 'JOB_NOT_FOUND');
  await problemOf(await purge(service, job.id), 404, 'JOB_NOT_FOUND');
  assert.deepEqual(await service.redis.keys(`*${job.id}*`), []);
  assert.deepEqual(
    (await service.jobs.list(9)).map(({ id }) => id),
    [neighbour.id],
  );
  const inputs = inputsOf(manifest).filter((digest) => digest !== shared);
  for (const digest of [model, job.manifest, ...inputs]) {
    assert.equal(await has(service, digest), false, digest);
    assert.equal(await service.jobs.blobs.has('default', digest), false, digest);
  }
  for (const digest of [neighbour.manifest, ...inputsOf(other.manifest)])
    assert.equal(await has(service, digest), true);
  await service.jobs.cancel(neighbour.id);
  await jobOf(await purge(service, neighbour.id), 200);
  assert.equal(await has(service, shared), false, 'the last one that named it is gone');
});

test('what a client has asked about since, and what an unreadable manifest may name, stays', async (t) => {
  const service = await startService(t);
  const { manifest } = await makeJob(service.store);
  const job = await jobOf(await service.submit(manifest), 201);
  const model = await ended(service, job);
  await service.redis.hset(service.jobs.keys.job(job.id), 'createdAt', Date.now() - 300_000);
  const [asked = ''] = inputsOf(manifest);
  await service.call(`/v1/blobs/${asked}`, { method: 'HEAD' });
  await jobOf(await purge(service, job.id), 200);
  assert.deepEqual([await has(service, asked), await has(service, model)], [true, false]);

  const [first, second] = [
    await jobOf(await service.submit((await makeJob(service.store)).manifest), 201),
    await jobOf(await service.submit((await makeJob(service.store)).manifest), 201),
  ];
  const own = await ended(service, first);
  await service.store.delete(parseDigest(second.manifest));
  await jobOf(await purge(service, first.id), 200);
  assert.equal(await has(service, own), true);
  assert.equal(await service.jobs.get(first.id), undefined);
});

test('beside a Redis that has lost its data nothing is purged until the store is adopted', async (t) => {
  const service = await startService(t);
  const { manifest } = await makeJob(service.store);
  const job = await jobOf(await service.submit(manifest), 201);
  const model = await ended(service, job);
  const key = service.jobs.keys.store;
  const bound = required((await service.redis.get(key)) ?? undefined, 'the binding');
  await service.redis.set(key, bound.replace('"bound"', '"found"'));
  await problemOf(await purge(service, job.id), 409, 'STORE_UNCONFIRMED');
  assert.equal((await service.jobs.get(job.id))?.state, 'succeeded');
  for (const digest of [model, ...inputsOf(manifest)]) assert.equal(await has(service, digest), true, digest);
  await service.redis.set(key, bound);
  await jobOf(await purge(service, job.id), 200);
});

test('only its owner or an operator purges a job, with a signature for this', async (t) => {
  const service = await startService(t);
  const made = await service.call('/v1/tokens', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ tenant: 'default', scopes: ['submit', 'read', 'cancel', 'blobs'] }),
  });
  const authorization = `Bearer ${((await made.json()) as MadeToken).token}`;
  const job = await jobOf(await service.submit((await makeJob(service.store)).manifest), 201);
  await ended(service, job);
  for (const signature of [undefined, '0'.repeat(128), OWNER.sign(cancelStatement(job))]) {
    const headers = { authorization, ...(signature !== undefined && { 'blindfit-signature': signature }) };
    await problemOf(await purge(service, job.id, headers), 403, 'NOT_SIGNED_BY_OWNER');
  }
  const stranger = await service.call('/v1/tokens', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ tenant: 'another', scopes: ['submit', 'read', 'cancel', 'blobs'] }),
  });
  const strangers = {
    authorization: `Bearer ${((await stranger.json()) as MadeToken).token}`,
    'blindfit-signature': OWNER.sign(purgeStatement(job)),
  };
  await problemOf(await purge(service, job.id, strangers), 404, 'JOB_NOT_FOUND');
  const other = { id: 'job-000000000000000000000000', manifest: job.manifest };
  const signedFor = (act: string): Record<string, string> => ({ authorization, 'blindfit-signature': act });
  await problemOf(
    await purge(service, job.id, signedFor(OWNER.sign(purgeStatement(other)))),
    403,
    'NOT_SIGNED_BY_OWNER',
  );
  await jobOf(await purge(service, job.id, signedFor(OWNER.sign(purgeStatement(job)))), 200);
});
