/** Records that cannot be read break nobody\u2019s list, are counted, and can be deleted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at } from '@blindfit/base';
import type { JobView } from '@blindfit/protocol';
import { jobOf, problemOf } from './answers.ts';
import { makeJob, startService } from './service.ts';

test('wrong records are skipped, counted and deletable', async (t) => {
  const service = await startService(t);
  const { manifest } = await makeJob(service.store);
  const ids: string[] = [];
  for (let i = 0; i < 6; i++) ids.push((await jobOf(await service.submit(manifest), 201)).id);
  const key = (position: number): string => service.jobs.keys.job(at(ids, position, 'ids'));
  await service.redis.hset(key(0), 'job', '{');
  await service.redis.hdel(key(1), 'job');
  await service.redis.hset(key(2), 'createdAt', 'yesterday');
  await service.redis.hset(key(3), 'result', '{"models": 1}');
  await service.redis.hset(key(4), 'chain:0', JSON.stringify({ phase: 'awaiting', request: 7 }));
  const list = async (): Promise<string[]> => {
    const response = await service.call('/v1/jobs');
    assert.equal(response.status, 200);
    return ((await response.json()) as { jobs: JobView[] }).jobs.map(({ id }) => id);
  };
  assert.deepEqual(await list(), [ids[5]]);
  assert.match(await (await service.call('/metrics')).text(), /^blindfit_job_records_wrong 5$/m);
  assert.equal((await service.call('/metrics/jobs')).status, 200);
  await problemOf(await service.call(`/v1/jobs/${at(ids, 0, 'ids')}`), 409, 'RECORD_WRONG');
  for (const id of ids.slice(0, 5)) {
    assert.equal((await service.call(`/v1/jobs/${id}`, { method: 'DELETE' })).status, 204);
    await problemOf(await service.call(`/v1/jobs/${id}`), 404, 'JOB_NOT_FOUND');
  }
  assert.match(await (await service.call('/metrics')).text(), /^blindfit_job_records_wrong 0$/m);
  assert.equal(await service.redis.zcard(service.jobs.keys.index), 1);
  assert.deepEqual(await list(), [ids[5]]);
});
