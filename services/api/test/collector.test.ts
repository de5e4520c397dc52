import assert from 'node:assert/strict';
import { rename, stat, utimes } from 'node:fs/promises';
import { test } from 'node:test';
import { parseDigest } from '@blindfit/base';
import { type JobView } from '@blindfit/protocol';
import { StoreBinding } from '@blindfit/queue';
import { until } from '@blindfit/testkit';
import { age, all, DAY, HOUR, inputsOf, intermediates, setup, submitAged } from './collecting.ts';
import { makeJob, putBlob, startService } from './service.ts';
import { randomBlob } from './support.ts';

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
