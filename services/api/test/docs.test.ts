import assert from 'node:assert/strict';
import { test } from 'node:test';
import SwaggerParser from '@apidevtools/swagger-parser';
import { startService, TOKEN } from './service.ts';

type Validatable = Parameters<typeof SwaggerParser.validate>[0];

interface Operation {
  summary?: string;
  security?: unknown[];
  requestBody?: { content: Record<string, unknown> };
  responses: Record<string, { content?: Record<string, unknown> }>;
}

const basic = (user: string, password: string): { authorization: string } => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});

test('the OpenAPI document is valid and describes every route', async (t) => {
  const service = await startService(t);
  const response = await service.call('/docs/json');
  assert.equal(response.status, 200);
  const document = (await response.json()) as { openapi: string; paths: Record<string, Record<string, Operation>> };
  assert.equal(document.openapi, '3.1.0');
  const { paths } = document;
  await SwaggerParser.validate(structuredClone(document) as unknown as Validatable);
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  );
  assert.deepEqual(operations.sort(), [
    'delete /v1/jobs/{id}',
    'delete /v1/tokens/{id}',
    'get /healthz',
    'get /metrics',
    'get /metrics/jobs',
    'get /metrics/jobs/{id}',
    'get /readyz',
    'get /v1/blobs/{digest}',
    'get /v1/cluster',
    'get /v1/jobs',
    'get /v1/jobs/events',
    'get /v1/jobs/{id}',
    'get /v1/jobs/{id}/events',
    'get /v1/jobs/{id}/result',
    'get /v1/maintenance',
    'get /v1/store',
    'get /v1/tenants',
    'get /v1/tokens',
    'get /v1/usage',
    'get /v1/version',
    'head /v1/blobs/{digest}',
    'post /v1/jobs',
    'post /v1/jobs/{id}/refresh',
    'post /v1/jobs/{id}/retry',
    'post /v1/tokens',
    'put /v1/blobs/{digest}',
    'put /v1/maintenance',
    'put /v1/tenants/{tenant}',
  ]);
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      assert.ok((operation.summary ?? '').length > 5, `${method} ${path} has no summary`);
      if (path.startsWith('/v1/')) assert.equal(operation.security, undefined, `${method} ${path} needs the token`);
    }
  }
  assert.deepEqual(paths['/healthz']?.['get']?.security, []);
  const submit = paths['/v1/jobs']?.['post'];
  assert.deepEqual(Object.keys(submit?.requestBody?.content ?? {}), ['application/json']);
  assert.deepEqual(Object.keys(submit?.responses['422']?.content ?? {}), ['application/problem+json']);
  assert.deepEqual(Object.keys(submit?.responses['201']?.content ?? {}), ['application/json']);
  assert.deepEqual(Object.keys(paths['/v1/jobs/{id}/events']?.['get']?.responses['200']?.content ?? {}), [
    'text/event-stream',
  ]);
  assert.deepEqual(Object.keys(paths['/v1/jobs/{id}/result']?.['get']?.responses['200']?.content ?? {}), [
    'application/octet-stream',
  ]);
  const jobMetrics = paths['/metrics/jobs/{id}']?.['get'];
  assert.deepEqual(Object.keys(jobMetrics?.responses['200']?.content ?? {}), ['text/plain']);
  assert.deepEqual(Object.keys(jobMetrics?.responses['404']?.content ?? {}), ['application/problem+json']);
  assert.deepEqual(Object.keys(paths['/metrics/jobs']?.['get']?.responses['200']?.content ?? {}), ['application/json']);
  assert.deepEqual(Object.keys(paths['/v1/blobs/{digest}']?.['put']?.requestBody?.content ?? {}), [
    'application/octet-stream',
  ]);
});

test('the documentation opens with the token, in browsers as a password; nothing else does', async (t) => {
  const { url } = await startService(t);
  const stranger = await fetch(`${url}/docs`);
  assert.equal(stranger.status, 401);
  assert.match(String(stranger.headers.get('www-authenticate')), /Basic realm=/);
  for (const path of [
    '/docs',
    '/docs/json',
    '/docs/yaml',
    '/docs/static/index.html',
    '/docs/static/swagger-ui-bundle.js',
  ]) {
    assert.equal((await fetch(url + path)).status, 401, path);
    assert.equal((await fetch(url + path, { headers: { authorization: `Bearer ${TOKEN}` } })).status, 200, path);
    assert.equal((await fetch(url + path, { headers: basic('anybody', TOKEN) })).status, 200, path);
    for (const wrong of [
      basic('anybody', `${TOKEN}x`),
      basic(TOKEN, ''),
      { authorization: 'Basic' },
      { authorization: `Basic ${TOKEN}` },
    ]) {
      assert.equal((await fetch(url + path, { headers: wrong })).status, 401, `${path} ${wrong.authorization}`);
    }
  }
  const page = await (await fetch(`${url}/docs/`, { headers: basic('', TOKEN) })).text();
  assert.match(page, /swagger-ui/i);
  for (const path of ['/v1/jobs', '/metrics', '/docsx', '/v1/docs/']) {
    const refused = await fetch(url + path, { headers: basic('anybody', TOKEN) });
    assert.equal(refused.status, 401, path);
    assert.doesNotMatch(String(refused.headers.get('www-authenticate')), /Basic/);
  }
});
