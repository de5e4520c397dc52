import assert from 'node:assert/strict';
import { rename, rm, stat, utimes } from 'node:fs/promises';
import { test, type TestContext } from 'node:test';
import { Registry } from 'prom-client';
import { parseDigest, type Digest } from '@blindfit/base';
import { readTrainingManifest, type JobView, type TrainingManifest } from '@blindfit/protocol';
import { StoreBinding } from '@blindfit/queue';
import { createLogger } from '@blindfit/service';
import { until } from '@blindfit/testkit';
import { expectedBlobs, trainingPlanOf } from '@blindfit/training';
import { startCollector, type Collector } from '../src/collector.ts';
import { addCollectorMetrics } from '../src/metrics.ts';
import { makeJob, putBlob, startService, type Service } from './service.ts';
import { randomBlob } from './support.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

interface LogLine {
  level: string;
  msg: string;
  [field: string]: unknown;
}

interface Setup {
  service: Service;
  collector: Collector;
  log: LogLine[];
  /** The value of a metric, undefined where there is no sample. */
  metric: (name: string) => Promise<number | undefined>;
}

/** An API, and a collector on its store that works when it is told to. */
async function setup(
  t: TestContext,
  times: { firstMs?: number; intervalMs?: number; retentionMs?: number; recordRetentionMs?: number } = {},
): Promise<Setup> {
  const service = await startService(t, { retentionMs: Infinity });
  const registry = new Registry();
  const log: LogLine[] = [];
  const logger = createLogger({
    service: 'test',
    level: 'debug',
    destination: { write: (line: string) => void log.push(JSON.parse(line) as LogLine) },
  });
  const { store, redis, jobs } = service;
  const collector = startCollector({
    store,
    redis,
    jobs,
    prefix: service.options.queuePrefix ?? '',
    retentionMs: DAY,
    logger,
    metrics: addCollectorMetrics(registry),
    ...times,
  });
  t.after(() => collector.close());
  const metric = async (name: string): Promise<number | undefined> => {
    const line = (await registry.metrics()).split('\n').find((each) => each.startsWith(`${name} `));
    return line === undefined ? undefined : Number(line.split(' ')[1]);
  };
  return { service, collector, log, metric };
}

/** Submits a job and gives it a past. */
async function submitAged(service: Service, manifest: TrainingManifest, ageMs: number): Promise<JobView> {
  const response = await service.submit(manifest);
  assert.equal(response.status, 201);
  const job = (await response.json()) as JobView;
  await service.redis.hset(service.jobs.keys.job(job.id), 'createdAt', Date.now() - ageMs);
  return job;
}

async function age({ store }: Service, digests: Iterable<string>, ageMs: number): Promise<void> {
  const time = new Date(Date.now() - ageMs);
  for (const digest of digests) await utimes(store.pathOf(parseDigest(digest)), time, time);
}

async function all({ store }: Service): Promise<Set<string>> {
  return new Set((await Array.fromAsync(store.list())).map(({ digest }) => digest));
}

/** Stores blobs nobody but their maker knows. */
async function intermediates({ store }: Service, count: number): Promise<Digest[]> {
  const digests: Digest[] = [];
  for (let i = 0; i < count; i++) {
    const { bytes, digest } = randomBlob(1000);
    await putBlob(store, bytes);
    digests.push(digest);
  }
  return digests;
}

const inputsOf = (manifest: TrainingManifest): string[] => [
  ...new Set(expectedBlobs(trainingPlanOf(readTrainingManifest(manifest))).map(({ digest }) => digest)),
];

test('after a loss of Redis nothing is removed until an operator adopts the store', async (t) => {
  const { service, collector } = await setup(t);
  const { manifest } = await makeJob(service.store);
  const [old] = await intermediates(service, 1);
  assert.ok(old);
  await age(service, [old], 3 * DAY);
  await service.redis.del(service.jobs.keys.store);
  await submitAged(service, manifest, 0);
  await assert.rejects(collector.collect(), { code: 'STORE_UNCONFIRMED', hint: /store adopt/ });
  assert.equal((await fetch(`${service.url}/readyz`)).status, 200, 'new jobs do run');
  assert.ok((await all(service)).has(old));
  await new StoreBinding(service.redis, service.jobs.keys, service.store).adopt();
  await collector.collect();
  assert.ok(!(await all(service)).has(old));
});

