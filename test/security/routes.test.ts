/**
 * Every route of the API, as another tenant sees it. The routes come from the OpenAPI document, so a new one without an
 * entry here fails.
 */
import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { required } from '@blindfit/base';
import { cancelStatement, SCOPES, type JobView, type MadeToken, type Scope } from '@blindfit/protocol';
import { SCOPE_RULES } from '../../services/api/src/scopes.ts';
import { makeJob, OWNER, startService, type Service } from '../../services/api/test/service.ts';

type Answer = Pick<Response, 'status'> & { readonly text: string };

/** What tenant A has. */
interface Belongings {
  readonly service: Service;
  readonly job: JobView;
  readonly blob: string;
  /** Everything that only A may learn. */
  readonly secrets: readonly string[];
}

/** A call of one route with the ids of A. */
interface Call {
  readonly method: string;
  readonly path: string;
  readonly body?: string | undefined;
  readonly headers?: Record<string, string>;
  /** Statuses that tell nothing of A. */
  readonly allowed: readonly number[];
}

/** `METHOD route` and how another tenant tries it. Open routes and those of operators are named with what they give. */
const ATTEMPTS: Readonly<Record<string, (has: Belongings) => Call>> = {
  'get /healthz': () => ({ method: 'GET', path: '/healthz', allowed: [200] }),
  'get /readyz': () => ({ method: 'GET', path: '/readyz', allowed: [200] }),
  'get /metrics': () => ({ method: 'GET', path: '/metrics', allowed: [403] }),
  'get /metrics/jobs': () => ({ method: 'GET', path: '/metrics/jobs', allowed: [403] }),
  'get /metrics/jobs/{id}': ({ job }) => ({ method: 'GET', path: `/metrics/jobs/${job.id}`, allowed: [403] }),
  'get /v1/version': () => ({ method: 'GET', path: '/v1/version', allowed: [200] }),
  'get /v1/maintenance': () => ({ method: 'GET', path: '/v1/maintenance', allowed: [200] }),
  'put /v1/maintenance': () => ({
    method: 'PUT',
    path: '/v1/maintenance',
    body: JSON.stringify({ on: true }),
    allowed: [403],
  }),
  'get /v1/cluster': () => ({ method: 'GET', path: '/v1/cluster', allowed: [200] }),
  'get /v1/usage': () => ({ method: 'GET', path: '/v1/usage', allowed: [200] }),
  'get /v1/store': () => ({ method: 'GET', path: '/v1/store', allowed: [403] }),
  'get /v1/tenants': () => ({ method: 'GET', path: '/v1/tenants', allowed: [403] }),
  'put /v1/tenants/{tenant}': () => ({
    method: 'PUT',
    path: '/v1/tenants/a',
    body: JSON.stringify({ weight: 0.01 }),
    allowed: [403],
  }),
  'get /v1/tokens': () => ({ method: 'GET', path: '/v1/tokens', allowed: [403] }),
  'post /v1/tokens': () => ({
    method: 'POST',
    path: '/v1/tokens',
    body: JSON.stringify({ tenant: 'a', scopes: ['read'] }),
    allowed: [403],
  }),
  'delete /v1/tokens/{id}': () => ({ method: 'DELETE', path: '/v1/tokens/0123456789abcdef', allowed: [403] }),
  'get /v1/jobs': () => ({ method: 'GET', path: '/v1/jobs?limit=1000', allowed: [200] }),
  // A manifest with the blobs of A: those are not there.
  'post /v1/jobs': ({ service }) => ({
    method: 'POST',
    path: '/v1/jobs',
    body: JSON.stringify(manifestOf(service)),
    headers: { 'idempotency-key': KEY },
    allowed: [422],
  }),
  'get /v1/jobs/events': () => ({ method: 'GET', path: '/v1/jobs/events', allowed: [200] }),
  'get /v1/jobs/{id}': ({ job }) => ({ method: 'GET', path: `/v1/jobs/${job.id}`, allowed: [404] }),
  'get /v1/jobs/{id}/events': ({ job }) => ({ method: 'GET', path: `/v1/jobs/${job.id}/events`, allowed: [404] }),
  'get /v1/jobs/{id}/result': ({ job }) => ({ method: 'GET', path: `/v1/jobs/${job.id}/result`, allowed: [404] }),
  // Even with the signature of A, which B might have overheard.
  'delete /v1/jobs/{id}': ({ job }) => ({
    method: 'DELETE',
    path: `/v1/jobs/${job.id}`,
    headers: { 'blindfit-signature': OWNER.sign(cancelStatement(job)) },
    allowed: [404],
  }),
  'post /v1/jobs/{id}/retry': ({ job }) => ({ method: 'POST', path: `/v1/jobs/${job.id}/retry`, allowed: [404] }),
  'post /v1/jobs/{id}/refresh': ({ job }) => ({
    method: 'POST',
    path: `/v1/jobs/${job.id}/refresh`,
    body: JSON.stringify({
      id: '0'.repeat(32),
      weights: job.manifest,
      momentum: job.manifest,
      signature: '0'.repeat(128),
    }),
    allowed: [404],
  }),
  'head /v1/blobs/{digest}': ({ blob }) => ({ method: 'HEAD', path: `/v1/blobs/${blob}`, allowed: [404] }),
  'get /v1/blobs/{digest}': ({ blob }) => ({ method: 'GET', path: `/v1/blobs/${blob}`, allowed: [404] }),
  'put /v1/blobs/{digest}': ({ blob }) => ({
    method: 'PUT',
    path: `/v1/blobs/${blob}`,
    body: 'no such bytes',
    headers: { 'content-type': 'application/octet-stream' },
    allowed: [422],
  }),
};

