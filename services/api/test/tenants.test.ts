/** Tokens, tenants and the audit log of a whole API; what it adopts and how its settings reach it. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { at } from '@blindfit/base';
import type { MadeToken, Scope } from '@blindfit/protocol';
import { createLogger } from '@blindfit/service';
import { readConfig } from '@blindfit/service/settings';
import { JOB_FACTS, temporaryDirectory, until } from '@blindfit/testkit';
import { expectedBlobs, planOf } from '@blindfit/training';
import { predictionModel } from '../src/prediction-model.ts';
import { SCOPE_RULES } from '../src/scopes.ts';
import { api } from '../src/service.ts';
import { startApi } from '../src/start.ts';
import { jobOf, problemOf } from './answers.ts';
import { BEARER, makeJob, sharedRedis, startService, TOKEN, type Service } from './service.ts';
import { randomBlob } from './support.ts';

test('every route asks for these scopes', () => {
  assert.deepEqual(SCOPE_RULES, {
    'GET /v1/version': ['submit', 'read', 'cancel', 'blobs', 'metrics', 'operate', 'work'],
    'PUT /v1/blobs/:digest': ['blobs', 'work'],
    'HEAD /v1/blobs/:digest': ['blobs', 'work'],
    'GET /v1/blobs/:digest': ['blobs', 'work'],
    'POST /v1/jobs': ['submit'],
    'GET /v1/jobs': ['read', 'operate'],
    'GET /v1/jobs/:id': ['read', 'operate'],
    'GET /v1/jobs/:id/events': ['read', 'operate'],
    'GET /v1/jobs/events': ['read', 'operate'],
    'GET /v1/jobs/:id/result': ['read'],
    'POST /v1/jobs/:id/refresh': ['submit'],
    'POST /v1/jobs/:id/retry': ['submit', 'operate'],
    'DELETE /v1/jobs/:id': ['cancel', 'operate'],
    'GET /v1/maintenance': ['read', 'submit', 'operate'],
    'PUT /v1/maintenance': ['operate'],
    'GET /v1/cluster': ['read', 'submit', 'operate'],
    'GET /v1/usage': ['read', 'submit', 'operate'],
    'GET /v1/store': ['work', 'operate'],
    'GET /v1/tenants': ['operate'],
    'PUT /v1/tenants/:tenant': ['operate'],
    'GET /v1/tokens': ['operate'],
    'POST /v1/tokens': ['operate'],
    'DELETE /v1/tokens/:id': ['operate'],
    'GET /metrics': ['metrics', 'operate'],
    'GET /metrics/jobs': ['metrics', 'operate'],
    'GET /metrics/jobs/:id': ['metrics', 'operate'],
  });
});

/** Asks as one tenant, with a token that the API has made. */
async function tokenOf(service: Service, tenant: string, scopes: readonly Scope[]): Promise<MadeToken> {
  const response = await service.call('/v1/tokens', {
    method: 'POST',
    body: JSON.stringify({ tenant, scopes }),
    headers: { 'content-type': 'application/json' },
  });
  assert.equal(response.status, 201);
  return (await response.json()) as MadeToken;
}

async function auditOf(path: string): Promise<unknown[]> {
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
  return lines.map((line) => {
    const { time, address, ...entry } = JSON.parse(line) as Record<string, unknown>;
    assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 600_000);
    assert.equal(address, '127.0.0.1');
    return entry;
  });
}

const submission = (manifest: unknown, token: string, key: string) => ({
  method: 'POST',
  body: JSON.stringify(manifest),
  headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'idempotency-key': key },
});

