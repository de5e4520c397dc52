/** What all services have in common: the start on Redis, health, and the memory that metrics tell of. */
import assert from 'node:assert/strict';
import { totalmem } from 'node:os';
import { test } from 'node:test';
import { BlindfitError } from '@blindfit/base';
import { openService, Readiness, waitFor } from '@blindfit/service';
import { availableMemory } from '../src/memory.ts';
import { prepareRedis } from './redis-server.ts';
import { captureLog, until } from './support.ts';

test('a service refuses a Redis that may drop jobs, and one that refuses it', async (t) => {
  const server = await prepareRedis(t, '--maxmemory-policy', 'allkeys-lru', '--requirepass', 'right');
  await server.start();
  const { logger } = captureLog();
  const open = (password: string): Promise<unknown> =>
    openService('worker', { redisUrl: `unix://${server.path}?password=${password}`, logger });
  await assert.rejects(open('right'), { code: 'REDIS_POLICY' });
  await assert.rejects(open('wrong'), { code: 'REDIS_REFUSED' });
});

test('health is served before Redis is there, and says what the start waits for', async (t) => {
  const server = await prepareRedis(t, '--appendonly', 'yes');
  const { logger, lines } = captureLog();
  const url = (): string => String(lines.find(({ msg }) => msg === 'health and metrics are served')?.['url']);
  const opening = openService('worker', { redisUrl: `unix://${server.path}`, logger });
  await until(() => url() !== 'undefined', 'health is served');
  const readyz = async (): Promise<{ status: number; checks: Record<string, string> }> => {
    const response = await fetch(`${url()}/readyz`);
    return { status: response.status, checks: ((await response.json()) as { checks: Record<string, string> }).checks };
  };
  assert.equal((await fetch(`${url()}/healthz`)).status, 200);
  await until(() => lines.some(({ msg }) => msg === 'Redis is still away'), 'Redis was looked for');
  const before = await readyz();
  assert.equal(before.status, 503);
  assert.match(String(before.checks['redis']), /ENOENT/);
  assert.equal(before.checks['start'], 'waiting for Redis');
  assert.match(await (await fetch(`${url()}/metrics`)).text(), /^blindfit_redis_up 0$/m);

  await server.start();
  const service = await opening;
  t.after(() => service.close());
  assert.equal((await readyz()).status, 503, 'the service itself says when it has started');
  service.start.clear();
  assert.deepEqual(await readyz(), { status: 200, checks: { start: 'ok', redis: 'ok' } });
  const metrics = await (await fetch(`${url()}/metrics`)).text();
  assert.match(metrics, /^blindfit_redis_up 1$/m);
  assert.match(metrics, new RegExp(`^blindfit_memory_limit_bytes ${availableMemory()}$`, 'm'));
  service.redis.disconnect();
  assert.equal((await readyz()).status, 503);
  await service.close();
  await assert.rejects(fetch(`${url()}/healthz`));
});

test('what is not there yet is waited for with one line at the begin and one at the end', async () => {
  const { logger, lines } = captureLog();
  const condition = new Readiness().condition('start');
  const reasons: (string | undefined)[] = [];
  let attempts = 0;
  const step = (): Promise<string> => {
    reasons.push(condition.reason);
    if (++attempts === 1) return Promise.reject(Object.assign(new Error('gone'), { code: 'EIO', syscall: 'stat' }));
    if (attempts === 2) return Promise.reject(new Error('LOADING Redis is loading the dataset in memory'));
    if (attempts === 3) return Promise.reject(new BlindfitError('AWAY', 'is away', { retryable: true }));
    return Promise.resolve('there');
  };
  assert.equal(await waitFor({ what: 'the store', condition, logger }, step), 'there');
  assert.deepEqual(
    lines.map(({ msg }) => msg),
    ['waiting for the store', 'the store is there'],
  );
  assert.equal(reasons.at(1), 'waiting for the store: gone');
  assert.equal(reasons.at(3), 'waiting for the store: is away');
  for (const error of [
    new BlindfitError('STORE_MISMATCH', 'another store'),
    Object.assign(new Error('no'), { code: 'EACCES', syscall: 'mkdir' }),
    new TypeError('a bug'),
    new Error('ERR unknown command'),
  ])
    await assert.rejects(
      waitFor({ what: 'it', condition, logger }, () => Promise.reject(error)),
      error,
    );
  await assert.rejects(
    waitFor({ what: 'it', condition, logger }, () => Promise.reject(new Error('NOPERM no permissions'))),
    { code: 'REDIS_REFUSED' },
  );
});

test('the end waits for Redis that is there, and without it only for what is computed', async (t) => {
  const server = await prepareRedis(t, '--appendonly', 'yes');
  await server.start();
  const { logger, lines } = captureLog();
  const open = (): ReturnType<typeof openService> =>
    openService('worker', { redisUrl: `unix://${server.path}`, logger });
  const orderly = await open();
  let stopped = false;
  await orderly.end(async () => {
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    stopped = true;
  });
  assert.ok(stopped);
  assert.equal(lines.filter(({ level }) => level === 'warn').length, 0);

  const service = await open();
  await server.stop();
  await until(() => service.redis.status !== 'ready', 'Redis is away');
  let busy = true;
  let ended = 0;
  const end = service
    .end(
      () => new Promise(() => undefined),
      () => busy,
    )
    .then(() => (ended = performance.now()));
  await new Promise((resolve) => setTimeout(resolve, 1_800));
  assert.equal(ended, 0, 'what is computed ends first');
  busy = false;
  const idle = performance.now();
  await end;
  assert.ok(ended - idle > 1_200 && ended - idle < 5_000, String(ended - idle));
  assert.match(String(lines.findLast(({ level }) => level === 'warn')?.['msg']), /ending without it/);
});

test('memory is the limit of the container, or else all of the machine', (t) => {
  const limit = t.mock.method(process, 'constrainedMemory', () => 2 ** 20);
  assert.equal(availableMemory(), 2 ** 20);
  limit.mock.mockImplementation(() => 0);
  assert.equal(availableMemory(), totalmem());
  limit.mock.mockImplementation(() => 2 ** 60);
  assert.equal(availableMemory(), totalmem());
});
