/** What every kind of store promises, over all of them. */
import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { at, digestOf } from '@blindfit/base';
import { FileBlobStore, isCollectable, type BlobStore } from '@blindfit/blobs';
import { temporaryDirectory } from '@blindfit/testkit';
import { HttpBlobStore } from '../src/http-store.ts';
import { S3BlobStore } from '../src/s3-store.ts';
import { parseS3Url } from '../src/s3-url.ts';
import { startBlobServer } from './blob-server.ts';
import { BUCKET, CREDENTIALS, startS3Server } from './s3-server.ts';
import { chunked, randomBlob, readAll } from './support.ts';

Object.assign(process.env, CREDENTIALS);
const MIB = 2 ** 20;

const stores: Record<string, (t: TestContext) => Promise<BlobStore>> = {
  directory: async (t) => FileBlobStore.open(await temporaryDirectory(t)),
  http: async (t) => {
    const server = await startBlobServer(
      await FileBlobStore.open(await temporaryDirectory(t)),
      'a token of the test',
      100 * MIB,
    );
    t.after(() => server.close());
    return new HttpBlobStore(server.url, { token: 'a token of the test', backoffMs: 5 });
  },
  s3: async (t) => {
    const server = await startS3Server(await temporaryDirectory(t));
    t.after(() => server.close());
    const url = `s3://${BUCKET}/some/where?endpoint=${encodeURIComponent(server.endpoint)}`;
    return new S3BlobStore(parseS3Url(url), { partBytes: 5 * MIB });
  },
};

/** Only a store in S3 has parts, of 5 MiB here: bodies of one part to the byte, and of one byte more than two. */
const LARGE: Record<string, readonly number[]> = { s3: [5 * MIB, 10 * MIB + 1] };

