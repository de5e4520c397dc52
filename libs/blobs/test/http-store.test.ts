import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { digestOf } from '@blindfit/base';
import { FileBlobStore, StorageError, openBlobStore } from '@blindfit/blobs';
import { temporaryDirectory } from '@blindfit/testkit';
import { HttpBlobStore, type HttpBlobStoreOptions } from '../src/http-store.ts';
import { startBlobServer, type BlobServer } from './blob-server.ts';
import { chunked, randomBlob, readAll } from './support.ts';

const TOKEN = 'correct horse battery staple';

async function setup(
  t: TestContext,
  options: HttpBlobStoreOptions = {},
  maxBytes = 10_000_000,
): Promise<{ server: BlobServer; files: FileBlobStore; store: HttpBlobStore }> {
  const files = await FileBlobStore.open(await temporaryDirectory(t));
  const server = await startBlobServer(files, TOKEN, maxBytes);
  const store = new HttpBlobStore(`${server.url}/`, { token: TOKEN, backoffMs: 5, ...options });
  t.after(async () => {
    await store.close();
    await server.close();
  });
  return { server, files, store };
}

test('put, has, get, stream and readHead over HTTP', async (t) => {
  const { server, files, store } = await setup(t);
  const { bytes, digest } = randomBlob(1_000_000);
  assert.equal(await store.has(digest), undefined);
  assert.deepEqual(await store.put(digest, bytes), { created: true, size: 1_000_000 });
  assert.deepEqual(await files.get(digest), bytes);
  assert.deepEqual(await store.has(digest), { size: 1_000_000 });
  const got = await store.get(digest);
  assert.deepEqual(got, bytes);
  assert.equal(Object.getPrototypeOf(got), Uint8Array.prototype);
  assert.deepEqual(await readAll(await store.stream(digest)), bytes);
  assert.deepEqual(await store.readHead(digest, 16), bytes.slice(0, 16));
  assert.deepEqual(await store.readHead(digest, 2e6), bytes);

  server.requests.length = 0;
  assert.deepEqual(await store.put(digest, bytes), { created: false, size: 1_000_000 });
  assert.deepEqual(server.requests, ['HEAD'], 'what is there is not sent again');
});

test('touch says whether it is there, by asking', async (t) => {
  const { server, files, store } = await setup(t);
  const { bytes, digest } = randomBlob(100);
  assert.equal(await store.touch(digest), false);
  await files.put(digest, bytes);
  assert.equal(await store.touch(digest), true);
  assert.deepEqual(server.requests, ['HEAD', 'HEAD'], 'which the API takes as a touch');
});

test('streams, functions and small blobs are put as well', async (t) => {
  const { files, store } = await setup(t);
  for (const size of [0, 1, 100_000]) {
    const [a, b, c] = [randomBlob(size), randomBlob(size), randomBlob(size)];
    await store.put(a.digest, chunked(a.bytes));
    await store.put(b.digest, () => chunked(b.bytes), { size });
    await store.put(c.digest, c.bytes);
    for (const blob of [a, b, c]) assert.deepEqual(await files.get(blob.digest), blob.bytes);
  }
});

test('a missing blob is BLOB_NOT_FOUND, at once', async (t) => {
  const { server, store } = await setup(t);
  const { digest } = randomBlob(1);
  for (const call of [() => store.get(digest), () => store.stream(digest), () => store.readHead(digest, 1)])
    await assert.rejects(call, { code: 'BLOB_NOT_FOUND' });
  assert.equal(server.requests.length, 3);
});

test('refusals keep their meaning and are not retried', async (t) => {
  const { server, files, store } = await setup(t, {}, 200_000);
  const { bytes, digest } = randomBlob(100_000);
  const large = randomBlob(300_000);
  await assert.rejects(store.put(digest, randomBlob(100_000).bytes), { code: 'DIGEST_MISMATCH' });
  await assert.rejects(store.put(large.digest, large.bytes), { code: 'BLOB_TOO_LARGE' });
  await assert.rejects(
    store.put(large.digest, () => chunked(large.bytes)),
    { code: 'BLOB_TOO_LARGE' },
  );
  server.answer = () => 507;
  await assert.rejects(store.put(digest, bytes), { code: 'STORAGE_FULL' });
  server.answer = () => undefined;
  assert.equal((await Array.fromAsync(files.list())).length, 0);

  const stranger = new HttpBlobStore(server.url, { token: 'wrong' });
  t.after(() => stranger.close());
  server.requests.length = 0;
  await assert.rejects(stranger.get(digest), (error: unknown) => {
    assert.ok(error instanceof StorageError);
    assert.equal(error.code, 'STORE_REFUSED');
    assert.match(error.hint ?? '', /BLINDFIT_TOKEN/);
    assert.doesNotMatch(error.message, /wrong/);
    return true;
  });
  await assert.rejects(stranger.has(digest), { code: 'STORE_REFUSED' });
  assert.deepEqual(server.requests, ['GET', 'HEAD']);
});

test('limits of the caller are checked before and while sending', async (t) => {
  const { files, store } = await setup(t);
  const { bytes, digest } = randomBlob(100_000);
  await assert.rejects(store.put(digest, bytes, { maxBytes: 99_999 }), { code: 'BLOB_TOO_LARGE' });
  const fitting = randomBlob(99_999);
  assert.equal((await store.put(fitting.digest, fitting.bytes, { maxBytes: 99_999 })).created, true);
  await assert.rejects(store.put(digest, chunked(bytes), { maxBytes: 99_999 }), { code: 'BLOB_TOO_LARGE' });
  await assert.rejects(store.put(digest, chunked(bytes), { size: 99_999 }), { code: 'BLOB_SIZE_MISMATCH' });
  await assert.rejects(store.put(digest, chunked(bytes.subarray(1)), { size: 100_000 }), {
    code: 'BLOB_SIZE_MISMATCH',
  });
  assert.equal(await files.has(digest), undefined);
});

