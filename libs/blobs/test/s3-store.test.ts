/** What only a store in S3 meets: other writers of a name, servers that are busy or break off, missing buckets. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { isCollectable, openBlobStore, withS3Settings, type CollectableBlobStore } from '@blindfit/blobs';
import { BUCKET, CREDENTIALS, startS3Server, type S3Request, type S3Server } from './s3-server.ts';
import { chunked, randomBlob } from './support.ts';

Object.assign(process.env, CREDENTIALS);
const MIB = 2 ** 20;

let directory: string;
let server: S3Server;
let store: CollectableBlobStore;

async function open(url = `s3://${BUCKET}/test`): Promise<CollectableBlobStore> {
  const opened = await openBlobStore(withS3Settings(url, { endpoint: server.endpoint }));
  assert.ok(isCollectable(opened));
  return opened;
}

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'blindfit-s3-'));
  server = await startS3Server(directory);
  store = await open();
});
after(async () => {
  await store.close();
  await server.close();
  await rm(directory, { recursive: true, force: true });
});
beforeEach(() => {
  server.fail = () => undefined;
  server.requests.length = 0;
});

const isWrite = ({ method, path }: S3Request): boolean => method === 'PUT' && path.includes('/blobs/');
const isUpload = ({ path }: S3Request): boolean => path.includes('uploadId=');
/** The first `count` requests that fit fail. */
function failing(
  count: number,
  fits: (request: S3Request) => boolean,
  failure: ReturnType<S3Server['fail']>,
): S3Server['fail'] {
  return (request) => (fits(request) && count-- > 0 ? failure : undefined);
}
/** Uploads that were begun without an attempt to abort or complete them: s3rver itself cannot abort uploads. */
function openUploads(): number {
  const ended = new Map<string, string>();
  for (const { method, path } of server.requests) {
    const id = /uploadId=([^&]+)/.exec(path)?.[1];
    if (id !== undefined) ended.set(id, method);
  }
  // The last word is a POST that completes it or a DELETE; a PUT is one more part.
  return [...ended.values()].filter((method) => method === 'PUT').length;
}

test('of several writers of a name one creates it, also in parts, and no part is left over', async () => {
  for (const size of [1000, 9 * MIB]) {
    const { bytes, digest } = randomBlob(size);
    const others = await Promise.all([open(), open(), open()]);
    const results = await Promise.all(others.map((each) => each.put(digest, bytes)));
    assert.deepEqual(
      results.map(({ created }) => created).sort(),
      [false, false, true],
      'If-None-Match lets one through',
    );
    assert.ok(Buffer.from(bytes).equals(await store.get(digest)));
    for (const each of others) await each.close();
  }
  assert.equal(openUploads(), 0);
});

test('a server without conditional writes is written to without', async () => {
  const { bytes, digest } = randomBlob(1000);
  const plain = await open();
  server.fail = failing(1, isWrite, { status: 501, code: 'NotImplemented' });
  assert.deepEqual(await plain.put(digest, bytes), { created: true, size: 1000 });
  assert.equal(server.requests.filter(isWrite).length, 2);
  assert.deepEqual(await plain.get(digest), bytes);
  await plain.close();
});

test('a busy server, conflicts and broken connections are tried again, also for one-time streams', async () => {
  const small = randomBlob(1000);
  for (const failure of [
    { status: 503, code: 'SlowDown' },
    { status: 500, code: 'InternalError' },
    { status: 409, code: 'ConditionalRequestConflict' },
    'reset',
  ] as const) {
    server.fail = failing(2, isWrite, failure);
    await store.put(small.digest, chunked(small.bytes));
    assert.deepEqual(await store.get(small.digest), small.bytes);
    await store.delete(small.digest);
  }
  const large = randomBlob(17 * MIB);
  server.fail = failing(3, isUpload, { status: 503, code: 'SlowDown' });
  assert.deepEqual(await store.put(large.digest, chunked(large.bytes, MIB)), { created: true, size: 17 * MIB });
  server.fail = () => undefined;
  assert.ok(Buffer.from(large.bytes).equals(await store.get(large.digest)));
  assert.equal(openUploads(), 0);
});