for (const [name, open] of Object.entries(stores)) {
  const { [name]: large = [3 * MIB + 1] } = LARGE;
  const largest = at(large, large.length - 1, 'sizes');
  describe(name, async () => {
    await test('keeps what the interface promises', async (t) => {
      const store = await open(t);
      t.after(() => store.close());
      const give: Record<string, (bytes: Uint8Array) => Parameters<BlobStore['put']>[1]> = {
        array: (bytes) => bytes,
        stream: (bytes) => chunked(bytes, 100_000),
        function: (bytes) => () => chunked(bytes, 100_000),
      };

      for (const size of [0, 1, 300_000, ...large]) {
        for (const [kind, source] of Object.entries(give)) {
          if (size > MIB && kind === 'function') continue;
          await t.test(`${size} bytes from ${kind}`, async () => {
            const { bytes, digest } =
              size === 0 ? { bytes: new Uint8Array(), digest: digestOf(new Uint8Array()) } : randomBlob(size);
            const before = await store.has(digest);
            assert.deepEqual(await store.put(digest, source(bytes)), { created: before === undefined, size });
            assert.deepEqual(await store.has(digest), { size });
            const got = await store.get(digest);
            assert.equal(Object.getPrototypeOf(got), Uint8Array.prototype, 'a plain Uint8Array, not a Buffer');
            assert.equal(got.byteLength, got.buffer.byteLength, 'that owns its buffer');
            assert.ok(Buffer.from(bytes).equals(got));
            assert.ok(Buffer.from(bytes).equals(await readAll(await store.stream(digest))));
            assert.deepEqual(await store.readHead(digest, 10), bytes.slice(0, 10));
            assert.equal((await store.readHead(digest, 1e9)).length, size);
            assert.equal((await store.readHead(digest, Infinity)).length, size);
          });
        }
      }

      await t.test('a blob that is there leaves the source unread', async () => {
        const { bytes, digest } = randomBlob(100_000);
        assert.equal(await store.touch(digest), false);
        await store.put(digest, bytes);
        assert.equal(await store.touch(digest), true);
        assert.deepEqual(await store.put(digest, () => assert.fail('the source was opened')), {
          created: false,
          size: 100_000,
        });
      });

      await t.test('a missing blob is BLOB_NOT_FOUND', async () => {
        const { digest } = randomBlob(32); // a single byte may well be there: blobs of one were put above
        assert.equal(await store.has(digest), undefined);
        for (const call of [() => store.get(digest), () => store.stream(digest), () => store.readHead(digest, 1)])
          await assert.rejects(call, { code: 'BLOB_NOT_FOUND' });
      });

      for (const size of [100_000, largest]) {
        await t.test(`what is not exactly the announced blob of ${size} bytes leaves nothing behind`, async () => {
          const { bytes, digest } = randomBlob(size);
          async function* breaking(): AsyncGenerator<Uint8Array> {
            yield* chunked(bytes.subarray(0, size - 1));
            throw new Error('the line went dead');
          }
          await assert.rejects(store.put(digest, randomBlob(size).bytes), { code: 'DIGEST_MISMATCH' });
          await assert.rejects(store.put(digest, chunked(bytes.subarray(1))), { code: 'DIGEST_MISMATCH' });
          await assert.rejects(store.put(digest, chunked(bytes.subarray(1)), { size }), { code: 'BLOB_SIZE_MISMATCH' });
          await assert.rejects(store.put(digest, chunked(bytes), { size: size - 1 }), { code: 'BLOB_SIZE_MISMATCH' });
          await assert.rejects(store.put(digest, chunked(bytes), { maxBytes: size - 1 }), { code: 'BLOB_TOO_LARGE' });
          await assert.rejects(store.put(digest, breaking()), { message: 'the line went dead' });
          assert.equal(await store.has(digest), undefined);
          assert.equal((await store.put(digest, bytes)).created, true, 'and the true one can be put');
        });
      }

      await t.test('concurrent puts of a blob are safe', async () => {
        const { bytes, digest } = randomBlob(largest);
        const results = await Promise.all(Array.from({ length: 4 }, () => store.put(digest, chunked(bytes, 500_000))));
        assert.ok(results.some(({ created }) => created));
        assert.ok(Buffer.from(bytes).equals(await store.get(digest)));
      });

      if (!isCollectable(store)) return;
      await t.test('gets one identity, however many give it one, and keeps it until it is replaced', async () => {
        assert.equal(await store.identity(), undefined);
        const before = (await Array.fromAsync(store.list())).length;
        const offers = ['a', 'b', 'c'].map((id) => ({ id, epoch: 1 }));
        const given = await Promise.all(offers.map((identity) => store.createIdentity(identity)));
        const identity = await store.identity();
        if (name === 'directory') for (const each of given) assert.deepEqual(each, identity);
        assert.deepEqual(await store.createIdentity({ id: 'late', epoch: 1 }), identity);
        await store.replaceIdentity({ id: 'other', epoch: 2 });
        assert.deepEqual(await store.identity(), { id: 'other', epoch: 2 });
        assert.deepEqual(await Array.fromAsync(store.list()).then((all) => all.length), before);
      });

      await t.test('lists and deletes', async () => {
        await store.check();
        const { bytes, digest } = randomBlob(1234);
        await store.put(digest, bytes);
        const entry = (await Array.fromAsync(store.list())).find((each) => each.digest === digest);
        assert.equal(entry?.size, 1234);
        assert.ok(Math.abs(entry.modified.getTime() - Date.now()) < 60_000);
        await store.delete(digest);
        await store.delete(digest);
        assert.equal(await store.has(digest), undefined);
        assert.equal(
          (await Array.fromAsync(store.list())).find((each) => each.digest === digest),
          undefined,
        );
      });

      await t.test('collects what is older, and only that', async () => {
        const { bytes, digest } = randomBlob(1234);
        await store.put(digest, bytes);
        assert.equal(await store.collect(digest, new Date(Date.now() - 60_000)), false);
        assert.ok((await store.has(digest)) !== undefined);
        assert.equal(await store.collect(digest, new Date(Date.now() + 60_000)), true);
        assert.equal(await store.has(digest), undefined);
        assert.equal(await store.collect(digest, new Date(Date.now() + 60_000)), false, 'it is gone already');
        assert.equal((await store.put(digest, bytes)).created, true);
        await store.removeLeftovers();
        assert.deepEqual(await store.get(digest), bytes);
      });
    });
  });
}
