/** What the collector does about records: those it cannot read through, those that expire, and what it tells. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { test } from 'node:test';
import { parseDigest } from '@blindfit/base';
import { age, all, DAY, HOUR, inputsOf, intermediates, setup, submitAged } from './collecting.ts';
import { makeJob } from './service.ts';

test('a manifest that is gone or damaged: blobs of its tenant stay, others go, and it is told', async (t) => {
  const { service, collector, log, metric } = await setup(t);
  const { manifest } = await makeJob(service.store);
  const job = await submitAged(service, manifest, 3 * DAY);
  await service.jobs.cancel(job.id);
  const [own = '', ofTwo = '', ...garbage] = await intermediates(service, 4);
  for (const digest of [ofTwo, ...garbage]) await service.jobs.blobs.remove(digest);
  await service.jobs.blobs.add('default', [own]);
  await service.jobs.blobs.add('another', [ofTwo]);
  await age(service, await all(service), 2 * DAY);
  await rm(service.store.pathOf(parseDigest(job.manifest)));
  const before = await all(service);
  assert.equal((await collector.collect())?.collected, 3);
  const stays = new Set(before);
  for (const digest of [ofTwo, ...garbage]) stays.delete(digest);
  assert.deepEqual(await all(service), stays);
  const warning = log.find(({ level }) => level === 'warn');
  assert.deepEqual([warning?.['job'], warning?.['manifest'], warning?.['tenant']], [job.id, job.manifest, 'default']);
  assert.match(String(warning?.msg), /no blobs of its tenant are collected/);
  assert.equal(await metric('blindfit_collector_standing{reason="manifests"}'), 1);

  assert.equal((await service.submit(manifest)).status, 201, 'somebody sends it again');
  await age(service, [own], 10 * DAY);
  assert.equal((await collector.collect())?.collected, 1);
  assert.equal(await metric('blindfit_collector_standing{reason="manifests"}'), 0);
});

test('records of jobs that ended long ago go, and what only they named; running ones stay', async (t) => {
  const { service, collector, log, metric } = await setup(t, { recordRetentionMs: 30 * DAY });
  const { manifest } = await makeJob(service.store);
  const other = await makeJob(service.store, {}, { samples: 90, features: 5, classes: 2 });
  const [old, recent, running] = [
    await submitAged(service, other.manifest, 40 * DAY),
    await submitAged(service, manifest, 40 * DAY),
    await submitAged(service, manifest, 40 * DAY),
  ];
  const [model = ''] = await intermediates(service, 1);
  await service.jobs.succeed(old.id, [model]);
  await service.jobs.fail(recent.id, { code: 'X', message: 'x' });
  const endedAgo = async (id: string, ms: number): Promise<void> => {
    const { states } = service.jobs.keys;
    const score = Number(await service.redis.zscore(states, id)) - ms;
    for (const set of [states, service.jobs.keys.ofTenant(states, 'default')]) await service.redis.zadd(set, score, id);
  };
  await endedAgo(old.id, 30 * DAY + HOUR);
  await endedAgo(recent.id, 30 * DAY - HOUR);
  await age(service, await all(service), 50 * DAY);
  await collector.collect();
  assert.equal(await service.jobs.get(old.id), undefined);
  assert.equal(await service.redis.exists(service.jobs.keys.job(old.id), service.jobs.keys.tasks(old.id)), 0);
  assert.deepEqual(new Set((await service.jobs.list(9)).map(({ id }) => id)), new Set([recent.id, running.id]));
  assert.equal(await metric('blindfit_job_records_expired_total'), 1);
  assert.ok(log.some(({ msg, jobs }) => jobs === 1 && /ended long ago/.test(msg)));
  const left = await all(service);
  assert.deepEqual([left.has(old.manifest), left.has(model), left.has(recent.manifest)], [false, false, true]);
  for (const digest of inputsOf(manifest)) assert.ok(left.has(digest));
});

test('metrics say when the collector last got through, and what it stands for', async (t) => {
  const { service, collector, metric } = await setup(t);
  const last = async (): Promise<number> => Number(await metric('blindfit_collector_last_success_timestamp_seconds'));
  const began = await last();
  assert.ok(Math.abs(began - Date.now() / 1000) < 60, 'its start counts');
  await makeJob(service.store);
  await collector.collect();
  assert.ok((await last()) > began);
  assert.equal(await metric('blindfit_collector_errors_total'), 0);
  const { manifest } = await makeJob(service.store);
  await submitAged(service, manifest, DAY);
  const list = service.store.list.bind(service.store);
  service.store.list = () => {
    throw new Error('no directory');
  };
  const before = await last();
  await assert.rejects(collector.collect(), /no directory/);
  assert.deepEqual([await last(), await metric('blindfit_collector_errors_total')], [before, 1]);
  assert.equal(await metric('blindfit_collector_standing{reason="error"}'), 1);
  service.store.list = list;
  await collector.collect();
  assert.equal(await metric('blindfit_collector_standing{reason="error"}'), 0);
  await service.redis.del(service.jobs.keys.store);
  await assert.rejects(collector.collect(), { code: 'STORE_UNCONFIRMED' });
  assert.equal(await metric('blindfit_collector_standing{reason="store"}'), 1);
});
