/** Which requests have spans, what these say, and when they say that something failed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fastify from 'fastify';
import type { Tracing } from '@blindfit/service';
import { traceRequests } from '../src/trace-requests.ts';

const JOB = 'job-0123456789abcdef01234567';
const PARENT = '00-0123456789abcdef0123456789abcdef-0123456789abcdef-01';

test('what changes a job has a span, other requests in a trace of their own only', async (t) => {
  const ended: unknown[] = [];
  const tracing = {
    enabled: true,
    begin: ({ name, parent, root, attributes }: Record<string, unknown>) => {
      const set: Record<string, unknown> = {};
      return {
        about: { name, parent, root, attributes, set },
        setAttribute: (key: string, value: unknown) => (set[key] = value),
        spanContext: () => ({ traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: 1 }),
      };
    },
    end: (span: { about: unknown }, error?: string) => void ended.push([span.about, error]),
    within: (_traceparent: unknown, body: () => unknown) => body(),
  } as unknown as Tracing;
  const app = fastify();
  t.after(() => app.close());
  traceRequests(app, tracing);
  app.post('/v1/jobs', (_request, reply) => reply.code(201).header('location', `/v1/jobs/${JOB}`).send(''));
  app.delete('/v1/jobs/:id', (_request, reply) => reply.code(404).send(''));
  app.post('/v1/jobs/:id/refresh', (_request, reply) => reply.code(503).send(''));
  app.get('/v1/jobs/:id', () => Promise.resolve(''));
  app.get('/metrics', () => Promise.resolve(''));
  const span = (method: string, route: string, status: number, parent?: string) => ({
    name: `${method} ${route}`,
    parent,
    root: true,
    attributes: { 'http.request.method': method, 'http.route': route },
    set: { 'http.response.status_code': status, 'blindfit.job.id': JOB },
  });

  await app.inject({ method: 'POST', url: '/v1/jobs' });
  await app.inject({ method: 'DELETE', url: `/v1/jobs/${JOB}` });
  await app.inject({ method: 'POST', url: `/v1/jobs/${JOB}/refresh` });
  await app.inject({ method: 'GET', url: `/v1/jobs/${JOB}` });
  await app.inject({ method: 'GET', url: `/v1/jobs/${JOB}`, headers: { traceparent: PARENT } });
  await app.inject({ method: 'GET', url: '/metrics', headers: { traceparent: PARENT } });
  assert.deepEqual(ended, [
    [span('POST', '/v1/jobs', 201), undefined],
    [span('DELETE', '/v1/jobs/:id', 404), undefined],
    [span('POST', '/v1/jobs/:id/refresh', 503), '503'],
    [span('GET', '/v1/jobs/:id', 200, PARENT), undefined],
  ]);
});
