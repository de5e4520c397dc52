import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import fastify from 'fastify';
import { Counter } from 'prom-client';
import { createMetrics, healthRoutes, Readiness, startHealthServer, type ReadinessCheck } from '@blindfit/service';
import { captureLog } from './support.ts';

async function serve(
  t: TestContext,
  checks: Record<string, ReadinessCheck>,
): Promise<{ url: string; registry: ReturnType<typeof createMetrics> }> {
  const registry = createMetrics({ service: 'worker', version: '1.2.3' });
  const server = await startHealthServer({
    readiness: new Readiness(checks, 100),
    registry,
    logger: captureLog().logger,
  });
  t.after(() => server.close());
  return { url: server.url, registry };
}

async function getJson(url: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(url);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

test('healthz answers as long as the process does', async (t) => {
  const { url } = await serve(t, { redis: () => Promise.reject(new Error('away')) });
  const { status, body } = await getJson(`${url}/healthz`);
  assert.equal(status, 200);
  assert.equal(body['status'], 'ok');
  for (const path of ['/healthz', '/readyz'])
    assert.equal((await fetch(url + path)).headers.get('cache-control'), 'no-store');
  assert.equal(new URL(url).hostname, '127.0.0.1');
});

test('it listens where it is told', async (t) => {
  const registry = createMetrics({ service: 'worker', version: '1.2.3' });
  const { logger } = captureLog();
  const first = await startHealthServer({ readiness: new Readiness(), registry, logger });
  await first.close();
  const again = await startHealthServer({
    readiness: new Readiness(),
    registry,
    logger,
    host: 'localhost',
    port: first.port,
  });
  t.after(() => again.close());
  assert.equal(again.port, first.port);
});

test('readyz is 200 when all checks pass', async (t) => {
  const { url } = await serve(t, { redis: () => Promise.resolve(), store: () => Promise.resolve() });
  assert.deepEqual(await getJson(`${url}/readyz`), {
    status: 200,
    body: { status: 'ready', failing: [], checks: { redis: 'ok', store: 'ok' } },
  });
});

test('readyz is 503 and names what fails and why, also when a check hangs or throws at once', async (t) => {
  const { url } = await serve(t, {
    redis: () => new Promise(() => undefined),
    store: () => {
      throw new Error('disk is gone');
    },
    keys: () => Promise.resolve(),
  });
  assert.deepEqual(await getJson(`${url}/readyz`), {
    status: 503,
    body: {
      status: 'unready',
      failing: ['redis', 'store'],
      checks: { redis: 'no answer within 100 ms', store: 'disk is gone', keys: 'ok' },
    },
  });
});

test('readyz is 503 when one of several checks fails', async (t) => {
  const { url } = await serve(t, {
    redis: () => Promise.reject(new Error('it is away')),
    store: () => Promise.resolve(),
  });
  assert.deepEqual(await getJson(`${url}/readyz`), {
    status: 503,
    body: { status: 'unready', failing: ['redis'], checks: { redis: 'it is away', store: 'ok' } },
  });
});

test('a part of a service turns it unready and ready again', async () => {
  const readiness = new Readiness({ redis: () => Promise.resolve() });
  const host = readiness.condition('host');
  assert.deepEqual(await readiness.outcomes(), { redis: 'ok', host: 'ok' });
  host.fail('the disk is full');
  assert.equal(host.reason, 'the disk is full');
  assert.deepEqual(await readiness.outcomes(), { redis: 'ok', host: 'the disk is full' });
  host.clear();
  assert.equal(host.reason, undefined);
  assert.deepEqual(await readiness.outcomes(), { redis: 'ok', host: 'ok' });
});

test('metrics are those of the registry, with build info and process metrics', async (t) => {
  const { url, registry } = await serve(t, {});
  new Counter({ name: 'blindfit_things_total', help: 'Things.', registers: [registry] }).inc(7);
  const response = await fetch(`${url}/metrics`);
  assert.match(String(response.headers.get('content-type')), /^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  assert.match(text, /^blindfit_build_info\{service="worker",version="1\.2\.3",revision="unknown"\} 1$/m);
  assert.match(text, /^blindfit_things_total 7$/m);
  assert.match(text, /^process_cpu_seconds_total /m);
});

test('the routes can be added to an existing server, and registries do not share metrics', async (t) => {
  const app = fastify();
  t.after(() => app.close());
  await app.register(healthRoutes, {
    readiness: new Readiness(),
    registry: createMetrics({ service: 'api', version: '1' }),
  });
  app.get('/own', () => Promise.resolve('own'));
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  for (const path of ['/healthz', '/readyz', '/metrics', '/own'])
    assert.equal((await fetch(url + path)).status, 200, path);
  const other = await serve(t, {});
  assert.doesNotMatch(await (await fetch(`${other.url}/metrics`)).text(), /service="api"/);
});
