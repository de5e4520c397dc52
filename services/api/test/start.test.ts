import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Redis } from 'ioredis';
import { resolveRedisBinary, startRedis } from '@blindfit/redis-server';
import { createLogger, parseRedisUrl } from '@blindfit/service';
import { freePort, temporaryDirectory, until } from '@blindfit/testkit';
import { startApi, type StartApiOptions } from '../src/index.ts';
import { sharedRedis, startService, TOKEN } from './service.ts';

const logger = createLogger({ service: 'api', level: 'silent' });

test('a port that is taken is named, with what to do', async (t) => {
  const { url, options } = await startService(t);
  const port = Number(new URL(url).port);
  await assert.rejects(startApi({ ...options, port }), {
    code: 'PORT_IN_USE',
    message: `port ${port} of 127.0.0.1 is in use by another program`,
    hint: /BLINDFIT_PORT/,
  });
  await assert.rejects(startApi({ ...options, host: '203.0.113.1' }), { code: 'CANNOT_LISTEN', hint: /BLINDFIT_HOST/ });
  // What did not start left the first one alone.
  assert.equal((await fetch(`${url}/readyz`)).status, 200);
});

test('a store behind HTTP and a Redis that evicts are refused', async (t) => {
  const directory = await temporaryDirectory(t);
  const base: StartApiOptions = {
    redisUrl: (await sharedRedis()).url,
    storeUrl: pathToFileURL(directory).href,
    token: TOKEN,
    port: 0,
    tenantDefaults: { runningJobs: 16 },
    logger,
  };
  for (const storeUrl of ['http://127.0.0.1:8080', 'https://blobs.example', 'ftp://x', 'nonsense']) {
    await assert.rejects(startApi({ ...base, storeUrl }), { code: 'INVALID_STORE_URL' }, storeUrl);
  }
  const own = await startRedis({ dataDir: await temporaryDirectory(t), log: () => undefined });
  t.after(() => own.stop());
  const admin = new Redis(parseRedisUrl(own.url));
  await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
  admin.disconnect();
  await assert.rejects(startApi({ ...base, redisUrl: own.url }), { code: 'REDIS_POLICY', hint: /noeviction/ });
});

test('readiness notices a store that went away and came back', async (t) => {
  const { url, storeDirectory } = await startService(t);
  await rename(storeDirectory, `${storeDirectory}-away`);
  const gone = await fetch(`${url}/readyz`);
  assert.equal(gone.status, 503);
  assert.deepEqual(((await gone.json()) as { failing: string[] }).failing, ['store']);
  await rename(`${storeDirectory}-away`, storeDirectory);
  assert.equal((await fetch(`${url}/readyz`)).status, 200);
});

test('while it waits for Redis the API answers probes, and tells all others to come again', async (t) => {
  const own = await startRedis({ dataDir: await temporaryDirectory(t), log: () => undefined });
  await own.stop();
  const port = await freePort();
  const storeUrl = pathToFileURL(await temporaryDirectory(t)).href;
  const starting = startApi({
    redisUrl: own.url,
    storeUrl,
    token: TOKEN,
    port,
    tenantDefaults: { runningJobs: 1 },
    logger,
  });
  const get = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${port}${path}`);
  await until(
    () =>
      get('/healthz').then(
        ({ status }) => status === 200,
        () => false,
      ),
    'health is served',
  );
  assert.equal((await get('/readyz')).status, 503);
  const early = await get('/v1/jobs');
  assert.equal(early.status, 503);
  assert.equal(early.headers.get('retry-after'), '2');
  assert.match(String(early.headers.get('content-type')), /^application\/problem\+json/);
  assert.equal(((await early.json()) as { code: string }).code, 'STARTING');
  assert.equal((await get('/metrics')).status, 503, 'metrics are for those with a token');
  const socket = String(own.socketPath);
  await mkdir(dirname(socket), { recursive: true });
  const redis = spawn(await resolveRedisBinary(), [
    '--port',
    '0',
    '--unixsocket',
    socket,
    '--save',
    '',
    '--appendonly',
    'no',
  ]);
  t.after(() => redis.kill('SIGKILL'));
  const api = await starting;
  assert.equal(api.url, `http://127.0.0.1:${port}`);
  assert.equal((await get('/readyz')).status, 200);
  assert.equal((await get('/v1/jobs')).status, 401);
  await api.close();
});

test('an API with the store of another cluster does not start', async (t) => {
  const { options } = await startService(t);
  const storeUrl = pathToFileURL(await temporaryDirectory(t)).href;
  await startApi({ ...options, queuePrefix: '{other}', storeUrl, port: 0 }).then((api) => api.close());
  await assert.rejects(startApi({ ...options, storeUrl, port: 0 }), { code: 'STORE_MISMATCH', hint: /store adopt/ });
});

test('close may be called twice, frees the port, and leaves signals alone', async (t) => {
  const before = [process.listenerCount('SIGTERM'), process.listenerCount('SIGINT')];
  const service = await startService(t);
  assert.deepEqual([process.listenerCount('SIGTERM'), process.listenerCount('SIGINT')], before);
  await Promise.all([service.api.close(), service.api.close()]);
  await assert.rejects(fetch(service.url));
  const again = await startApi({ ...service.options, port: Number(new URL(service.url).port) });
  assert.equal(again.url, service.url);
  await again.close();
});