const KEY = 'daily-run';
const manifests = new WeakMap<Service, unknown>();
const manifestOf = (service: Service): unknown => required(manifests.get(service), 'the manifest of A');

async function tokenFor(service: Service, tenant: string, scopes: readonly Scope[]): Promise<MadeToken> {
  const response = await service.call('/v1/tokens', {
    method: 'POST',
    body: JSON.stringify({ tenant, scopes }),
    headers: { 'content-type': 'application/json' },
  });
  assert.equal(response.status, 201);
  return (await response.json()) as MadeToken;
}

const JSON_TYPE = { 'content-type': 'application/json' };

/** A stream is read up to its first heartbeat, which comes after everything that it begins with. */
async function textOf(response: Response): Promise<string> {
  if (!response.headers.get('content-type')?.startsWith('text/event-stream')) return response.text();
  let text = '';
  for await (const chunk of required(response.body ?? undefined, 'a body')) {
    text += Buffer.from(chunk).toString();
    if (text.includes(': heartbeat')) break;
  }
  return text;
}

async function ask(service: Service, token: string, { method, path, body, headers }: Call): Promise<Answer> {
  const response = await fetch(service.url + path, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined || method === 'DELETE' ? undefined : JSON_TYPE),
      ...headers,
    },
    body: body ?? null,
  });
  return { status: response.status, text: await textOf(response) };
}

const OWNER_SCOPES = ['submit', 'read', 'cancel', 'blobs'] as const;