test('a broken or damaged answer is asked for again; its stream fails before it looks complete', async () => {
  const { bytes, digest } = randomBlob(3 * MIB);
  await store.put(digest, bytes);
  const isRead = ({ method }: S3Request): boolean => method === 'GET';
  for (const failure of ['truncate', 'flip'] as const) {
    server.fail = failing(2, isRead, failure);
    assert.ok(Buffer.from(bytes).equals(await store.get(digest)), failure);
    server.fail = failing(1, isRead, failure);
    let passed = 0;
    await assert.rejects(async () => {
      for await (const chunk of (await store.stream(digest)) as AsyncIterable<Uint8Array>) passed += chunk.length;
    }, failure);
    assert.ok(passed < bytes.length);
  }
  server.fail = (request) => (isRead(request) ? 'flip' : undefined);
  await assert.rejects(store.get(digest), { code: 'BLOB_CORRUPT' });
});

test('an upload that fails permanently is unavailable, and its parts go', async () => {
  const { bytes, digest } = randomBlob(17 * MIB);
  server.fail = (request) =>
    isUpload(request) && request.path.includes('partNumber=2') ? { status: 503, code: 'SlowDown' } : undefined;
  await assert.rejects(store.put(digest, bytes), (error: unknown) => {
    assert.ok(error instanceof Error && 'code' in error && 'hint' in error);
    assert.equal(error.code, 'STORE_UNAVAILABLE');
    assert.match(error.message, /s3:\/\/blindfit-test\/test failed 5 times/);
    assert.match(String(error.hint), /BLINDFIT_S3_ENDPOINT/);
    return true;
  });
  server.fail = () => undefined;
  assert.equal(await store.has(digest), undefined);
  assert.equal(openUploads(), 0);
});

test('a source that breaks off in the middle of an upload leaves no part', async () => {
  const { bytes, digest } = randomBlob(20 * MIB);
  async function* breaking(): AsyncGenerator<Uint8Array> {
    yield* chunked(bytes.subarray(0, 18 * MIB), MIB);
    throw new Error('the line went dead');
  }
  await assert.rejects(store.put(digest, breaking()), { message: 'the line went dead' });
  assert.ok(server.requests.some(isUpload), 'parts were sent');
  assert.equal(await store.has(digest), undefined);
  assert.equal(openUploads(), 0);
});

test('a touch at any moment of a collection: what it says it leaves is there afterwards', async (t) => {
  const outcomes: string[] = [];
  const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
  const round = async (
    number: number,
    { bytes, digest }: ReturnType<typeof randomBlob>,
    olderThan: Date,
  ): Promise<void> => {
    const use = number % 2 === 0 ? 'put' : 'touch';
    const using = (): Promise<boolean> =>
      use === 'put' ? store.put(digest, bytes).then(() => true) : store.touch(digest);
    // Some of each kind are used before the collection, whatever else the machine does.
    const before = number % 5 === 0 ? await using() : undefined;
    const [collected, kept] = await Promise.all([
      pause(number % 4).then(() => store.collect(digest, olderThan)),
      before ?? pause(4 * (number % 7)).then(using),
    ]);
    const there = (await store.has(digest)) !== undefined;
    if (kept) {
      assert.ok(there, `${number}: ${use} said that the blob is there, and it is not`);
      assert.deepEqual(await store.get(digest), bytes);
    }
    const outcome = `${use}: ${collected ? 'collected' : 'not collected'}, ${there ? 'there' : 'gone'}`;
    outcomes.push(outcome);
  };
  for (let batch = 0; batch < 6; batch++) {
    const blobs = Array.from({ length: 10 }, () => randomBlob(100));
    for (const { bytes, digest } of blobs) await store.put(digest, bytes);
    // HEAD dates by seconds: what is touched from the next one on is newer than the blob.
    await pause(1000 - (Date.now() % 1000));
    const olderThan = new Date(Math.floor(Date.now() / 1000) * 1000);
    await Promise.all(blobs.map((blob, i) => round(10 * batch + i, blob, olderThan)));
  }
  assert.ok(
    outcomes.includes('put: not collected, there') && outcomes.includes('touch: not collected, there'),
    JSON.stringify([...new Set(outcomes)]),
  );
  t.diagnostic(JSON.stringify([...new Set(outcomes)]));
});

