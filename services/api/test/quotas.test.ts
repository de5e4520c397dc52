/** Usage, limits and settings of tenants, over HTTP. */
import assert from 'node:assert/strict';
import { statfs } from 'node:fs/promises';
import { test } from 'node:test';
import { digestOf, required } from '@blindfit/base';
import type { MadeToken, TenantSettings, Usage } from '@blindfit/protocol';
import { JOB_FACTS, temporaryDirectory } from '@blindfit/testkit';
import { StoreReserve } from '../src/reserve.ts';
import { jobOf, problemOf } from './answers.ts';
import { makeJob, startService, type Service } from './service.ts';

const json = { 'content-type': 'application/json' };

async function allow(service: Service, tenant: string, settings: TenantSettings): Promise<Usage> {
  const response = await service.call(`/v1/tenants/${tenant}`, {
    method: 'PUT',
    headers: json,
    body: JSON.stringify(settings),
  });
  assert.equal(response.status, 200);
  return (await response.json()) as Usage;
}

test('quotas refuse jobs and blobs, and say what is used and allowed; operators set them', async (t) => {
  const service = await startService(t, { tenantDefaults: { runningJobs: 16, jobs: 2 } });
  const { manifest } = await makeJob(service.store);
  const first = await jobOf(await service.submit(manifest, 'one'), 201);
  await jobOf(await service.submit(manifest), 201);
  const refusal = await problemOf(await service.submit(manifest), 403, 'QUOTA_JOBS');
  assert.match(refusal.detail, /2 jobs of the tenant default have not ended, and 2 may be there/);
  await jobOf(await service.submit(manifest, 'one'), 200);
  await service.jobs.cancel(first.id);
  await jobOf(await service.submit(manifest), 201);

  const set = await allow(service, 'default', { jobs: 9, computeSeconds: 5, bytes: 1_000_000 });
  assert.deepEqual([set.jobs, set.computeSeconds.limit], [{ used: 2, limit: 9 }, 5]);
  assert.ok(set.bytes.used > 0, 'the manifests');
  const [running] = await service.jobs.list(1);
  const now = Date.now();
  await service.jobs.recordTask(required(running, 'a job').id, 'x', {
    kind: 'forward',
    iteration: 1,
    operations: { rotations: 0, relinearisations: 0, multiplications: 0, plainMultiplications: 0, rescales: 0 },
    startedAt: now - 5000,
    finishedAt: now,
    loadKeysSeconds: 0,
  });
  const computed = await problemOf(await service.submit(manifest), 403, 'QUOTA_COMPUTE');
  assert.match(computed.detail, /5 seconds of threads on \d{4}-\d\d-\d\d \(UTC\), and 5 are allowed/);

  const put = (bytes: Uint8Array<ArrayBuffer>): Promise<Response> =>
    service.call(`/v1/blobs/${digestOf(bytes)}`, { method: 'PUT', body: bytes });
  const { bytes } = await allow(service, 'default', { bytes: set.bytes.used + 1000 });
  assert.equal((await put(new Uint8Array(1000).fill(1))).status, 201);
  await problemOf(await put(new Uint8Array([2])), 403, 'QUOTA_BYTES');
  assert.equal((await put(new Uint8Array(1000).fill(1))).status, 200, 'what is stored is not counted again');
  assert.equal(((await (await service.call('/v1/usage')).json()) as Usage).bytes.used, bytes.used + 1000);
});

test('usage is that of the token’s tenant; settings are for operators, and checked', async (t) => {
  const service = await startService(t);
  const made = await service.call('/v1/tokens', {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ tenant: 'other', scopes: ['read', 'submit'] }),
  });
  const { token } = (await made.json()) as MadeToken;
  const as = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(service.url + path, { ...init, headers: { ...json, authorization: `Bearer ${token}` } });
  const usage = (await (await as('/v1/usage')).json()) as Usage;
  assert.deepEqual([usage.tenant, usage.weight, usage.jobs], ['other', 1, { used: 0, limit: 1000 }]);
  assert.equal((await as('/v1/tenants')).status, 403);
  assert.equal((await as('/v1/tenants/other', { method: 'PUT', body: '{"weight": 9}' })).status, 403);
  assert.equal((await allow(service, 'other', { weight: 2 })).weight, 2);
  const all = (await (await service.call('/v1/tenants')).json()) as { tenants: Usage[] };
  assert.deepEqual(
    all.tenants.map(({ tenant, weight }) => [tenant, weight]),
    [
      ['default', 1],
      ['other', 2],
    ],
  );
  for (const body of ['{"weight": 0}', '{"weight": 101}', '{"jobs": -1}', '{"weigth": 1}', '{"runningJobs": 0}', '[]'])
    await problemOf(
      await service.call('/v1/tenants/other', { method: 'PUT', headers: json, body }),
      400,
      'INVALID_REQUEST',
    );
});

