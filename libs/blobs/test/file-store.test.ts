import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
  type FileHandle,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { at, type Digest, digestOf } from '@blindfit/base';
import { FileBlobStore, StorageFullError, openBlobStore } from '@blindfit/blobs';
import { filesUnder, temporaryDirectory } from '@blindfit/testkit';
import { chunked, randomBlob, readAll } from './support.ts';

test('put, has, get, stream, readHead, list, delete', async (t) => {
  const root = await temporaryDirectory(t);
  const store = await FileBlobStore.open(root);
  const { bytes, digest } = randomBlob(300_000);
  assert.equal(await store.has(digest), undefined);
  assert.deepEqual(await store.put(digest, chunked(bytes), { size: bytes.length, maxBytes: bytes.length }), {
    created: true,
    size: 300_000,
  });

  const hex = digest.slice(7);
  assert.equal(store.pathOf(digest), join(root, 'blobs', 'sha256', hex.slice(0, 2), hex));
  assert.deepEqual(await filesUnder(root), [store.pathOf(digest)]);
  assert.deepEqual(await store.has(digest), { size: 300_000 });
  assert.deepEqual(await store.get(digest), bytes);
  assert.equal(
    Object.getPrototypeOf(await store.get(digest)),
    Uint8Array.prototype,
    'a plain Uint8Array, not a Buffer',
  );
  assert.deepEqual(await readAll(await store.stream(digest)), bytes);
  assert.deepEqual(await store.readHead(digest, 10), bytes.slice(0, 10));
  assert.deepEqual(await store.readHead(digest, 1e9), bytes);

  const [entry, ...others] = await Array.fromAsync(store.list());
  assert.equal(others.length, 0);
  assert.equal(entry?.digest, digest);
  assert.equal(entry.size, 300_000);
  assert.ok(Math.abs(entry.modified.getTime() - Date.now()) < 60_000);

  await store.delete(digest);
  await store.delete(digest);
  assert.equal(await store.has(digest), undefined);
  assert.deepEqual(await filesUnder(root), []);
});

test('the empty blob is a blob', async (t) => {
  const store = await FileBlobStore.open(await temporaryDirectory(t));
  const digest = digestOf(new Uint8Array());
  assert.deepEqual(await store.put(digest, new Uint8Array()), { created: true, size: 0 });
  assert.deepEqual(await store.get(digest), new Uint8Array());
  assert.deepEqual(await readAll(await store.stream(digest)), new Uint8Array());
});

test('a missing blob is BLOB_NOT_FOUND', async (t) => {
  const store = await FileBlobStore.open(await temporaryDirectory(t));
  const { digest } = randomBlob(1);
  for (const call of [() => store.get(digest), () => store.stream(digest), () => store.readHead(digest, 1)])
    await assert.rejects(call, { code: 'BLOB_NOT_FOUND' });
});

test('what is not exactly the announced blob leaves nothing behind', async (t) => {
  const root = await temporaryDirectory(t);
  const store = await FileBlobStore.open(root);
  const { bytes, digest } = randomBlob(100_000);
  const other = randomBlob(100_000);
  async function* breaking(): AsyncGenerator<Uint8Array> {
    yield* chunked(bytes.subarray(0, 50_000));
    throw new Error('the line went dead');
  }
  await assert.rejects(store.put(digest, other.bytes), {
    code: 'DIGEST_MISMATCH',
    expected: digest,
    actual: other.digest,
  });
  await assert.rejects(store.put(digest, chunked(bytes.subarray(0, 99_999))), { code: 'DIGEST_MISMATCH' });
  await assert.rejects(store.put(digest, chunked(bytes.subarray(0, 99_999)), { size: 100_000 }), {
    code: 'BLOB_SIZE_MISMATCH',
  });
  await assert.rejects(store.put(digest, chunked(bytes), { size: 99_999 }), { code: 'BLOB_SIZE_MISMATCH' });
  await assert.rejects(store.put(digest, breaking()), { message: 'the line went dead' });
  await assert.rejects(store.put(digest, bytes, { maxBytes: 99_999 }), { code: 'BLOB_TOO_LARGE' });
  assert.deepEqual(await filesUnder(root), []);
});

test('a stream that is too large is cut off as soon as it is', async (t) => {
  const root = await temporaryDirectory(t);
  const store = await FileBlobStore.open(root);
  let given = 0;
  let closed = false;
  // eslint-disable-next-line @typescript-eslint/require-await
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        given += 1000;
        yield new Uint8Array(1000);
      }
    } finally {
      closed = true;
    }
  }
  await assert.rejects(store.put(randomBlob(1).digest, endless(), { maxBytes: 5500 }), { code: 'BLOB_TOO_LARGE' });
  assert.equal(given, 6000);
  assert.ok(closed, 'the source is told to stop');
  assert.deepEqual(await filesUnder(root), []);
});

