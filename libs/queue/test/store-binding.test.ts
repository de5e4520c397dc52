/** Redis and a store know each other: at a first start, in a race, after losses, and after an operator's word. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { at } from '@blindfit/base';
import { FileBlobStore, type RootBlobStore } from '@blindfit/blobs';
import { temporaryDirectory } from '@blindfit/testkit';
import { StoreBinding } from '../src/index.ts';
import { Keys } from '../src/names.ts';
import { redis } from './support.ts';

let count = 0;

async function setUp(t: TestContext) {
  const store = await FileBlobStore.open(await temporaryDirectory(t));
  const keys = new Keys(`{binding-test-${count++}}`);
  return { store, keys, binding: new StoreBinding(redis(), keys, store) };
}

/** A store behind an API: it can say who it is, and no more. */
function remote(identity: RootBlobStore['identity']): RootBlobStore {
  return { where: 'http://api', identity } as RootBlobStore;
}

test('both get an id at the first start, and keep it', async (t) => {
  const { store, keys, binding } = await setUp(t);
  await binding.check();
  const identity = await store.identity();
  assert.match(String(identity?.id), /^[0-9a-f-]{36}$/);
  assert.equal(identity?.epoch, 1);
  assert.deepEqual(await binding.read(), { redis: { ...identity, state: 'bound' }, store: identity });
  await binding.check();
  await binding.assertConfirmed();
  assert.deepEqual(await store.identity(), identity);
  await new StoreBinding(
    redis(),
    keys,
    remote(() => store.identity()),
  ).check();
});

test('services that start at once agree', async (t) => {
  const { store, keys } = await setUp(t);
  const services = Array.from({ length: 8 }, () => new StoreBinding(redis(), keys, store));
  for (;;) {
    const results = await Promise.allSettled(services.map((service) => service.check()));
    const reasons = results.flatMap((result) =>
      result.status === 'rejected' ? [result.reason as { code: string }] : [],
    );
    // One may see the claim of another, and looks again.
    assert.deepEqual(
      reasons.filter(({ code }) => code !== 'STORE_UNBOUND'),
      [],
    );
    if (reasons.length === 0) break;
  }
  const { redis: inRedis, store: inStore } = await at(services, 0, 'services').read();
  assert.deepEqual(inRedis, { ...inStore, state: 'bound' });
});

test('another store is refused, and both ids are named', async (t) => {
  const { binding, keys } = await setUp(t);
  await binding.check();
  const { store: first } = await binding.read();
  const other = await setUp(t);
  await other.binding.check();
  const { store: second } = await other.binding.read();
  const mixed = new StoreBinding(redis(), keys, other.store);
  const named = { code: 'STORE_MISMATCH', message: new RegExp(`has the id ${second?.id} .*store ${first?.id} `) };
  await assert.rejects(mixed.check(), named);
  await assert.rejects(mixed.assertConfirmed(), named);
  // An earlier epoch is another state of the same store.
  await other.store.replaceIdentity({ id: String(first?.id), epoch: 2 });
  await assert.rejects(mixed.check(), { code: 'STORE_MISMATCH', message: /\(epoch 2\).*\(epoch 1\)/ });
});

test('an empty directory where Redis knows a store is not taken for it, and gets no id', async (t) => {
  const { binding, keys } = await setUp(t);
  await binding.check();
  const { store } = await setUp(t);
  await assert.rejects(new StoreBinding(redis(), keys, store).check(), { code: 'STORE_UNKNOWN', retryable: true });
  assert.equal(await store.identity(), undefined);
});

test('a Redis that lost its data works with the store, and nothing may be removed until it is adopted', async (t) => {
  const { store, keys, binding } = await setUp(t);
  await binding.check();
  const before = await store.identity();
  await redis().del(keys.store);
  await binding.check();
  assert.deepEqual(await binding.read(), { redis: { ...before, state: 'found' }, store: before });
  await assert.rejects(binding.assertConfirmed(), {
    code: 'STORE_UNCONFIRMED',
    message: new RegExp(String(before?.id)),
  });
  const adopted = { id: String(before?.id), epoch: 2 };
  assert.deepEqual(await binding.adopt(), adopted);
  assert.deepEqual(await binding.read(), { redis: { ...adopted, state: 'bound' }, store: adopted });
  await binding.assertConfirmed();
});

test('adoption goes above both epochs, and gives an empty store an id', async (t) => {
  const { store, keys, binding } = await setUp(t);
  await redis().set(keys.store, JSON.stringify({ id: 'lost', epoch: 7, state: 'bound' }));
  const adopted = await binding.adopt();
  assert.notEqual(adopted.id, 'lost');
  assert.equal(adopted.epoch, 8);
  assert.deepEqual(await store.identity(), adopted);
  await binding.assertConfirmed();
  const http = new StoreBinding(
    redis(),
    keys,
    remote(() => store.identity()),
  );
  await assert.rejects(http.adopt(), { code: 'STORE_UNSUPPORTED' });
});

test('the claim of a service that died is completed by another after a while, and by none too early', async (t) => {
  const { store, keys, binding } = await setUp(t);
  const claim = { id: 'claimed-id', epoch: 1, state: 'claimed' };
  await redis().set(keys.store, JSON.stringify(claim));
  const now = t.mock.method(performance, 'now', () => 1_000);
  await assert.rejects(binding.check(), { code: 'STORE_UNBOUND' });
  now.mock.mockImplementation(() => 2_999);
  await assert.rejects(binding.check(), { code: 'STORE_UNBOUND' });
  assert.equal(await store.identity(), undefined);
  now.mock.mockImplementation(() => 3_000);
  await binding.check();
  assert.deepEqual(await binding.read(), {
    redis: { ...claim, state: 'bound' },
    store: { id: 'claimed-id', epoch: 1 },
  });
});

test('a store that had an id all along wins over a claim', async (t) => {
  const { store, keys, binding } = await setUp(t);
  await store.createIdentity({ id: 'old', epoch: 3 });
  await redis().set(keys.store, JSON.stringify({ id: 'new', epoch: 1, state: 'claimed' }));
  await binding.check();
  assert.deepEqual((await binding.read()).redis, { id: 'old', epoch: 3, state: 'found' });
});

test('an API without identities is not asked for one; one whose store has none is waited for', async (t) => {
  const { keys, store } = await setUp(t);
  const { StoreUnsupportedError } = await import('@blindfit/blobs');
  const old = remote(() => Promise.reject(new StoreUnsupportedError('asking', 'http://api')));
  await new StoreBinding(redis(), keys, old).check();
  assert.equal(await redis().exists(keys.store), 0);
  await assert.rejects(
    new StoreBinding(
      redis(),
      keys,
      remote(() => store.identity()),
    ).check(),
    { code: 'STORE_UNBOUND' },
  );
  await assert.rejects(
    new StoreBinding(
      redis(),
      keys,
      remote(() => Promise.reject(new Error('away'))),
    ).check(),
    { message: 'away' },
  );
  await rm(join(store.root, 'store.json'), { force: true });
});
