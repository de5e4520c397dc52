/** What calls send, and what is made of refusals: headers, queries, bodies, and whose fault a failure is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiProblemError, type BlindfitClient } from '@blindfit/client';
import { clientOf, jobView, problem, PROBLEM, serve } from './support.ts';

const ID = 'job-0123456789ab';
const USAGE = {
  tenant: 'a',
  weight: 1,
  jobs: { used: 1 },
  runningJobs: { used: 0 },
  bytes: { used: 0 },
  computeSeconds: { used: 0, day: '2026-01-31' },
};

test('each call sends its method, path, headers and body, and gives what came back', async (t) => {
  const asked: unknown[][] = [];
  const url = await serve(t, (app) => {
    app.all('*', (request, reply) => {
      const { authorization, traceparent, 'blindfit-signature': signature, 'content-type': type } = request.headers;
      assert.equal(authorization, 'Bearer the-token-of-the-tests');
      asked.push([`${request.method} ${request.url}`, request.body, signature ?? traceparent, type]);
      const [path] = request.url.split('?');
      if (path === '/v1/tenants') return reply.send({ tenants: [USAGE] });
      if (path === '/v1/tokens') return reply.send({ tokens: [] });
      if (request.method === 'DELETE' && path?.startsWith('/v1/tokens/') === true) return reply.code(204).send();
      if (path === '/v1/jobs' && request.method === 'GET') return reply.send({ jobs: [] });
      return reply.send(path?.includes('jobs') === true ? jobView('cancelled') : USAGE);
    });
  });
  const client = clientOf(t, url);
  const json = 'application/json';
  const manifest = { a: 1 } as never;
  const answer = { id: 'r', weights: 'w', momentum: 'm', signature: 's' };
  const calls: readonly (readonly [(client: BlindfitClient) => Promise<unknown>, unknown[]])[] = [
    [(c) => c.submit(manifest), ['POST /v1/jobs', manifest, undefined, json]],
    [(c) => c.submit(manifest, { priority: 'high' }), ['POST /v1/jobs?priority=high', manifest, undefined, json]],
    [(c) => c.submit(manifest, { traceparent: '00-1' }), ['POST /v1/jobs', manifest, '00-1', json]],
    [(c) => c.cancel(ID), [`DELETE /v1/jobs/${ID}`, undefined, undefined, undefined]],
    [(c) => c.cancel(ID, 'signed'), [`DELETE /v1/jobs/${ID}`, undefined, 'signed', undefined]],
    [(c) => c.refresh(ID, answer), [`POST /v1/jobs/${ID}/refresh`, answer, undefined, json]],
    [(c) => c.jobs({ state: 'queued' }), ['GET /v1/jobs?state=queued', undefined, undefined, undefined]],
    [(c) => c.jobs({ limit: 3 }), ['GET /v1/jobs?limit=3', undefined, undefined, undefined]],
    [(c) => c.usage(), ['GET /v1/usage', undefined, undefined, undefined]],
    [(c) => c.tenants(), ['GET /v1/tenants', undefined, undefined, undefined]],
    [(c) => c.setTenant('a', { jobs: 1 }), ['PUT /v1/tenants/a', { jobs: 1 }, undefined, json]],
    [(c) => c.tokens(), ['GET /v1/tokens', undefined, undefined, undefined]],
    [(c) => c.revokeToken('x'), ['DELETE /v1/tokens/x', undefined, undefined, undefined]],
  ];
  for (const [call, expected] of calls) {
    await call(client);
    assert.deepEqual(
      asked.splice(0).map((each) => [each[0], each[1] ?? undefined, ...each.slice(2)]),
      [expected],
    );
  }
});

test('a refusal keeps its reason, and says whose fault it is', async (t) => {
  let [status, code] = [400, 'X'];
  const url = await serve(t, (app) => {
    app.all('*', (_request, reply) =>
      reply
        .code(status)
        .type(PROBLEM)
        .send({
          ...problem(status, code, 'the reason', 'the hint'),
          blobs: [{ place: 'p', digest: 'd', reason: 'r' }],
        }),
    );
  });
  const client = clientOf(t, url, { attempts: 1 });
  for (const [given, name, fault, hint] of [
    [400, 'X', 'task', 'the hint'],
    [503, 'AWAY', 'world', 'the hint'],
    [507, 'STORAGE_FULL', 'world', 'the hint'],
    [401, 'TOKEN_EXPIRED', 'task', 'the hint'],
    [401, 'UNAUTHORIZED', 'task', 'set BLINDFIT_TOKEN to the token that the API was started with'],
  ] as const) {
    [status, code] = [given, name];
    await assert.rejects(client.usage(), (error) => {
      assert.ok(error instanceof ApiProblemError);
      assert.deepEqual([error.status, error.code, error.fault, error.hint], [given, name, fault, hint]);
      assert.deepEqual([error.title, error.detail, error.message], ['Problem', 'the reason', 'Problem: the reason']);
      if (given !== 401) assert.equal(error.blobs?.length, 1);
      return true;
    });
  }
});
