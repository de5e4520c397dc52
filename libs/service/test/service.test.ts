/** What all services have in common: the start on Redis, health, and the memory that metrics tell of. */
import assert from 'node:assert/strict';
import { totalmem } from 'node:os';
import { test } from 'node:test';
import { openService } from '@blindfit/service';
import { availableMemory } from '../src/memory.ts';
import { prepareRedis } from './redis-server.ts';
import { captureLog } from './support.ts';

test('a service refuses a Redis that may drop jobs, and one that is not there', async (t) => {
  const server = await prepareRedis(t, '--maxmemory-policy', 'allkeys-lru');
  await server.start();
  const { logger } = captureLog();
  const open = (path: string): Promise<unknown> =>
    openService('worker', { redisUrl: `unix://${path}`, redisTimeoutMs: 2_000, logger });
  await assert.rejects(open(server.path), { code: 'REDIS_POLICY' });
  await assert.rejects(open(`${server.path}.none`), { code: 'REDIS_UNAVAILABLE' });
});

test('its health says whether Redis is there', async (t) => {
  const server = await prepareRedis(t, '--appendonly', 'yes');
  await server.start();
  const { logger } = captureLog();
  const service = await openService('worker', { redisUrl: `unix://${server.path}`, logger });
  const health = await service.serveHealth();
  const { url } = health;
  t.after(async () => {
    await health.close();
    await service.close();
  });
  assert.equal((await fetch(`${url}/readyz`)).status, 200);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  assert.match(metrics, /^blindfit_redis_up 1$/m);
  assert.match(metrics, new RegExp(`^blindfit_memory_limit_bytes ${availableMemory()}$`, 'm'));
  service.redis.disconnect();
  assert.equal((await fetch(`${url}/readyz`)).status, 503);
  assert.match(await (await fetch(`${url}/metrics`)).text(), /^blindfit_redis_up 0$/m);
});

test('memory is the limit of the container, or else all of the machine', (t) => {
  const limit = t.mock.method(process, 'constrainedMemory', () => 2 ** 20);
  assert.equal(availableMemory(), 2 ** 20);
  limit.mock.mockImplementation(() => 0);
  assert.equal(availableMemory(), totalmem());
  limit.mock.mockImplementation(() => 2 ** 60);
  assert.equal(availableMemory(), totalmem());
});