test('concurrent puts of the same blob are safe, and later ones leave their source unread', async (t) => {
  const root = await temporaryDirectory(t);
  const [store, second] = [await FileBlobStore.open(root), await FileBlobStore.open(root)];
  const { bytes, digest } = randomBlob(500_000);
  const results = await Promise.all(
    Array.from({ length: 16 }, (_, i) => (i % 2 === 0 ? store : second).put(digest, chunked(bytes))),
  );
  assert.ok(results.some((result) => result.created));
  assert.ok(results.every((result) => result.size === 500_000));
  assert.deepEqual(await filesUnder(root), [store.pathOf(digest)]);
  assert.deepEqual(await store.get(digest), bytes);

  const unread = (): never => assert.fail('the source was opened');
  assert.deepEqual(await store.put(digest, unread), { created: false, size: 500_000 });
});

for (const how of ['get', 'stream'] as const) {
  test(`${how} detects damaged bytes, sets them aside, and a new put heals the blob`, async (t) => {
    const root = await temporaryDirectory(t);
    const store = await FileBlobStore.open(root);
    const { bytes, digest } = randomBlob(200_000);
    await store.put(digest, bytes);
    const damaged = Uint8Array.from(bytes);
    damaged[199_999] = at(damaged, 199_999, 'bytes') ^ 1;
    await writeFile(store.pathOf(digest), damaged);

    let passed = 0;
    await assert.rejects(
      async () => {
        if (how === 'get') await store.get(digest);
        else
          for await (const chunk of (await store.stream(digest)) as AsyncIterable<Uint8Array>) passed += chunk.length;
      },
      { code: 'BLOB_CORRUPT' },
    );
    assert.ok(passed < bytes.length, 'a damaged stream never looks complete');
    assert.equal(await store.has(digest), undefined);
    assert.deepEqual(new Uint8Array(await readFile(join(root, 'corrupt', digest.slice(7)))), damaged);
    assert.equal((await store.put(digest, bytes)).created, true);
    assert.deepEqual(await store.get(digest), bytes);
  });
}

test('a stream that is never read releases its file', async (t) => {
  if (process.platform !== 'linux') return t.skip('looks at /proc');
  const store = await FileBlobStore.open(await temporaryDirectory(t));
  const { bytes, digest } = randomBlob(1_000_000);
  await store.put(digest, bytes);
  const before = (await filesOpen()).length;
  for (let i = 0; i < 20; i++) (await store.stream(digest)).destroy();
  for (let i = 0; i < 20; i++) for await (const chunk of await store.stream(digest)) if (chunk !== undefined) break;
  const deadline = Date.now() + 5_000;
  while ((await filesOpen()).length > before && Date.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal((await filesOpen()).length, before);

  async function filesOpen(): Promise<string[]> {
    const { readdir } = await import('node:fs/promises');
    return await readdir('/proc/self/fd');
  }
});

test('opening removes temporary files older than an hour and no others', async (t) => {
  const root = await temporaryDirectory(t);
  await mkdir(join(root, 'tmp'), { recursive: true });
  const [old, recent] = [join(root, 'tmp', 'a.part'), join(root, 'tmp', 'b.part')];
  await writeFile(old, 'x');
  await writeFile(recent, 'y');
  const twoHoursAgo = new Date(Date.now() - 7_200_000);
  await utimes(old, twoHoursAgo, twoHoursAgo);
  await FileBlobStore.open(root);
  assert.deepEqual(await filesUnder(root), [recent]);
});

test('a full disk is STORAGE_FULL with the path and the room left, and leaves nothing behind', async (t) => {
  const root = await temporaryDirectory(t);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', root], { stdio: 'pipe' });
  } catch {
    return t.skip('mounting a small tmpfs is not allowed here; the test with ulimit covers the code path');
  }
  try {
    const store = await FileBlobStore.open(root);
    const { bytes, digest } = randomBlob(4_000_000);
    for (const source of [bytes, chunked(bytes)]) {
      await assert.rejects(store.put(digest, source), (error: unknown) => {
        assert.ok(error instanceof StorageFullError);
        assert.equal(error.code, 'STORAGE_FULL');
        assert.equal(error.path, root);
        assert.ok(error.freeBytes !== undefined && error.freeBytes > 900_000, 'measured after the cleaning up');
        assert.match(error.message, /no room left in .* \(\d+ bytes free\)/);
        return true;
      });
    }
    assert.deepEqual(await filesUnder(root), []);
    const small = randomBlob(10_000);
    assert.equal((await store.put(small.digest, small.bytes)).created, true);
  } finally {
    execFileSync('umount', [root]);
  }
});

test('a file size limit (EFBIG) is STORAGE_FULL too', async (t) => {
  const root = await temporaryDirectory(t);
  // 100 blocks of 512 or 1024 bytes, depending on the shell.
  const child = spawnSync(
    'sh',
    [
      '-c',
      'ulimit -f 100 && exec "$0" "$1" "$2"',
      process.execPath,
      join(import.meta.dirname, 'put-under-limit.ts'),
      root,
    ],
    { encoding: 'utf8' },
  );
  assert.equal(child.status, 0, child.stderr);
  assert.deepEqual(JSON.parse(child.stdout), { code: 'STORAGE_FULL', cause: 'EFBIG', small: true });
  assert.equal((await filesUnder(root)).length, 1);
});