test('a job has a priority among those of its tenant', async (t) => {
  const service = await startService(t);
  const { manifest } = await makeJob(service.store);
  const submit = (query: string): Promise<Response> =>
    service.call(`/v1/jobs${query}`, { method: 'POST', headers: json, body: JSON.stringify(manifest) });
  const low = await jobOf(await submit('?priority=low'), 201);
  const high = await jobOf(await submit('?priority=high'), 201);
  assert.deepEqual([low.priority, high.priority], ['low', 'high']);
  assert.equal((await jobOf(await submit(''), 201)).priority, undefined);
  const order = await service.queue.getJobs(['prioritized'], 0, -1, true);
  assert.equal(order[0]?.id, high.id);
  assert.match(
    (await problemOf(await submit('?priority=urgent'), 400, 'INVALID_REQUEST')).detail,
    /allowed: low, normal, high/,
  );
});

test('what is new is refused when the room is for running jobs; owners whose jobs wait for them go on', async (t) => {
  const directory = await temporaryDirectory(t);
  const { bavail, bsize } = await statfs(directory);
  const more = { bytes: 2 * bavail * bsize };
  const service = await startService(t, { reserve: more });
  const { manifest } = await makeJob(service.store);
  const refusal = await problemOf(await service.submit(manifest), 507, 'STORE_RESERVE');
  assert.match(refusal.detail, /has \d+ MiB left, and \d+ MiB are kept for jobs that run/);
  assert.match(refusal.hint ?? '', /purge/);
  const bytes = new Uint8Array(1000).fill(7);
  const put = (headers: Record<string, string> = {}): Promise<Response> =>
    service.call(`/v1/blobs/${digestOf(bytes)}`, { method: 'PUT', headers, body: bytes });
  await problemOf(await put(), 507, 'STORE_RESERVE');
  await service.jobs.create({ id: 'job-x', ...JOB_FACTS, tenant: 'another' });
  await service.redis.zadd(service.jobs.keys.awaiting, 1, 'job-x');
  await problemOf(await put(), 507, 'STORE_RESERVE');
  assert.equal((await put({ 'blindfit-scope': 'work' })).status, 201, 'results of services');
  await service.jobs.create({ id: 'job-y', ...JOB_FACTS });
  await service.redis.zadd(service.jobs.keys.awaiting, 2, 'job-y');
  assert.equal((await put()).status, 201);
});

test('a reserve in percent is of the file system, and at most 20 GiB', async (t) => {
  const root = await temporaryDirectory(t);
  const { bavail, blocks, bsize } = await statfs(root);
  const index = { awaitsOwner: () => Promise.resolve(false) };
  const [free, size] = [bavail * bsize, blocks * bsize];
  const refused = (percent: number, bytes: number): Promise<boolean> =>
    new StoreReserve(root, { percent }).assertRoom(index, 'default', bytes).then(
      () => false,
      () => true,
    );
  const tenth = Math.min(20 * 2 ** 30, size / 10);
  // Other programs write to the disk meanwhile.
  const margin = 2 ** 30;
  assert.equal(await refused(10, free - tenth - margin), false);
  assert.equal(await refused(10, free - tenth + margin), true);
  await new StoreReserve(undefined, { percent: 99 }).assertRoom(index, 'default', 2 ** 60);
  const away = new StoreReserve(`${root}/away`, { percent: 10 }).assertRoom(index, 'default', 1);
  await assert.rejects(away, { code: 'STORE_UNAVAILABLE' });
});