test('server errors and broken connections are retried', async (t) => {
  const { server, files, store } = await setup(t);
  const { bytes, digest } = randomBlob(200_000);
  const failTwice = (how: 503 | 'reset'): void => {
    let left = 2;
    server.answer = () => (left-- > 0 ? how : undefined);
  };
  for (const how of [503, 'reset'] as const) {
    failTwice(how);
    await store.put(digest, bytes);
    failTwice(how);
    assert.deepEqual(await store.get(digest), bytes);
    failTwice(how);
    assert.deepEqual(await store.has(digest), { size: 200_000 });
    await files.delete(digest);
    failTwice(how);
    await store.put(digest, () => chunked(bytes), { size: bytes.length });
    assert.deepEqual(await files.get(digest), bytes);
    await files.delete(digest);
    failTwice(how);
    await store.put(digest, bytes);
  }
});

test('a stream that can be read once is not sent twice', async (t) => {
  const { server, store } = await setup(t);
  const { bytes, digest } = randomBlob(200_000);
  server.answer = (method) => (method === 'PUT' ? 503 : undefined);
  server.requests.length = 0;
  await assert.rejects(store.put(digest, chunked(bytes)), { code: 'STORE_UNAVAILABLE' });
  assert.deepEqual(server.requests, ['HEAD', 'PUT']);
});

test('the error of a source comes out as it is', async (t) => {
  const { server, store } = await setup(t);
  async function* breaking(): AsyncGenerator<Uint8Array> {
    yield* chunked(new Uint8Array(50_000));
    throw new RangeError('the camera fell over');
  }
  server.requests.length = 0;
  await assert.rejects(store.put(randomBlob(1).digest, breaking, { size: 100_000 }), {
    name: 'RangeError',
    message: 'the camera fell over',
  });
  assert.ok(server.requests.filter((method) => method === 'PUT').length <= 1, 'not retried');
});

test('a body cut short or damaged on the way is fetched again, and never returned', async (t) => {
  const { server, store } = await setup(t, { attempts: 3 });
  const { bytes, digest } = randomBlob(300_000);
  await store.put(digest, bytes);
  for (const damage of ['truncate', 'flip'] as const) {
    let left = 2;
    server.damage = () => (left-- > 0 ? damage : undefined);
    assert.deepEqual(await store.get(digest), bytes);
    server.damage = () => damage;
    await assert.rejects(store.get(digest), { code: damage === 'flip' ? 'BLOB_CORRUPT' : 'STORE_UNAVAILABLE' });
    await assert.rejects(async () => await readAll(await store.stream(digest)));
  }
});

test('an unreachable server is STORE_UNAVAILABLE with its address and the reason', async () => {
  const store = new HttpBlobStore('http://127.0.0.1:1', { attempts: 2, backoffMs: 1 });
  const { digest } = randomBlob(1);
  await assert.rejects(store.get(digest), (error: unknown) => {
    assert.ok(error instanceof StorageError);
    assert.equal(error.code, 'STORE_UNAVAILABLE');
    assert.match(
      error.message,
      /http:\/\/127\.0\.0\.1:1\/v1\/blobs\/sha256:.* failed 2 times: .*(ECONNREFUSED|bad port)/,
    );
    return true;
  });
  await store.close();
});

test('a server that accepts and says nothing does not block for ever', async (t) => {
  const silent = createServer(() => undefined).listen(0, '127.0.0.1');
  t.after(() => silent.close());
  await new Promise((resolve) => silent.once('listening', resolve));
  const store = new HttpBlobStore(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`, {
    attempts: 1,
    idleTimeoutMs: 300,
  });
  await assert.rejects(store.has(randomBlob(1).digest), { code: 'STORE_UNAVAILABLE' });
});

test('deleting and listing are refused honestly', async (t) => {
  const { server } = await setup(t);
  const store = await openBlobStore(server.url, { token: TOKEN });
  t.after(() => store.close());
  await assert.rejects(store.delete(digestOf(new Uint8Array())), { code: 'STORE_UNSUPPORTED' });
  assert.throws(() => store.list(), { code: 'STORE_UNSUPPORTED' });
});

test('a damaged file on the server never reaches a client', async (t) => {
  const { files, store } = await setup(t, { attempts: 2 });
  const { bytes, digest } = randomBlob(300_000);
  await store.put(digest, bytes);
  await writeFile(files.pathOf(digest), new Uint8Array(300_000));
  // The first answer breaks off; by then the server has set the file aside, so the second says that it is missing.
  await assert.rejects(store.get(digest), { code: 'BLOB_NOT_FOUND' });
});

test('the store behind an API says who it is and whether it can be used', async (t) => {
  const { server, files, store } = await setup(t, { attempts: 3 });
  assert.equal(await store.identity(), undefined);
  await files.createIdentity({ id: 'the-id', epoch: 4 });
  assert.deepEqual(await store.identity(), { id: 'the-id', epoch: 4 });
  await store.check();
  server.answer = () => 507;
  await assert.rejects(store.check(), { code: 'STORAGE_FULL' });
  server.requests.length = 0;
  server.answer = () => 503;
  await assert.rejects(store.check(), { code: 'STORE_UNAVAILABLE' });
  assert.equal(server.requests.length, 1, 'readiness asks again by itself');
  server.answer = () => 403;
  await assert.rejects(store.identity(), { code: 'STORE_REFUSED', hint: /BLINDFIT_TOKEN/ });
  // A release that has no such route is not asked.
  server.answer = () => 404;
  await assert.rejects(store.identity(), { code: 'STORE_UNSUPPORTED' });
  await store.check();
});
