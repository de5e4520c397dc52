/** One stream for all jobs of a tenant. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { required } from '@blindfit/base';
import type { MadeToken } from '@blindfit/protocol';
import { jobOf } from './answers.ts';
import { EventsClient, type ServerEvent } from './events-client.ts';
import { makeJob, startService } from './service.ts';

test('a stream carries the open jobs of a tenant, every change and every end, and nothing of others', async (t) => {
  const service = await startService(t, { heartbeatMs: 60_000 });
  const { manifest } = await makeJob(service.store);
  const submit = async (): Promise<string> => (await jobOf(await service.submit(manifest), 201)).id;
  const [ended, first] = [await submit(), await submit()];
  await service.jobs.cancel(ended);
  const foreign = 'job-000000000000000000000001';
  const record = required(await service.jobs.get(first), 'the record');
  await service.jobs.create({ ...record, id: foreign, tenant: 'other', tasksTotal: 1, levels: 1, chains: 1 } as never);

  const made = await service.call('/v1/tokens', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ tenant: 'default', scopes: ['read'] }),
  });
  const { token } = (await made.json()) as MadeToken;
  const client = await EventsClient.open(`${service.url}/v1/jobs/events`, {
    authorization: `Bearer ${token}`,
    'last-event-id': '7',
  });
  t.after(() => client.disconnect());
  const next = async (): Promise<ServerEvent> => required(await client.next(), 'an event');
  const facts = ({ name, id, data }: ServerEvent): unknown[] => [name, id, data.id, data.state];
  assert.deepEqual(facts(await next()), ['progress', 8, first, 'queued']);
  const second = await submit();
  assert.deepEqual(facts(await next()), ['progress', 9, second, 'queued']);
  await service.jobs.start(foreign);
  await service.jobs.start(first);
  assert.deepEqual(facts(await next()), ['progress', 10, first, 'running']);
  await service.jobs.cancel(foreign);
  await service.jobs.cancel(second);
  assert.deepEqual(facts(await next()), ['progress', 11, second, 'cancelled']);
  assert.deepEqual(facts(await next()), ['end', 12, second, 'cancelled']);
  // Operators see those of all tenants.
  const all = await EventsClient.open(`${service.url}/v1/jobs/events`);
  t.after(() => all.disconnect());
  const event = required(await all.next(), 'an event');
  assert.deepEqual(facts(event), ['progress', 1, first, 'running']);
});