test('jobs are those of the tenant, whoever uses the same key, and what was done is in the audit log', async (t) => {
  const path = join(await temporaryDirectory(t), 'audit.log');
  const service = await startService(t, { auditLog: path });
  const { manifest } = await makeJob(service.store);
  const digests = expectedBlobs(planOf(manifest)).map(({ digest }) => digest);
  const a = await tokenOf(service, 'a', ['submit', 'read', 'cancel', 'blobs']);
  const b = await tokenOf(service, 'b', ['submit', 'read', 'cancel', 'blobs']);
  const as = (token: string, url: string, method = 'GET') =>
    service.call(url, { method, headers: { authorization: `Bearer ${token}` } });

  const { signer: _signer, ...unsigned } = manifest;
  const refused = await problemOf(
    await service.call('/v1/jobs', submission(unsigned, TOKEN, 'u')),
    422,
    'INVALID_MANIFEST',
  );
  assert.match(refused.detail, /names no signer/);
  const worker = await tokenOf(service, 'workers', ['work']);
  for (const method of ['HEAD', 'GET'])
    assert.equal(
      (await as(worker.token, `/v1/blobs/${at(digests, 0, 'digests')}`, method)).status,
      200,
      'of any tenant',
    );

  const missing = await service.call('/v1/jobs', submission(manifest, a.token, 'k'));
  await problemOf(missing, 422, 'BLOBS_MISSING');
  for (const tenant of ['a', 'b']) await service.jobs.blobs.add(tenant, digests);
  const first = await jobOf(await service.call('/v1/jobs', submission(manifest, a.token, 'k')), 201);
  const again = await jobOf(await service.call('/v1/jobs', submission(manifest, a.token, 'k')), 200);
  const other = await jobOf(await service.call('/v1/jobs', submission(manifest, b.token, 'k')), 201);
  assert.equal(again.id, first.id);
  assert.notEqual(other.id, first.id);
  assert.deepEqual([first.tenant, other.tenant], ['a', 'b']);
  // The manifest is the tenant's as well: it can be read again.
  assert.equal((await as(a.token, `/v1/blobs/${first.manifest}`)).status, 200);
  const metrics = await (await service.call('/metrics')).text();
  assert.match(metrics, /^blindfit_jobs_submitted_total\{kind="train"\} 2$/m, 'a repetition counts no more');

  const url = `/v1/jobs/${first.id}`;
  for (const suffix of ['', '/events', '/result'])
    await problemOf(await as(b.token, url + suffix), 404, 'JOB_NOT_FOUND');
  await problemOf(await as(b.token, url, 'DELETE'), 404, 'JOB_NOT_FOUND');
  await problemOf(await as(a.token, url, 'DELETE'), 403, 'NOT_SIGNED_BY_OWNER');
  const forged = { authorization: `Bearer ${a.token}`, 'blindfit-signature': '0'.repeat(128) };
  await problemOf(await service.call(url, { method: 'DELETE', headers: forged }), 403, 'NOT_SIGNED_BY_OWNER');
  const listed = async (token: string): Promise<string[]> =>
    ((await (await as(token, '/v1/jobs')).json()) as { jobs: { id: string }[] }).jobs.map(({ id }) => id).sort();
  assert.deepEqual(await listed(a.token), [first.id]);
  assert.deepEqual(await listed(TOKEN), [first.id, other.id].sort());
  assert.equal((await jobOf(await as(TOKEN, url), 200)).id, first.id, 'operators see the jobs of all');
  assert.equal((await jobOf(await as(TOKEN, url, 'DELETE'), 200)).state, 'cancelled');

  const model = predictionModel({ store: service.store, jobs: service.jobs }, 'b', { model: first.id } as never);
  await assert.rejects(model, { code: 'MODEL_UNUSABLE', message: `there is no job ${first.id}` });

  assert.equal((await as(TOKEN, `/v1/tokens/${b.id}`, 'DELETE')).status, 204);
  assert.equal((await as(b.token, '/v1/jobs')).status, 401);
  await service.api.close();
  const [root, byA, byB] = [
    { principal: 'root', tenant: 'default' },
    { principal: a.id, tenant: 'a' },
    { principal: b.id, tenant: 'b' },
  ];
  assert.deepEqual(await auditOf(path), [
    { action: 'token.create', ...root, status: 201 },
    { action: 'token.create', ...root, status: 201 },
    { action: 'job.submit', ...root, status: 422 },
    { action: 'token.create', ...root, status: 201 },
    { action: 'job.submit', ...byA, status: 422 },
    { action: 'job.submit', ...byA, subject: first.id, status: 201 },
    { action: 'job.submit', ...byA, subject: first.id, status: 200 },
    { action: 'job.submit', ...byB, subject: other.id, status: 201 },
    { action: 'job.cancel', ...byB, subject: first.id, status: 404 },
    { action: 'job.cancel', ...byA, subject: first.id, status: 403 },
    { action: 'job.cancel', ...byA, subject: first.id, status: 403 },
    { action: 'job.cancel', ...root, subject: first.id, status: 200 },
    { action: 'token.revoke', ...root, subject: b.id, status: 204 },
    { action: 'auth.refuse', subject: 'GET /v1/jobs', status: 401, code: 'UNAUTHORIZED', omitted: 0 },
  ]);
});