test('old intermediates of finished jobs go; manifests, inputs, keys, models and iterates stay', async (t) => {
  const { service, collector, log, metric } = await setup(t);
  const { manifest } = await makeJob(service.store);
  const other = await makeJob(service.store, {}, { samples: 90, features: 5, classes: 2 });
  const [done, failed, cancelled] = [
    await submitAged(service, manifest, 3 * DAY),
    await submitAged(service, manifest, 3 * DAY),
    await submitAged(service, other.manifest, 3 * DAY),
  ];
  const [model, second, first, ...garbage] = await intermediates(service, 20);
  const recent = await intermediates(service, 3);
  assert.ok(model && second && first);
  await service.jobs.succeed(done.id, [model], [[first], [first, second]]);
  await service.jobs.fail(failed.id, { code: 'X', message: 'x' });
  await service.jobs.cancel(cancelled.id);
  const needed = [
    done.manifest,
    cancelled.manifest,
    ...inputsOf(manifest),
    ...inputsOf(other.manifest),
    model,
    first,
    second,
  ];
  const before = await all(service);
  assert.deepEqual(before, new Set([...needed, ...garbage, ...recent]), 'the test knows every blob');
  await age(service, before, 2 * DAY);
  await age(service, recent, DAY - HOUR);
  assert.equal(await metric('blindfit_blob_bytes'), undefined);
  let leftovers = 0;
  service.store.removeLeftovers = () => {
    leftovers++;
    return Promise.resolve();
  };

  const result = await collector.collect();
  assert.deepEqual(await all(service), new Set([...needed, ...recent]));
  assert.equal(leftovers, 1);
  const [gone = ''] = garbage;
  assert.equal(await service.jobs.blobs.has('default', gone), false, 'what is gone has no owner');
  assert.equal(await service.jobs.blobs.has('default', model), true);
  const sizes = await Array.fromAsync(service.store.list(), ({ size }) => size);
  const leftBytes = sizes.reduce((sum, size) => sum + size, 0);
  assert.deepEqual(result, { collected: 17, collectedBytes: 17_000, left: sizes.length, leftBytes });
  assert.equal(await metric('blindfit_blobs_collected_total'), 17);
  assert.equal(await metric('blindfit_blob_collected_bytes_total'), 17_000);
  assert.equal(await metric('blindfit_blob_bytes'), leftBytes);
  const lines = log.filter(({ msg }) => msg === 'blobs collected');
  assert.equal(lines.length, 1);
  assert.equal(lines[0]?.['collected'], 17);

  await age(service, recent, 2 * DAY);
  assert.equal((await collector.collect())?.collected, 3);
  assert.deepEqual(await all(service), new Set(needed));
  for (const digest of needed) await service.store.get(parseDigest(digest));
});

test('nothing of a job that has not ended goes, whatever its age; what is older than the job does', async (t) => {
  const { service, collector } = await setup(t);
  const { manifest } = await makeJob(service.store);
  const ended = await submitAged(service, manifest, 9 * DAY);
  await service.jobs.cancel(ended.id);
  const [queued, running] = [
    await submitAged(service, manifest, 5 * DAY),
    await submitAged(service, manifest, 4 * DAY),
  ];
  await service.jobs.start(running.id);
  const older = await intermediates(service, 5);
  const between = await intermediates(service, 5);
  const own = await intermediates(service, 5);
  // Inputs were there long before the job; its manifest names them.
  await age(service, [...inputsOf(manifest), running.manifest], 30 * DAY);
  await age(service, older, 5 * DAY + HOUR);
  await age(service, between, 5 * DAY - HOUR);
  await age(service, own, 4 * DAY - HOUR);
  const protectedByQueued = new Set([...inputsOf(manifest), running.manifest, ...between, ...own]);
  assert.equal((await collector.collect())?.collected, 5);
  assert.deepEqual(await all(service), protectedByQueued);

  await service.jobs.cancel(queued.id);
  assert.equal((await collector.collect())?.collected, 5);
  assert.deepEqual(await all(service), new Set([...inputsOf(manifest), running.manifest, ...own]));

  // A clock that dates files somewhat differently is no reason to lose any.
  await age(service, own, 4 * DAY + 30_000);
  assert.equal((await collector.collect())?.collected, 0);
  await service.jobs.cancel(running.id);
  assert.equal((await collector.collect())?.collected, 5);
  assert.deepEqual(await all(service), new Set([...inputsOf(manifest), running.manifest]));
});

