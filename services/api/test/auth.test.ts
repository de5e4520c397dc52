import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import fastify from 'fastify';
import { createMetrics, healthRoutes, Readiness } from '@blindfit/service';
import { addBearerAuth } from '../src/auth.ts';
import { anyOf, rootToken, serviceToken, type Authenticator } from '../src/principals.ts';
import { ApiError, problemOf, useProblems } from '../src/problems.ts';

const TOKEN = 'correct-horse-battery-staple';

const RULES = {
  'GET /metrics': ['metrics'],
  'GET /v1/things': ['read', 'operate'],
  'GET /v1/conflict': ['read'],
  'GET /v1/bug': ['read'],
  'POST /v1/things': ['submit'],
} as const;

/** Knows one token, which may read. */
const reader: Authenticator = (token) =>
  Promise.resolve(token === 'reader' ? { name: 'r', tenant: 't', scopes: new Set(['read'] as const) } : undefined);

async function serve(t: TestContext): Promise<string> {
  const app = fastify();
  t.after(() => app.close());
  useProblems(app);
  addBearerAuth(app, { authenticate: anyOf(rootToken(TOKEN), reader), rules: RULES });
  await app.register(healthRoutes, {
    readiness: new Readiness(),
    registry: createMetrics({ service: 'api', version: '0' }),
  });
  app.get('/v1/things', () => Promise.resolve({ things: [] }));
  app.get('/v1/conflict', () =>
    Promise.reject(new ApiError(409, 'JOB_FINISHED', 'Job is finished', 'job j1 is finished', 'submit a new one')),
  );
  app.get('/v1/bug', () => Promise.reject(new TypeError('secret internals')));
  app.post('/v1/things', { schema: { body: { type: 'object', required: ['name'] } } }, () => Promise.resolve({}));
  return await app.listen({ host: '127.0.0.1', port: 0 });
}

const bearer = { authorization: `Bearer ${TOKEN}` };

test('probes are open, everything else asks for the token', async (t) => {
  const url = await serve(t);
  for (const path of ['/healthz', '/readyz']) assert.equal((await fetch(url + path)).status, 200, path);
  for (const path of ['/metrics', '/v1/things', '/nowhere', '/healthz/', '/healthz/../v1/things', '//healthz']) {
    const response = await fetch(url + path);
    assert.equal(response.status, 401, path);
    assert.match(String(response.headers.get('www-authenticate')), /^Bearer /);
    assert.equal(((await response.json()) as { code: string }).code, 'UNAUTHORIZED');
  }
  for (const path of ['/metrics', '/v1/things'])
    assert.equal((await fetch(url + path, { headers: bearer })).status, 200, path);
});

