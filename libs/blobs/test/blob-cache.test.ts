import assert from 'node:assert/strict';
import { readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { at, type Digest } from '@blindfit/base';
import { BlobCache, FileBlobStore, type CacheEvent } from '@blindfit/blobs';
import { filesUnder, temporaryDirectory } from '@blindfit/testkit';
import { HttpBlobStore } from '../src/http-store.ts';
import { startBlobServer, type BlobServer } from './blob-server.ts';
import { chunked, randomBlob, readAll } from './support.ts';

interface Setup {
  /** The store behind, as the server sees it. */
  files: FileBlobStore;
  server: BlobServer;
  directory: string;
  cache: BlobCache;
  events: CacheEvent[];
  counts: () => Partial<Record<CacheEvent['kind'], number>>;
  /** Another cache on the same directory, as a second process would have. */
  openAnother: () => Promise<BlobCache>;
}

async function setup(t: TestContext, maxBytes: number): Promise<Setup> {
  const files = await FileBlobStore.open(await temporaryDirectory(t));
  const directory = await temporaryDirectory(t);
  const server = await startBlobServer(files, 'token', 1e9);
  const events: CacheEvent[] = [];
  const openAnother = async (): Promise<BlobCache> => {
    const store = new HttpBlobStore(server.url, { token: 'token', backoffMs: 5 });
    const cache = await BlobCache.open(store, { directory, maxBytes, onEvent: (event) => events.push(event) });
    t.after(() => cache.close());
    return cache;
  };
  const cache = await openAnother();
  t.after(() => server.close());
  const counts = (): Partial<Record<CacheEvent['kind'], number>> => {
    const kinds = new Set(events.map(({ kind }) => kind));
    return Object.fromEntries([...kinds].map((kind) => [kind, events.filter((event) => event.kind === kind).length]));
  };
  return { files, server, directory, cache, events, counts, openAnother };
}

/** Gives a cached file an age in seconds, so that the order of use does not depend on the clock's resolution. */
async function age(directory: string, digest: Digest, seconds: number): Promise<void> {
  const time = new Date(Date.now() - seconds * 1000);
  const files = await FileBlobStore.open(directory);
  await utimes(files.pathOf(digest), time, time);
}

test('the first get fetches, the next ones do not', async (t) => {
  const { files, server, cache, events, openAnother } = await setup(t, 1e6);
  const { bytes, digest } = randomBlob(10_000);
  await files.put(digest, bytes);
  assert.deepEqual(await cache.get(digest), bytes);
  assert.deepEqual(await cache.get(digest), bytes);
  assert.deepEqual(await (await openAnother()).get(digest), bytes, 'another process finds it too');
  assert.deepEqual(server.requests, ['GET']);
  assert.deepEqual(events, [
    { kind: 'miss', digest, bytes: 10_000 },
    { kind: 'hit', digest, bytes: 10_000 },
    { kind: 'hit', digest, bytes: 10_000 },
  ]);
  assert.equal(cache.bytes, 10_000);
});

test('touch and a repeated put reach the store behind, whatever the cache has', async (t) => {
  const { files, server, cache } = await setup(t, 1e6);
  const { bytes, digest } = randomBlob(100_000);
  await cache.put(digest, bytes);
  server.requests.length = 0;
  assert.equal(await cache.touch(digest), true);
  await cache.put(digest, bytes);
  assert.deepEqual(server.requests, ['HEAD', 'HEAD']);
  await files.delete(digest);
  assert.equal(await cache.touch(digest), false, 'a copy here is no use to others');
  assert.deepEqual(await cache.put(digest, bytes), { created: true, size: 100_000 });
  assert.deepEqual(await files.get(digest), bytes);
});

test('concurrent gets of one blob fetch it once', async (t) => {
  const { files, server, cache, counts } = await setup(t, 1e6);
  const { bytes, digest } = randomBlob(100_000);
  await files.put(digest, bytes);
  for (const got of await Promise.all(Array.from({ length: 20 }, () => cache.get(digest))))
    assert.deepEqual(got, bytes);
  assert.deepEqual(server.requests, ['GET']);
  assert.deepEqual(counts(), { miss: 1, hit: 19 });
});

test('a failed fetch fails all who wait for it and is forgotten', async (t) => {
  const { files, cache } = await setup(t, 1e6);
  const { bytes, digest } = randomBlob(1000);
  const results = await Promise.allSettled([cache.get(digest), cache.get(digest)]);
  assert.deepEqual(
    results.map((result) => result.status === 'rejected' && (result.reason as { code?: string }).code),
    ['BLOB_NOT_FOUND', 'BLOB_NOT_FOUND'],
  );
  await files.put(digest, bytes);
  assert.deepEqual(await cache.get(digest), bytes);
});

test('bytes that are put are in the store and in the cache; a stream is in the store', async (t) => {
  const { files, server, cache } = await setup(t, 1e6);
  const [a, b] = [randomBlob(10_000), randomBlob(10_000)];
  assert.deepEqual(await cache.put(a.digest, a.bytes), { created: true, size: 10_000 });
  assert.deepEqual(await cache.put(a.digest, a.bytes), { created: false, size: 10_000 });
  await cache.put(b.digest, chunked(b.bytes), { size: 10_000 });
  assert.deepEqual(await files.get(a.digest), a.bytes);
  assert.deepEqual(await files.get(b.digest), b.bytes);
  server.requests.length = 0;
  assert.deepEqual(await cache.get(a.digest), a.bytes);
  assert.deepEqual(await readAll(await cache.stream(a.digest)), a.bytes);
  assert.deepEqual(await cache.readHead(a.digest, 7), a.bytes.slice(0, 7));
  assert.deepEqual(server.requests, []);
  assert.deepEqual(await readAll(await cache.stream(b.digest)), b.bytes);
  assert.deepEqual(await cache.readHead(b.digest, 7), b.bytes.slice(0, 7));
  assert.deepEqual(server.requests, ['GET', 'GET']);
});

test('bytes the store refuses do not get into the cache', async (t) => {
  const { directory, cache } = await setup(t, 1e6);
  await assert.rejects(cache.put(randomBlob(10).digest, randomBlob(10).bytes), { code: 'DIGEST_MISMATCH' });
  assert.deepEqual(await filesUnder(directory), []);
});

test('over the budget the least recently used blobs go, and a hit counts as use', async (t) => {
  const { directory, cache, events } = await setup(t, 50_000);
  const blobs = Array.from({ length: 5 }, () => randomBlob(10_000));
  for (const [i, { digest, bytes }] of blobs.entries()) {
    await cache.put(digest, bytes);
    await age(directory, digest, 100 - i);
  }
  const [first, second] = blobs;
  assert.ok(first && second);
  await cache.get(first.digest);
  events.length = 0;
  const { bytes, digest } = randomBlob(10_000);
  await cache.put(digest, bytes);
  const evicted = events.filter((event) => event.kind === 'evict').map((event) => event.digest);
  assert.deepEqual(evicted, [second.digest, blobs[2]?.digest], 'down to nine tenths of the budget');
  const left = await filesUnder(directory);
  assert.equal(left.length, 4);
  assert.ok(left.some((path) => path.endsWith(first.digest.slice(7))));
  assert.equal(cache.bytes, 40_000);
});

test('an existing directory is brought under the budget, and a blob larger than it is not kept', async (t) => {
  const { files, directory, cache } = await setup(t, 1e6);
  for (let i = 0; i < 5; i++) {
    const { bytes, digest } = randomBlob(10_000);
    await cache.put(digest, bytes);
  }
  const small = await BlobCache.open(files, { directory, maxBytes: 25_000 });
  assert.equal(small.bytes, 20_000);
  assert.equal((await filesUnder(directory)).length, 2);
  const large = randomBlob(25_001);
  await files.put(large.digest, large.bytes);
  assert.deepEqual(await small.get(large.digest), large.bytes);
  assert.equal((await filesUnder(directory)).length, 2);
});

test('two processes that share a directory keep it under the budget together', async (t) => {
  const { directory, cache, openAnother } = await setup(t, 200_000);
  const other = await openAnother();
  for (let i = 0; i < 60; i++) {
    const { bytes, digest } = randomBlob(10_000);
    await (i % 2 === 0 ? cache : other).put(digest, bytes);
    const total = (await filesUnder(directory)).length * 10_000;
    assert.ok(total <= 200_000 * 1.125, `${total} bytes after ${i + 1} blobs`);
  }
});

for (const damage of ['flipped', 'truncated', 'empty'] as const) {
  test(`a ${damage} cache file is thrown away and fetched again`, async (t) => {
    const { directory, cache, counts } = await setup(t, 1e6);
    const { bytes, digest } = randomBlob(10_000);
    await cache.put(digest, bytes);
    const [path] = await filesUnder(directory);
    assert.ok(path);
    const damaged = Uint8Array.from(bytes);
    damaged[5000] = at(damaged, 5000, 'bytes') ^ 4;
    await writeFile(path, damage === 'flipped' ? damaged : damaged.subarray(0, damage === 'empty' ? 0 : 6000));
    assert.deepEqual(await cache.get(digest), bytes);
    assert.deepEqual(counts(), { corrupt: 1, miss: 1 });
    assert.deepEqual(new Uint8Array(await readFile(path)), bytes, 'healed');
    assert.deepEqual(await cache.get(digest), bytes);
    assert.equal(counts().hit, 1);
  });
}

test('a cache directory that cannot be used costs speed, not blobs', async (t) => {
  const { directory, cache, counts } = await setup(t, 1e6);
  const { bytes, digest } = randomBlob(10_000);
  await rm(directory, { recursive: true });
  await writeFile(directory, 'not a directory');
  await cache.put(digest, bytes);
  assert.deepEqual(await cache.get(digest), bytes);
  assert.equal(counts().miss, 1);
  assert.ok((counts().error ?? 0) >= 2);
});

test('delete removes the cached copy as well', async (t) => {
  const files = await FileBlobStore.open(await temporaryDirectory(t));
  const directory = await temporaryDirectory(t);
  const cache = await BlobCache.open(files, { directory: join(directory, 'new'), maxBytes: 1e6 });
  const { bytes, digest } = randomBlob(1000);
  await cache.put(digest, bytes);
  assert.deepEqual(
    (await Array.fromAsync(cache.list())).map((blob) => blob.digest),
    [digest],
  );
  await cache.delete(digest);
  assert.deepEqual(await filesUnder(directory), []);
  await assert.rejects(cache.get(digest), { code: 'BLOB_NOT_FOUND' });
});

test('a blob that is deleted takes its own bytes off the count, and no others', async (t) => {
  const { cache } = await setup(t, 100_000);
  const [first, second] = [randomBlob(1000), randomBlob(300)];
  for (const { digest, bytes } of [first, second]) await cache.put(digest, bytes);
  assert.equal(cache.bytes, 1300);
  await assert.rejects(cache.delete(second.digest), { code: 'STORE_UNSUPPORTED' });
  assert.equal(cache.bytes, 1000, 'the copy is gone, whatever the store says');
});