test('openBlobStore picks by URL and explains what it cannot open', async (t) => {
  const root = await temporaryDirectory(t);
  const { bytes, digest } = randomBlob(10);
  const store = await openBlobStore(`file://${root}/with%20space`);
  await store.put(digest, bytes);
  assert.deepEqual(await (await FileBlobStore.open(join(root, 'with space'))).get(digest), bytes);
  for (const url of [
    '',
    '/var/lib/blobs',
    'file://var/lib',
    's3://',
    's3://b',
    's3://Bucket_1',
    's3://bucket?region=x',
    's3://bucket?endpoint=x',
    's3://user:secret@bucket',
    'ftp://host/blobs',
    'http://user:secret@host/',
  ]) {
    await assert.rejects(openBlobStore(url), (error: unknown) => {
      assert.ok(error instanceof Error && 'code' in error);
      assert.equal(error.code, 'INVALID_STORE_URL');
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
  }
});

test('a digest that was never checked cannot leave the directory', async (t) => {
  const store = await FileBlobStore.open(await temporaryDirectory(t));
  assert.throws(() => store.pathOf('sha256:../../../etc/passwd' as Digest), { code: 'INVALID_DIGEST' });
});

/** What `put` syncs, in order, and whether the blob was in its place then. */
async function syncedBy(t: TestContext, durable: boolean): Promise<{ synced: string[]; path: string; root: string }> {
  const root = await temporaryDirectory(t);
  const store = await FileBlobStore.open(root, { durable });
  const { bytes, digest } = randomBlob(10);
  const path = store.pathOf(digest);
  const file = await open(root);
  const prototype = Object.getPrototypeOf(file) as FileHandle;
  await file.close();
  const synced: string[] = [];
  t.mock.method(prototype, 'sync', async function (this: FileHandle) {
    const kind = (await this.stat()).isDirectory() ? 'directory' : 'file';
    const where = await readlink(`/proc/self/fd/${this.fd}`);
    synced.push(
      `${kind} ${where.endsWith('.part') ? 'part' : where}, blob ${existsSync(path) ? 'in place' : 'missing'}`,
    );
  });
  await store.put(digest, bytes);
  t.mock.restoreAll();
  return { synced, path, root };
}

test(
  'put syncs the bytes before the rename, and the directories after it',
  { skip: process.platform !== 'linux' },
  async (t) => {
    const { synced, path, root } = await syncedBy(t, true);
    assert.deepEqual(synced, [
      'file part, blob missing',
      `directory ${dirname(path)}, blob in place`,
      `directory ${join(root, 'blobs', 'sha256')}, blob in place`,
    ]);
  },
);

test('a cache syncs nothing', async (t) => {
  assert.deepEqual((await syncedBy(t, false)).synced, []);
});

test('a store that is away or without room fails its check, and a damaged identity is no identity', async (t) => {
  const directory = await temporaryDirectory(t);
  const store = await FileBlobStore.open(directory);
  await store.check();
  const roomy = await FileBlobStore.open(directory, { minRoomBytes: Number.MAX_SAFE_INTEGER });
  await assert.rejects(roomy.check(), { code: 'STORAGE_FULL' });
  await writeFile(join(directory, 'store.json'), '{"format":"blindfit-store/2","id":"a","epoch":1}');
  await assert.rejects(store.identity(), { code: 'STORE_DAMAGED' });
  await assert.rejects(store.createIdentity({ id: 'b', epoch: 1 }), { code: 'STORE_DAMAGED' });
  await store.replaceIdentity({ id: 'b', epoch: 1 });
  assert.equal((await stat(join(directory, 'store.json'))).mode & 0o777, 0o644);
  await rm(join(directory, 'blobs'), { recursive: true });
  await assert.rejects(store.check(), { code: 'ENOENT' });
});

test('a store that is not mounted any more lacks no blob', async (t) => {
  const root = await temporaryDirectory(t);
  const store = await FileBlobStore.open(root);
  const bytes = new TextEncoder().encode('kept');
  const digest = digestOf(bytes);
  const other = digestOf(new Uint8Array(1));
  await store.put(digest, bytes);
  assert.equal(await store.has(other), undefined, 'without an identity there is nothing to compare with');
  await store.createIdentity({ id: 'of-the-test', epoch: 1 });
  assert.equal(await store.has(other), undefined);
  await rename(root, `${root}.away`);
  await mkdir(join(root, 'tmp'), { recursive: true });
  try {
    const away = { code: 'STORE_UNAVAILABLE', fault: 'world' };
    await assert.rejects(store.has(digest), away);
    await assert.rejects(store.touch(digest), away);
    await assert.rejects(store.get(digest), away);
    await assert.rejects(store.stream(digest), away);
    await assert.rejects(store.put(other, new Uint8Array(1)), away);
    assert.deepEqual(await readdir(join(root, 'tmp')), []);
  } finally {
    await rm(root, { recursive: true });
    await rename(`${root}.away`, root);
  }
  assert.deepEqual(await store.get(digest), bytes);
});