test('only the exact token is accepted', async (t) => {
  const url = await serve(t);
  const attempt = async (authorization: string): Promise<number> =>
    (await fetch(`${url}/v1/things`, { headers: { authorization } })).status;
  for (const good of [`Bearer ${TOKEN}`, `bearer ${TOKEN}`, `Bearer  ${TOKEN}`])
    assert.equal(await attempt(good), 200, good);
  for (const bad of [
    '',
    'Bearer',
    'Bearer x',
    TOKEN,
    `Basic ${TOKEN}`,
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.slice(1)}`,
    `Bearer ${TOKEN.toUpperCase()}`,
    `Bearer ${TOKEN} x`,
  ]) {
    assert.equal(await attempt(bad), 401, bad);
  }
});

test('a refused upload gets its answer although the body was not read', async (t) => {
  const url = await serve(t);
  const response = await fetch(`${url}/v1/things`, { method: 'POST', body: new Uint8Array(5_000_000) });
  assert.equal(response.status, 401);
});

test('errors on purpose, mistakes of the client, unknown routes and bugs are all problems', async (t) => {
  const url = await serve(t);
  const ask = async (path: string, init: RequestInit = {}): Promise<Record<string, unknown>> => {
    const response = await fetch(url + path, { ...init, headers: { ...bearer, 'content-type': 'application/json' } });
    assert.match(String(response.headers.get('content-type')), /^application\/problem\+json/);
    const body = (await response.json()) as Record<string, unknown>;
    assert.equal(body['status'], response.status);
    return body;
  };
  assert.deepEqual(await ask('/v1/conflict'), {
    type: 'urn:blindfit:problem:job-finished',
    title: 'Job is finished',
    status: 409,
    code: 'JOB_FINISHED',
    detail: 'job j1 is finished',
    hint: 'submit a new one',
  });
  assert.equal((await ask('/nowhere'))['code'], 'NOT_FOUND');
  const invalid = await ask('/v1/things', { method: 'POST', body: '{}' });
  assert.equal(invalid['status'], 400);
  assert.match(String(invalid['detail']), /name/);
  assert.equal((await ask('/v1/things', { method: 'POST', body: '{' }))['status'], 400);
  const bug = await ask('/v1/bug');
  assert.equal(bug['code'], 'INTERNAL');
  assert.doesNotMatch(JSON.stringify(bug), /secret internals/);
});

test('problemOf never trusts what was thrown', () => {
  for (const thrown of [
    undefined,
    'text',
    { code: 'BLOB_NOT_FOUND' },
    Object.assign(new Error('x'), { code: 'toString' }),
    Object.assign(new Error('x'), { statusCode: 200 }),
  ]) {
    assert.equal(problemOf(thrown).code, 'INTERNAL');
  }
});

test('a token opens what its scopes allow, and nothing is read of what it must not send', async (t) => {
  const url = await serve(t);
  const headers = { authorization: 'Bearer reader' };
  assert.equal((await fetch(`${url}/v1/things`, { headers })).status, 200);
  const refused = await fetch(`${url}/v1/things`, { method: 'POST', headers, body: new Uint8Array(5_000_000) });
  assert.equal(refused.status, 403);
  const problem = (await refused.json()) as { code: string; detail: string; hint: string };
  assert.equal(problem.code, 'SCOPE_MISSING');
  assert.match(problem.detail, /POST \/v1\/things needs the scope submit, and the token has read/);
  assert.equal((await fetch(`${url}/metrics`, { headers })).status, 403);
  assert.equal((await fetch(`${url}/nowhere`, { headers })).status, 404);
});

test('a route without a rule cannot be added', () => {
  const app = fastify();
  addBearerAuth(app, { authenticate: reader, rules: RULES });
  assert.throws(() => app.delete('/v1/things', () => ''), /no scope is named for DELETE \/v1\/things/);
});

test('documentation and the operators’ page take a password, and only below their paths', async (t) => {
  const app = fastify();
  t.after(() => app.close());
  useProblems(app);
  addBearerAuth(app, {
    authenticate: anyOf(rootToken('root:token'), reader),
    rules: { 'GET /docsets': ['read'], 'GET /admin/queues-of-others': ['read'] },
    basicBelow: '/docs',
    operators: { below: '/admin/queues', token: 'staff:token' },
  });
  for (const path of ['/docs', '/docs/page', '/docsets', '/admin/queues', '/admin/queues/x', '/admin/queues-of-others'])
    app.get(path, () => Promise.resolve('here'));
  const basic = (password: string) => `Basic ${Buffer.from(`me:${password}`).toString('base64')}`;
  const ask = async (url: string, authorization: string): Promise<number> =>
    (await app.inject({ url, headers: { authorization } })).statusCode;
  for (const path of ['/docs', '/docs/page']) {
    assert.equal(await ask(path, basic('root:token')), 200, 'also with a colon in the password');
    assert.equal(await ask(path, basic('reader')), 200);
    assert.equal(await ask(path, basic('staff:token')), 401);
    assert.equal(await ask(path, basic('token')), 401);
  }
  for (const path of ['/admin/queues', '/admin/queues/x']) {
    assert.equal(await ask(path, basic('staff:token')), 200);
    assert.equal(await ask(path, 'Bearer staff:token'), 200);
    assert.equal(await ask(path, basic('root:token')), 401);
    assert.equal(await ask(path, 'Bearer reader'), 403);
  }
  for (const path of ['/docsets', '/admin/queues-of-others']) {
    assert.equal(await ask(path, basic('reader')), 401);
    assert.equal(await ask(path, 'Bearer staff:token'), 401);
    assert.equal(await ask(path, 'Bearer reader'), 200);
  }
});

test('a request may make use of one scope of its token only, and of none that the token lacks', async (t) => {
  const url = await serve(t);
  const attempt = async (token: string, scope: string): Promise<number> =>
    (await fetch(`${url}/v1/things`, { headers: { authorization: `Bearer ${token}`, 'blindfit-scope': scope } }))
      .status;
  assert.equal(await attempt(TOKEN, 'read'), 200);
  assert.equal(await attempt(TOKEN, 'blobs'), 403);
  assert.equal(await attempt('reader', 'read'), 200);
  for (const scope of ['operate', 'everything', '', 'read, operate']) assert.equal(await attempt('reader', scope), 403);
});

test('tokens of services open what their one scope does', async (t) => {
  const app = fastify();
  t.after(() => app.close());
  useProblems(app);
  const [work, metrics] = ['the-token-of-the-workers', 'the-token-of-prometheus'];
  addBearerAuth(app, {
    authenticate: anyOf(serviceToken(work, 'work'), serviceToken(metrics, 'metrics'), serviceToken(undefined, 'work')),
  });
  for (const url of ['/v1/blobs/:digest', '/metrics', '/v1/jobs', '/v1/tokens']) app.get(url, () => ({}));
  const attempt = async (token: string, url: string): Promise<number> =>
    (await app.inject({ url, headers: { authorization: `Bearer ${token}`, 'blindfit-scope': 'work' } })).statusCode;
  assert.equal(await attempt(work, '/v1/blobs/x'), 200);
  for (const url of ['/metrics', '/v1/jobs', '/v1/tokens']) assert.equal(await attempt(work, url), 403, url);
  const scrape = async (token: string, url: string): Promise<number> =>
    (await app.inject({ url, headers: { authorization: `Bearer ${token}` } })).statusCode;
  assert.equal(await scrape(metrics, '/metrics'), 200);
  for (const url of ['/v1/blobs/x', '/v1/jobs', '/v1/tokens']) assert.equal(await scrape(metrics, url), 403, url);
  assert.equal(await scrape('undefined', '/metrics'), 401);
});
