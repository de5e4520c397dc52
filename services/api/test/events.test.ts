import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobView } from '@blindfit/protocol';
import type { JobStore } from '@blindfit/queue';
import { startRedis } from '@blindfit/redis-server';
import { temporaryDirectory, until } from '@blindfit/testkit';
import { EventsClient } from './events-client.ts';
import { makeJob, startService, type Service } from './service.ts';

async function submitted(service: Service): Promise<{ id: string; events: string }> {
  const { manifest } = await makeJob(service.store, { iterations: 2 });
  const response = await service.submit(manifest);
  assert.equal(response.status, 201, await response.clone().text());
  const { id } = (await response.json()) as JobView;
  return { id, events: `${service.url}/v1/jobs/${id}/events` };
}

function finishTask(jobs: JobStore, id: string, task: number): Promise<boolean> {
  const operations = { rotations: 1, relinearisations: 0, multiplications: 0, plainMultiplications: 0, rescales: 0 };
  return jobs.recordTask(id, `${id}.backward.${task}`, {
    kind: 'backward',
    iteration: 1,
    pair: 0,
    operations,
    startedAt: Date.now() - 10,
    finishedAt: Date.now(),
    loadKeysSeconds: 0,
  });
}

test('events: the state at once, every change, the end', async (t) => {
  const service = await startService(t);
  const { id, events } = await submitted(service);
  const client = await EventsClient.open(events);
  assert.equal(client.response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  assert.match(String(client.response.headers.get('cache-control')), /no-store/);
  assert.equal(client.response.headers.get('x-accel-buffering'), 'no');
  assert.equal(client.response.headers.get('content-length'), null);
  const first = await client.next();
  assert.equal(first?.name, 'progress');
  assert.deepEqual(first.data, await (await service.call(`/v1/jobs/${id}`)).json());
  await service.jobs.start(id);
  const running = await client.next();
  assert.equal(running?.data.state, 'running');
  await finishTask(service.jobs, id, 0);
  const progress = await client.next();
  assert.equal(progress?.data.progress.tasksDone, 1);
  assert.equal(progress.data.progress.classes, '0, 1');
  await service.jobs.fail(id, { code: 'HE_SEAL', message: 'a key is damaged' });
  const failed = await client.next();
  assert.equal(failed?.data.state, 'failed');
  assert.deepEqual(failed.data.error, { code: 'HE_SEAL', message: 'a key is damaged' });
  const end = await client.next();
  assert.equal(end?.name, 'end');
  assert.deepEqual(end.data, { id, state: 'failed' });
  assert.equal(await client.next(), undefined);
  const numbers = [first, running, progress, failed, end].map((event) => event.id);
  assert.deepEqual(numbers, [1, 2, 3, 4, 5]);

  // Whoever comes late gets the same end.
  const late = await EventsClient.open(events, { 'last-event-id': '41' });
  const names = [await late.next(), await late.next(), await late.next()].map(
    (event) => event && [event.name, event.id],
  );
  assert.deepEqual(names, [['progress', 42], ['end', 43], undefined]);
});

test('events: a burst of changes becomes a few events, the last of which is the newest state', async (t) => {
  const service = await startService(t);
  const { id, events } = await submitted(service);
  await service.jobs.start(id);
  const client = await EventsClient.open(events);
  const began = Date.now();
  for (let task = 0; task < 300; task++) await finishTask(service.jobs, id, task);
  const seen: number[] = [];
  await client.until((view) => {
    seen.push(view.progress.tasksDone);
    return view.progress.tasksDone === 300;
  });
  const allowed = 3 + Math.ceil((Date.now() - began) / 200);
  assert.ok(seen.length <= allowed, `${seen.length} events, ${allowed} would be five a second`);
  assert.deepEqual(
    seen,
    [...seen].sort((a, b) => a - b),
  );
  client.disconnect();
});

test('events: what no announcement told is found by looking', async (t) => {
  const service = await startService(t);
  const { id, events } = await submitted(service);
  const client = await EventsClient.open(events);
  await client.next();
  // Beyond the second look that every stream takes at its beginning.
  await sleep(500);
  // As after a lost message: the record changes, nobody says so.
  await service.redis.hset(service.jobs.keys.job(id), { state: 'running', phase: 'silent' });
  const event = await client.until((view) => view.state === 'running');
  assert.equal(event.data.progress.phase, 'silent');
  client.disconnect();
});

test('events: a client that goes away leaves nothing behind', async (t) => {
  const service = await startService(t);
  const { events } = await submitted(service);
  const streams = async (): Promise<number> =>
    Number(/^blindfit_api_event_streams (\d+)$/m.exec(await (await service.call('/metrics')).text())?.[1]);
  const clients = await Promise.all(Array.from({ length: 5 }, () => EventsClient.open(events)));
  await Promise.all(clients.map((client) => client.next()));
  assert.equal(await streams(), 5);
  for (const client of clients) client.disconnect();
  await until(async () => (await streams()) === 0, 'the streams are closed');
});

test('events: heartbeats in silence, and an orderly end without "end" when the API closes', async (t) => {
  const service = await startService(t, { heartbeatMs: 100 });
  const { events } = await submitted(service);
  const client = await EventsClient.open(events);
  assert.equal((await client.next())?.name, 'progress');
  for (let beat = 0; beat < 3; beat++) assert.equal((await client.next())?.name, 'heartbeat');
  const closing = service.api.close();
  let last = await client.next();
  while (last !== undefined) {
    assert.equal(last.name, 'heartbeat');
    last = await client.next();
  }
  await closing;
});

test('events: a stream ends soon after its token was revoked or has expired, and others go on', async (t) => {
  const service = await startService(t, { tokenCheckMs: 20 });
  const { id, events } = await submitted(service);
  const make = async (): Promise<{ id: string; headers: Record<string, string> }> => {
    const body = JSON.stringify({ tenant: 'default', scopes: ['read'] });
    const answer = await service.call('/v1/tokens', {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
    });
    assert.equal(answer.status, 201);
    const made = (await answer.json()) as { id: string; token: string };
    return { id: made.id, headers: { authorization: `Bearer ${made.token}` } };
  };
  const [revoked, expiring] = [await make(), await make()];
  const root = await EventsClient.open(events);
  const clients = [
    await EventsClient.open(events, revoked.headers),
    await EventsClient.open(events, revoked.headers),
    await EventsClient.open(events, expiring.headers),
  ];
  for (const client of [root, ...clients]) assert.equal((await client.next())?.name, 'progress');
  assert.equal((await service.call(`/v1/tokens/${revoked.id}`, { method: 'DELETE' })).status, 204);
  const key = service.jobs.keys.tokens;
  const stored = JSON.parse(String(await service.redis.hget(key, expiring.id))) as object;
  await service.redis.hset(key, expiring.id, JSON.stringify({ ...stored, expiresAt: new Date().toISOString() }));
  for (const client of clients) assert.equal(await client.next(), undefined);
  for (const { headers } of [revoked, expiring]) assert.equal((await fetch(events, { headers })).status, 401);
  await service.jobs.start(id);
  assert.equal((await root.next())?.data.state, 'running');
  root.disconnect();
});

test('events: an unknown job is 404, without a token 401', async (t) => {
  const service = await startService(t);
  const unknown = await service.call('/v1/jobs/job-000000000000000000000000/events');
  assert.equal(unknown.status, 404);
  assert.equal(((await unknown.json()) as { code: string }).code, 'JOB_NOT_FOUND');
  assert.equal((await fetch(`${service.url}/v1/jobs/job-000000000000000000000000/events`)).status, 401);
});

test('a Redis that is killed and comes back: streams go on, requests fail with 503, nothing is lost', async (t) => {
  const dataDir = await temporaryDirectory(t);
  const log = (): undefined => undefined;
  let redis = await startRedis({ dataDir, log });
  t.after(() => redis.stop());
  const service = await startService(t, { redisUrl: redis.url });
  const { manifest } = await makeJob(service.store);
  const answer = await service.submit(manifest, 'the key');
  const { id } = (await answer.json()) as JobView;
  const client = await EventsClient.open(`${service.url}/v1/jobs/${id}/events`);
  assert.equal((await client.next())?.data.state, 'queued');

  process.kill(redis.pid, 'SIGKILL');
  await redis.exited;
  const began = Date.now();
  const refused = await service.call(`/v1/jobs/${id}`);
  assert.equal(refused.status, 503);
  assert.equal(((await refused.json()) as { code: string }).code, 'REDIS_UNAVAILABLE');
  assert.ok(Date.now() - began < 6_000);
  const ready = await fetch(`${service.url}/readyz`);
  assert.equal(ready.status, 503);
  assert.deepEqual(((await ready.json()) as { failing: string[] }).failing, ['redis']);
  const metrics = await (await service.call('/metrics')).text();
  assert.match(metrics, /^blindfit_http_request_duration_seconds_count/m);
  assert.doesNotMatch(
    metrics,
    /^blindfit_(jobs\b|jobs_awaiting|refresh_oldest|job_oldest|queue_|cluster|redis_memory)/m,
  );
  assert.match(metrics, /^blindfit_redis_up 0$/m);

  redis = await startRedis({ dataDir, log });
  assert.equal(redis.url, service.options.redisUrl);
  await until(async () => (await fetch(`${service.url}/readyz`)).status === 200, 'Redis is back');
  await service.jobs.start(id);
  await client.until((view) => view.state === 'running');
  assert.equal((await service.submit(manifest, 'the key')).status, 200);
  assert.equal((await service.queue.getJob(id))?.data.job, id);
  // The subscription is back as well: faster than a look every two seconds would be.
  await sleep(300);
  const latencies: number[] = [];
  for (let task = 0; task < 5; task++) {
    const changed = Date.now();
    await finishTask(service.jobs, id, task);
    await client.until((view) => view.progress.tasksDone === task + 1);
    latencies.push(Date.now() - changed);
  }
  assert.ok(latencies.filter((latency) => latency < 1000).length >= 4, latencies.join(', '));
  await service.jobs.cancel(id);
  await client.until((view) => view.state === 'cancelled');
  assert.equal((await client.next())?.name, 'end');
});

test('closing while Redis is away does not hang', async (t) => {
  const redis = await startRedis({ dataDir: await temporaryDirectory(t), log: () => undefined });
  t.after(() => redis.stop());
  const service = await startService(t, { redisUrl: redis.url });
  process.kill(redis.pid, 'SIGKILL');
  await redis.exited;
  await sleep(200);
  const late = sleep(5_000, 'late', { ref: false });
  assert.notEqual(await Promise.race([service.api.close(), late]), 'late');
});