test('a token of tenant B gets nothing of tenant A from any route', async (t) => {
  const service = await startService(t, { heartbeatMs: 300 });
  const { manifest } = await makeJob(service.store);
  const blob = required(manifest.blobs.features[0]?.[0], 'a blob of A');
  const digests = JSON.stringify(manifest).match(/sha256:[0-9a-f]{64}/g) ?? [];
  await service.jobs.blobs.add('a', digests);
  for (const digest of digests) await service.redis.srem(service.jobs.keys.blobs('default'), digest);
  manifests.set(service, manifest);
  const a = await tokenFor(service, 'a', OWNER_SCOPES);
  const submitted = await ask(service, a.token, {
    method: 'POST',
    path: '/v1/jobs',
    body: JSON.stringify({ ...manifest, name: 'the secret study' }),
    headers: { 'idempotency-key': KEY },
    allowed: [],
  });
  assert.equal(submitted.status, 201, submitted.text);
  const job = JSON.parse(submitted.text) as JobView;
  assert.equal(job.tenant, 'a');
  const has: Belongings = { service, job, blob, secrets: [job.id, 'the secret study', job.manifest] };

  const { paths } = (await (await service.call('/docs/json')).json()) as { paths: Record<string, object> };
  const routes = Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method} ${path}`),
  );
  assert.deepEqual(
    routes.filter((route) => ATTEMPTS[route] === undefined),
    [],
    'routes without an entry',
  );
  assert.deepEqual(
    Object.keys(ATTEMPTS).filter((route) => !routes.includes(route)),
    [],
    'entries without a route',
  );

  const b = await tokenFor(service, 'b', OWNER_SCOPES);
  for (const route of routes) {
    const call = required(ATTEMPTS[route], route)(has);
    const { status, text } = await ask(service, b.token, call);
    assert.ok(call.allowed.includes(status), `${route}: ${status} ${text}`);
    // What B has sent itself may stand in its answer, as may a digest that it asked for.
    const told = has.secrets.filter(
      (secret) => text.includes(secret) && !call.path.includes(secret) && !call.body?.includes(secret),
    );
    assert.deepEqual(told, [], route);
  }
  assert.equal((await service.jobs.get(job.id))?.state, 'queued', 'nothing was cancelled');
  // The same key is another job of another tenant.
  await service.jobs.blobs.add('b', digests);
  const own = await ask(service, b.token, required(ATTEMPTS['post /v1/jobs'], 'submission')(has));
  assert.equal(own.status, 201, own.text);
  assert.notEqual((JSON.parse(own.text) as JobView).id, job.id);
  const list = await ask(service, b.token, { method: 'GET', path: '/v1/jobs', allowed: [200] });
  assert.deepEqual(
    (JSON.parse(list.text) as { jobs: JobView[] }).jobs.map(({ tenant }) => tenant),
    ['b'],
  );
  const state = await ask(service, a.token, { method: 'GET', path: '/v1/jobs?state=queued', allowed: [200] });
  assert.deepEqual(
    (JSON.parse(state.text) as { jobs: JobView[] }).jobs.map(({ id }) => id),
    [job.id],
  );
});

describe('scopes', () => {
  it('one alone opens the routes of its rules and no other', async (t) => {
    const service = await startService(t, { heartbeatMs: 20 });
    const { job, blob } = {
      job: { id: 'job-000000000000', manifest: `sha256:${'0'.repeat(64)}` },
      blob: `sha256:${'0'.repeat(64)}`,
    };
    for (const scope of SCOPES) {
      const { token } = await tokenFor(service, 'a', [scope]);
      for (const [route, scopes] of Object.entries(SCOPE_RULES)) {
        const [method = '', path = ''] = route.split(' ');
        // Revoking would end the test's own tokens, and a stream of a job that is not there ends at once.
        const { status } = await ask(service, token, {
          method,
          path: path.replace(':digest', blob).replace(':id', job.id).replace(':tenant', 'a'),
          body: method === 'POST' ? '{}' : undefined,
          allowed: [],
        });
        const opened = scopes.includes(scope);
        assert.equal(status !== 403 && status !== 401, opened, `${scope}: ${route} gives ${status}`);
      }
    }
  });

  it('a revoked and an expired token open nothing at once, and a new one opens at once', async (t) => {
    const service = await startService(t);
    const call: Call = { method: 'GET', path: '/v1/jobs', allowed: [] };
    const { token, id } = await tokenFor(service, 'a', ['read']);
    assert.equal((await ask(service, token, call)).status, 200);
    assert.equal((await service.call(`/v1/tokens/${id}`, { method: 'DELETE' })).status, 204);
    assert.equal((await ask(service, token, call)).status, 401);
    assert.equal((await service.call(`/v1/tokens/${id}`, { method: 'DELETE' })).status, 404);
    for (const expiresAt of [new Date(Date.now() - 1000).toISOString(), 'tomorrow', '2020-01-01'])
      assert.equal(
        (
          await service.call('/v1/tokens', {
            method: 'POST',
            body: JSON.stringify({ tenant: 'a', scopes: ['read'], expiresAt }),
            headers: { 'content-type': 'application/json' },
          })
        ).status,
        400,
        expiresAt,
      );
  });
});
