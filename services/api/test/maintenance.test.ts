/** While it is on, submissions are refused and the queues stand still; with `drain` they go on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jobOf, problemOf } from './answers.ts';
import { makeJob, startService } from './service.ts';

test('new jobs are refused, accepted ones wait; afterwards both go on', async (t) => {
  const service = await startService(t);
  const set = async (body: object): Promise<Record<string, unknown>> => {
    const headers = { 'content-type': 'application/json' };
    const response = await service.call('/v1/maintenance', { method: 'PUT', body: JSON.stringify(body), headers });
    assert.equal(response.status, 200);
    return (await response.json()) as Record<string, unknown>;
  };
  const current = async (): Promise<unknown> => (await service.call('/v1/maintenance')).json();
  const gauge = async (): Promise<string | undefined> =>
    /^blindfit_maintenance (\d)$/m.exec(await (await service.call('/metrics')).text())?.[1];
  const { manifest } = await makeJob(service.store);
  const before = await jobOf(await service.submit(manifest, 'before'), 201);
  assert.deepEqual(await current(), { on: false });
  assert.equal(await gauge(), '0');

  const state = await set({ on: true, reason: 'new disks' });
  const since = Date.parse(String(state['since']));
  assert.ok(Math.abs(Date.now() - since) < 60_000, String(state['since']));
  assert.deepEqual(await current(), { on: true, reason: 'new disks', since: state['since'] });
  assert.equal(await gauge(), '1');
  assert.deepEqual([await service.queue.isPaused(), await service.chains.isPaused()], [true, true]);
  const refused = await service.submit(manifest, 'during');
  assert.equal(refused.headers.get('retry-after'), '5');
  assert.match((await problemOf(refused, 503, 'MAINTENANCE')).detail, /new disks/);
  assert.equal((await jobOf(await service.submit(manifest, 'before'), 200)).id, before.id, 'it was accepted before');
  assert.equal((await service.call('/readyz')).status, 200, 'the API answers');

  const drained = await set({ on: true, drain: true });
  assert.deepEqual(drained, { on: true, drain: true, since: state['since'] });
  assert.deepEqual([await service.queue.isPaused(), await service.chains.isPaused()], [false, false]);
  await problemOf(await service.submit(manifest, 'during'), 503, 'MAINTENANCE');

  await set({ on: true });
  assert.deepEqual(await set({ on: false }), { on: false });
  assert.equal(await service.queue.isPaused(), false);
  await jobOf(await service.submit(manifest, 'during'), 201);
  const wrong = await service.call('/v1/maintenance', {
    method: 'PUT',
    body: '{"on":true,"drian":true}',
    headers: { 'content-type': 'application/json' },
  });
  await problemOf(wrong, 400, 'INVALID_REQUEST');
});
