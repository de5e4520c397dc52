import assert from 'node:assert/strict';
import { chmod, readdir, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Digest } from '@blindfit/base';
import { FileBlobStore } from '@blindfit/blobs';
import { filesUnder, temporaryDirectory } from '@blindfit/testkit';
import { randomBlob } from './support.ts';

const DAY = 86_400_000;

async function age(store: FileBlobStore, digest: Digest, milliseconds = 2 * DAY): Promise<void> {
  const time = new Date(Date.now() - milliseconds);
  await utimes(store.pathOf(digest), time, time);
}

async function ageOf(store: FileBlobStore, digest: Digest): Promise<number> {
  return Date.now() - (await stat(store.pathOf(digest))).mtimeMs;
}

const dayAgo = (): Date => new Date(Date.now() - DAY);

test('touch and a repeated put make a blob new; nothing else does', async (t) => {
  const store = await FileBlobStore.open(await temporaryDirectory(t));
  const { bytes, digest } = randomBlob(1000);
  assert.equal(await store.touch(digest), false);
  await store.put(digest, bytes);

  await age(store, digest);
  assert.equal(await store.touch(digest), true);
  assert.ok((await ageOf(store, digest)) < 10_000);

  await age(store, digest);
  const unread = (): never => assert.fail('the source was opened');
  assert.deepEqual(await store.put(digest, unread), { created: false, size: 1000 });
  assert.ok((await ageOf(store, digest)) < 10_000);

  await age(store, digest);
  await store.has(digest);
  await store.get(digest);
  await store.readHead(digest, 10);
  await Array.fromAsync(store.list());
  assert.ok((await ageOf(store, digest)) > DAY);
});

test('collect removes what is older, and only that', async (t) => {
  const root = await temporaryDirectory(t);
  const store = await FileBlobStore.open(root);
  const [old, recent] = [randomBlob(1000), randomBlob(1000)];
  await store.put(old.digest, old.bytes);
  await store.put(recent.digest, recent.bytes);
  await age(store, old.digest, DAY + 60_000);
  await age(store, recent.digest, DAY - 60_000);
  const olderThan = dayAgo();
  assert.equal(await store.collect(old.digest, olderThan), true);
  assert.equal(await store.collect(recent.digest, olderThan), false);
  assert.equal(await store.collect(old.digest, olderThan), false, 'it is gone already');
  assert.deepEqual(await filesUnder(root), [store.pathOf(recent.digest)], 'nothing lies about');
  assert.ok((await ageOf(store, recent.digest)) > DAY - 120_000, 'it is as old as before');
  assert.equal((await store.put(old.digest, old.bytes)).created, true);
  assert.deepEqual(await store.get(old.digest), old.bytes);
});

test('a put or a touch at any moment of a collection: what they say they leave is there afterwards', async (t) => {
  const root = await temporaryDirectory(t);
  const [collector, owner] = [
    await FileBlobStore.open(root, { durable: false }),
    await FileBlobStore.open(root, { durable: false }),
  ];
  const outcomes = new Set<string>();
  const wanted = new Set([
    'put: collected, there',
    'put: not collected, there',
    'touch: collected, gone',
    'touch: not collected, there',
  ]);
  // However busy the machine is: until every case was met.
  for (let round = 0; round < 1000 || (round < 50_000 && !wanted.isSubsetOf(outcomes)); round++) {
    const { bytes, digest } = randomBlob(100);
    await owner.put(digest, bytes);
    await age(owner, digest);
    const use = round % 2 === 0 ? 'put' : 'touch';
    // From before the first step of one to after the last step of the other.
    const pause = async (steps: number): Promise<void> => {
      for (let i = 0; i < steps; i++) await stat(root);
    };
    const [collected, kept] = await Promise.all([
      pause(Math.max(0, (round % 13) - 6)).then(() => collector.collect(digest, dayAgo())),
      pause(Math.max(0, 6 - (round % 13))).then(() =>
        use === 'put' ? owner.put(digest, bytes).then(() => true) : owner.touch(digest),
      ),
    ]);
    const there = (await owner.has(digest)) !== undefined;
    if (kept) {
      assert.ok(there, `round ${round}: ${use} said that the blob is there, and it is not`);
      assert.deepEqual(await owner.get(digest), bytes);
      assert.ok((await ageOf(owner, digest)) < 60_000, 'and it is new');
    } else {
      assert.equal(there, !collected, `round ${round}`);
    }
    outcomes.add(`${use}: ${collected ? 'collected' : 'not collected'}, ${there ? 'there' : 'gone'}`);
  }
  assert.deepEqual(await readdir(join(root, 'tmp')), []);
  assert.ok(wanted.isSubsetOf(outcomes), `the rounds meet every case, not only ${JSON.stringify([...outcomes])}`);
  t.diagnostic(JSON.stringify([...outcomes]));
});

test('a file of another user, whose times cannot be changed, is written again by put', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('only root can act as two users');
  const root = await temporaryDirectory(t);
  const store = await FileBlobStore.open(root);
  const { bytes, digest } = randomBlob(100);
  await store.put(digest, bytes);
  await age(store, digest);
  await chmod(root, 0o777);
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true }))
    if (entry.isDirectory()) await chmod(join(entry.parentPath, entry.name), 0o777);
  const nobody = 65_534;
  process.setegid?.(nobody);
  process.seteuid?.(nobody);
  try {
    assert.equal(await store.touch(digest), false, 'not to be relied on');
    assert.deepEqual(await store.put(digest, bytes), { created: false, size: 100 });
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
  assert.equal((await stat(store.pathOf(digest))).uid, nobody);
  assert.ok((await ageOf(store, digest)) < 10_000);
});