test('a token ends in the future, and only what is asked for is made', async (t) => {
  const service = await startService(t);
  const create = (body: unknown) =>
    service.call('/v1/tokens', {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    });
  for (const expiresAt of [new Date(Date.now() - 1000).toISOString(), '1999-01-01T00:00:00Z'])
    await problemOf(await create({ tenant: 'a', scopes: ['read'], expiresAt }), 400, 'INVALID_REQUEST');
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  const made = await create({ tenant: 'a', scopes: ['read'], expiresAt });
  assert.equal(made.status, 201);
  assert.equal(made.headers.get('cache-control'), 'no-store');
  const { token, ...view } = (await made.json()) as MadeToken;
  assert.deepEqual([view.tenant, view.scopes, view.expiresAt], ['a', ['read'], expiresAt]);
  const listed = (await (await service.call('/v1/tokens')).json()) as { tokens: unknown[] };
  assert.deepEqual(listed.tokens, [view], 'no token is shown twice');
  assert.equal((await service.call('/v1/jobs', { headers: { authorization: `Bearer ${token}` } })).status, 200);
  for (const id of ['0123456789abcdef', 'x'])
    await problemOf(await service.call(`/v1/tokens/${id}`, { method: 'DELETE' }), 404, 'TOKEN_NOT_FOUND');
});

/** Starts the API as the command line does, and asks it once. */
async function startFrom(t: TestContext, env: Record<string, string>): Promise<{ url: string; directory: string }> {
  const directory = await temporaryDirectory(t);
  const config = readConfig(api.table, {
    BLINDFIT_REDIS_URL: (await sharedRedis()).url,
    BLINDFIT_STORE: pathToFileURL(directory).href,
    BLINDFIT_TOKEN: TOKEN,
    BLINDFIT_PORT: '0',
    BLINDFIT_QUEUE_PREFIX: `{api-settings-${Object.keys(env).length}}`,
    ...env,
  });
  const service = await api.start(config, createLogger({ service: 'api', level: 'silent' }));
  t.after(() => service.close());
  return { url: service.url, directory };
}

test('fifty jobs are listed where no limit is given', async (t) => {
  const service = await startService(t);
  for (let number = 0; number < 52; number++)
    await service.jobs.create({ id: `job-${String(number).padStart(12, '0')}`, ...JOB_FACTS });
  for (const [query, count] of [
    ['', 50],
    ['?limit=1', 1],
    ['?limit=1000', 52],
  ] as const) {
    const { jobs } = (await (await service.call(`/v1/jobs${query}`)).json()) as { jobs: unknown[] };
    assert.equal(jobs.length, count, query);
  }
  for (const query of ['?limit=0', '?limit=1001']) assert.equal((await service.call(`/v1/jobs${query}`)).status, 400);
});

test('settings reach the API', async (t) => {
  const audit = join(await temporaryDirectory(t), 'audit.log');
  const { url } = await startFrom(t, {
    BLINDFIT_MAX_BLOB_MB: '1',
    BLINDFIT_AUDIT_LOG: audit,
    BLINDFIT_PLAN_THREADS: '7',
    BLINDFIT_OPERATOR_TOKEN: 'a-token-of-the-operators',
  });
  const put = ({ bytes, digest }: ReturnType<typeof randomBlob>) =>
    fetch(`${url}/v1/blobs/${digest}`, {
      method: 'PUT',
      body: bytes,
      headers: { ...BEARER, 'content-type': 'application/octet-stream' },
    });
  assert.equal((await put(randomBlob(2 ** 20))).status, 201);
  assert.equal((await put(randomBlob(2 ** 20 + 1))).status, 413);
  const cluster = (await (await fetch(`${url}/v1/cluster`, { headers: BEARER })).json()) as { threads: number };
  assert.equal(cluster.threads, 7);
  const board = { headers: { authorization: 'Bearer a-token-of-the-operators' } };
  assert.equal((await fetch(`${url}/admin/queues`, board)).status, 200);
  assert.equal((await fetch(`${url}/v1/tokens/x`, { method: 'DELETE', headers: BEARER })).status, 404);
  // The log is written after the answer is sent.
  await until(async () => (await readFile(audit, 'utf8')).includes('token.revoke'), 'the line in the audit log');
});

test('blobs that were there before tenants are the default tenant’s, those that come later are not', async (t) => {
  const service = await startService(t);
  const before = randomBlob(100);
  await service.redis.del(service.jobs.keys.owned);
  const prototype = Object.getPrototypeOf(service.store) as typeof service.store;
  await prototype.put.call(service.store, before.digest, before.bytes);
  await service.jobs.create({
    id: 'job-000000000000000000000000',
    name: 'old',
    tenant: 'default',
    kind: 'train',
    manifest: before.digest,
  } as never);
  await service.redis.hdel(service.jobs.keys.job('job-000000000000000000000000'), 'tenant');
  assert.equal(await service.jobs.blobs.has('default', before.digest), false);
  await (await startApi({ ...service.options, port: 0 })).close();
  assert.equal(await service.jobs.blobs.has('default', before.digest), true);
  const later = randomBlob(100);
  await prototype.put.call(service.store, later.digest, later.bytes);
  await (await startApi({ ...service.options, port: 0 })).close();
  assert.equal(await service.jobs.blobs.has('default', later.digest), false);
});