test('digests at the borders of the chunks of a large manifest are found', async (t) => {
  const { service, collector } = await setup(t);
  const { manifest } = await makeJob(service.store);
  const job = await submitAged(service, manifest, 3 * DAY);
  await service.jobs.cancel(job.id);
  const named = await intermediates(service, 36);
  // Read in chunks of 64 KiB: every border cuts through a digest, each at another place.
  const body = named.reduce(
    (text, digest, i) => text.padEnd(65_536 * (i + 1) - 2 * i, 'é') + digest,
    '{"of a future kind":"',
  );
  const large = await putBlob(service.store, Buffer.from(`${body}"}`, 'latin1'));
  const record = JSON.parse(String(await service.redis.hget(service.jobs.keys.job(job.id), 'job'))) as JobView;
  await service.redis.hset(service.jobs.keys.job(job.id), 'job', JSON.stringify({ ...record, manifest: large }));
  await age(service, await all(service), 2 * DAY);
  await collector.collect();
  assert.deepEqual(await all(service), new Set([large, ...named]), 'and what only the old manifest named is gone');
});

test('a manifest that is gone or damaged: blobs of its tenant stay, others go, and log and metrics say why', async (t) => {
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
  assert.match(warning?.msg ?? '', /no blobs of its tenant are collected/);
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
  const { list } = service.store;
  service.store.list = () => {
    throw new Error('no directory');
  };
  const before = await last();
  await assert.rejects(collector.collect(), /no directory/);
  assert.deepEqual([await last(), await metric('blindfit_collector_errors_total')], [before, 1]);
  assert.equal(await metric('blindfit_collector_standing{reason="error"}'), 1);
  service.store.list = list.bind(service.store);
  await collector.collect();
  assert.equal(await metric('blindfit_collector_standing{reason="error"}'), 0);
  await service.redis.del(service.jobs.keys.store);
  await assert.rejects(collector.collect(), { code: 'STORE_UNCONFIRMED' });
  assert.equal(await metric('blindfit_collector_standing{reason="store"}'), 1);
});

test('a Redis without any job is no reason to empty a store', async (t) => {
  const { service, collector } = await setup(t);
  const blobs = await intermediates(service, 3);
  await age(service, blobs, 100 * DAY);
  assert.equal(await collector.collect(), undefined);
  assert.deepEqual(await all(service), new Set(blobs));
});

test('a submission makes blobs new that nobody had asked about', async (t) => {
  const { service, collector } = await setup(t);
  const [first, second] = [
    await makeJob(service.store),
    await makeJob(service.store, {}, { samples: 90, features: 5, classes: 2 }),
  ];
  await service.jobs.cancel((await submitAged(service, first.manifest, 3 * DAY)).id);
  await age(service, await all(service), 2 * DAY);
  assert.equal((await service.submit(second.manifest)).status, 201);
  for (const digest of inputsOf(second.manifest))
    assert.ok(Date.now() - (await stat(service.store.pathOf(parseDigest(digest)))).mtimeMs < 60_000);
  assert.equal((await collector.collect())?.collected, 0);
});

test(
  'one at a time over all processes, and a process that died is waited for no longer than its lock ' + 'lasts',
  async (t) => {
    const { service, collector } = await setup(t);
    const { manifest } = await makeJob(service.store);
    await service.jobs.cancel((await submitAged(service, manifest, 3 * DAY)).id);
    const results = await Promise.all([collector.collect(), collector.collect(), collector.collect()]);
    assert.equal(results.filter((result) => result !== undefined).length, 1);
    assert.notEqual(await collector.collect(), undefined, 'the lock is given back');

    const lock = `${service.options.queuePrefix}:collecting`;
    assert.equal(await service.redis.exists(lock), 0);
    await service.redis.set(lock, 'another', 'PX', 300);
    assert.equal(await collector.collect(), undefined);
    assert.equal(await service.redis.get(lock), 'another', 'a lock of another is left alone');
    await until(async () => (await service.redis.exists(lock)) === 0, 'it has run out');
    assert.notEqual(await collector.collect(), undefined);
  },
);