test('what is missing is said: bucket, credentials, rights, server', async (t) => {
  const { bytes, digest } = randomBlob(1000);
  const nowhere = await open('s3://no-such-bucket');
  for (const call of [() => nowhere.check(), () => nowhere.put(digest, bytes), () => nowhere.get(digest)]) {
    await assert.rejects(call, {
      code: 'STORE_REFUSED',
      status: 404,
      message: /no bucket no-such-bucket/,
      hint: /create the bucket/,
    });
  }
  server.fail = () => ({ status: 403, code: 'AccessDenied' });
  await assert.rejects(store.check(), {
    code: 'STORE_REFUSED',
    status: 403,
    message: /AccessDenied/,
    hint: /s3:ListBucket/,
  });
  await assert.rejects(store.has(digest), { code: 'STORE_REFUSED', status: 403 });
  server.fail = () => undefined;

  const environment = { ...process.env };
  t.after(() => Object.assign(process.env, environment));
  process.env['AWS_ACCESS_KEY_ID'] = 'STRANGER';
  const stranger = await open();
  await assert.rejects(stranger.check(), {
    code: 'STORE_REFUSED',
    status: 403,
    message: /InvalidAccessKeyId/,
    hint: /AWS_ACCESS_KEY_ID/,
  });
  delete process.env['AWS_ACCESS_KEY_ID'];
  delete process.env['AWS_SECRET_ACCESS_KEY'];
  Object.assign(process.env, {
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  });
  await assert.rejects((await open()).check(), {
    code: 'STORE_SETUP',
    message: /no credentials were found/,
    hint: /AWS_ACCESS_KEY_ID/,
  });
  Object.assign(process.env, environment);
  delete process.env['AWS_REGION'];
  const aws = await openBlobStore('s3://some-bucket');
  await assert.rejects(aws.has(digest), { code: 'STORE_SETUP', message: /no region is set/, hint: /AWS_REGION/ });
  Object.assign(process.env, environment);
  const away = await openBlobStore(`s3://${BUCKET}?endpoint=http://127.0.0.1:1`);
  await assert.rejects(away.has(digest), { code: 'STORE_UNAVAILABLE', message: /failed 5 times: .*ECONNREFUSED/ });
  for (const each of [nowhere, stranger, aws, away]) await each.close();
});

test('settings go into s3 URLs that do not name them, and into no others', () => {
  const settings = { endpoint: 'http://h:9000', pathStyle: 'false' };
  assert.equal(
    withS3Settings('s3://bucket/a', settings),
    's3://bucket/a?endpoint=http%3A%2F%2Fh%3A9000&path-style=false',
  );
  assert.equal(
    withS3Settings('s3://bucket/a?endpoint=http://x', settings),
    's3://bucket/a?endpoint=http%3A%2F%2Fx&path-style=false',
  );
  assert.equal(withS3Settings('s3://bucket/a', { endpoint: 'auto', pathStyle: 'auto' }), 's3://bucket/a');
  assert.equal(withS3Settings('file:///a', settings), 'file:///a');
});

test('the SDK is loaded for stores in S3 only', () => {
  const storage = import.meta.resolve('@blindfit/blobs');
  const sdk = createRequire(import.meta.url).resolve('@aws-sdk/client-s3');
  const loads = (url: string): string => {
    const script = `
      const [storage, url, here, sdk] = ${JSON.stringify([storage, url, import.meta.url, sdk])};
      const { openBlobStore } = await import(storage);
      await openBlobStore(url);
      const { createRequire } = await import('node:module');
      console.log(Object.keys(createRequire(here).cache).includes(sdk));`;
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      env: { ...process.env, ...CREDENTIALS },
    });
    assert.equal(child.status, 0, child.stderr);
    return child.stdout.trim();
  };
  assert.equal(loads('http://127.0.0.1:1'), 'false');
  assert.equal(loads('s3://bucket'), 'true');
});