test('a lock that has run out and was taken by another is left alone; closing waits for what runs', async (t) => {
  const { service, collector } = await setup(t);
  const { manifest } = await makeJob(service.store);
  await service.jobs.cancel((await submitAged(service, manifest, 3 * DAY)).id);
  const lock = `${service.options.queuePrefix}:collecting`;
  const listing = Promise.withResolvers<undefined>();
  const going = Promise.withResolvers<undefined>();
  service.store.list = async function* () {
    listing.resolve(undefined);
    await going.promise;
    yield* [];
  };
  const running = collector.collect();
  await listing.promise;
  assert.ok((await service.redis.pttl(lock)) > 590_000);
  await service.redis.set(lock, 'another');
  let closed = false;
  const closing = collector.close().then(() => (closed = true));
  await service.redis.ping();
  assert.equal(closed, false);
  going.resolve(undefined);
  await Promise.allSettled([running, closing]);
  assert.equal(closed, true);
  assert.equal(await service.redis.get(lock), 'another');
});

test('one blob that cannot be removed keeps no other', async (t) => {
  const { service, collector, log } = await setup(t);
  const { manifest } = await makeJob(service.store);
  await service.jobs.cancel((await submitAged(service, manifest, 3 * DAY)).id);
  const digests: string[] = [];
  for (let count = 0; count < 3; count++) {
    const digest = await putBlob(service.store, randomBlob(100).bytes);
    const old = new Date(Date.now() - 2 * DAY);
    await utimes(service.store.pathOf(parseDigest(digest)), old, old);
    digests.push(digest);
  }
  const stuck = digests.toSorted()[0];
  const collect = service.store.collect.bind(service.store);
  service.store.collect = (digest, olderThan) =>
    digest === stuck ? Promise.reject(new Error('it is immutable')) : collect(digest, olderThan);
  assert.equal((await collector.collect())?.collected, 2);
  const warnings = log.filter(({ level }) => level === 'warn');
  assert.deepEqual(
    warnings.map(({ msg, blobs }) => [msg, blobs]),
    [['blobs could not be removed', 1]],
  );
});

test('it collects by itself, again and again, and not after it was closed', async (t) => {
  const { service, collector, log } = await setup(t, { firstMs: 50, intervalMs: 50, retentionMs: HOUR });
  const { manifest } = await makeJob(service.store);
  await service.jobs.cancel((await submitAged(service, manifest, 3 * DAY)).id);
  for (let round = 0; round < 3; round++) {
    const garbage = await intermediates(service, 3);
    await age(service, garbage, 2 * HOUR);
    await until(
      async () => (await service.store.has(garbage[0] ?? parseDigest(''))) === undefined,
      'the blobs are collected',
    );
  }
  // A store that went away for a while ends nothing.
  await rename(service.storeDirectory, `${service.storeDirectory}-away`);
  await until(() => log.some(({ level }) => level === 'warn'), 'it warns');
  await rename(`${service.storeDirectory}-away`, service.storeDirectory);
  const more = await intermediates(service, 1);
  await age(service, more, 2 * HOUR);
  await until(async () => (await all(service)).isDisjointFrom(new Set(more)), 'it goes on');

  await collector.close();
  const late = await intermediates(service, 3);
  await age(service, late, 2 * HOUR);
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.ok(new Set(late).isSubsetOf(await all(service)));
  assert.equal(await service.redis.exists(`${service.options.queuePrefix}:collecting`), 0);
});

test('the API shows the metrics of its collections', async (t) => {
  const service = await startService(t);
  assert.match(await (await service.call('/metrics')).text(), /^blindfit_blobs_collected_total 0$/m);
});
