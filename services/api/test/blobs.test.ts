import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { stat, utimes, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fastify, { type FastifyInstance } from 'fastify';
import { defined, parseDigest } from '@blindfit/base';
import { FileBlobStore } from '@blindfit/blobs';
import type { BlobOwners } from '@blindfit/queue';
import { filesUnder, temporaryDirectory, until } from '@blindfit/testkit';
import { HttpBlobStore } from '../../../libs/blobs/src/http-store.ts';
import { addBearerAuth } from '../src/auth.ts';
import { DEFAULT_BOUNDS } from '../src/bounds.ts';
import { Gate } from '../src/gate.ts';
import { rootToken } from '../src/principals.ts';
import { useProblems } from '../src/problems.ts';
import { blobRoutes } from '../src/routes/blobs.ts';
import { randomBlob } from './support.ts';

const MAX = 1_000_000;
const EMPTY = parseDigest('sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');

interface Setup {
  app: FastifyInstance;
  url: string;
  port: number;
  root: string;
  store: FileBlobStore;
}

/** Who has which blobs, by the directory of the store: as Redis does, it outlives an API. */
const owned = new Map<string, Set<string>>();

function ownersIn(root: string): Pick<BlobOwners, 'add' | 'has'> {
  const known = owned.get(root) ?? new Set();
  owned.set(root, known);
  return {
    add: (tenant, digests) => {
      for (const digest of digests) known.add(`${tenant} ${digest}`);
      return Promise.resolve();
    },
    has: (tenant, digest) => Promise.resolve(known.has(`${tenant} ${digest}`)),
  };
}

/** Every request is one of an owner of this tenant. */
function asTenant(app: FastifyInstance, tenant: string): void {
  app.decorateRequest('principal', undefined);
  app.addHook('onRequest', (request, _reply, done) => {
    request.principal = { name: tenant, tenant, scopes: new Set(['blobs']) };
    done();
  });
}

async function setup(
  t: TestContext,
  options: { root?: string; token?: string; tenant?: string; idleTimeoutMs?: number; quota?: number } = {},
): Promise<Setup> {
  const root = options.root ?? (await temporaryDirectory(t));
  const store = await FileBlobStore.open(root);
  const app = fastify({ forceCloseConnections: true });
  t.after(() => app.close());
  useProblems(app);
  if (options.token !== undefined) addBearerAuth(app, { authenticate: rootToken(options.token) });
  else asTenant(app, options.tenant ?? 'default');
  await app.register(blobRoutes, {
    store,
    owners: ownersIn(root),
    tenants: { storedBytes: () => Promise.resolve(defined({ used: 0, limit: options.quota })) },
    assertRoom: () => Promise.resolve(),
    uploads: new Gate({ perKey: 64, total: 64 }),
    bounds: DEFAULT_BOUNDS,
    maxBytes: MAX,
    idleTimeoutMs: options.idleTimeoutMs,
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  return { app, url: `${url}/v1/blobs`, port: Number(new URL(url).port), root, store };
}

const put = (
  url: string,
  body: Uint8Array<ArrayBuffer> | string,
  headers: Record<string, string> = {},
): Promise<Response> =>
  fetch(url, { method: 'PUT', body, headers: { 'content-type': 'application/octet-stream', ...headers } });

/** Sends a body without Content-Length. */
function putChunked(url: string, bytes: Uint8Array): Promise<Response> {
  const body = new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length; at += 10_000) controller.enqueue(bytes.subarray(at, at + 10_000));
      controller.close();
    },
  });
  return fetch(url, { method: 'PUT', body, duplex: 'half' });
}

async function assertProblem(response: Response, status: number, code: string): Promise<Record<string, unknown>> {
  const text = await response.text();
  assert.equal(response.status, status, text);
  assert.match(String(response.headers.get('content-type')), /^application\/problem\+json/);
  const body = JSON.parse(text) as Record<string, unknown>;
  assert.equal(body['status'], status);
  assert.equal(body['code'], code);
  assert.equal(body['type'], `urn:blindfit:problem:${code.toLowerCase().replaceAll('_', '-')}`);
  assert.ok(typeof body['title'] === 'string' && typeof body['detail'] === 'string');
  return body;
}

/** Starts an upload by hand, so that it can be broken off anywhere. */
async function startUpload(port: number, path: string, length: number, firstBytes: Uint8Array): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(
    `PUT ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nContent-Length: ${length}\r\n\r\n`,
  );
  await new Promise<void>((resolve) => socket.write(firstBytes, () => resolve()));
  return socket;
}

test('a blob goes up and comes down', async (t) => {
  const { url, store } = await setup(t);
  const { bytes, digest } = randomBlob(MAX);
  const target = `${url}/${digest}`;
  await assertProblem(await fetch(target), 404, 'BLOB_NOT_FOUND');
  assert.equal((await fetch(target, { method: 'HEAD' })).status, 404);

  const created = await put(target, bytes);
  assert.equal(created.status, 201);
  assert.deepEqual(await created.json(), { digest, size: MAX, created: true });
  const again = await put(target, bytes);
  assert.equal(again.status, 200);
  assert.deepEqual(await again.json(), { digest, size: MAX, created: false });
  assert.deepEqual(await store.get(digest), bytes);

  for (const method of ['HEAD', 'GET']) {
    const response = await fetch(target, { method });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-length'), String(MAX));
    assert.equal(response.headers.get('content-type'), 'application/octet-stream');
    assert.equal(response.headers.get('etag'), `"${digest}"`);
    assert.match(String(response.headers.get('cache-control')), /immutable/);
    assert.deepEqual(new Uint8Array(await response.arrayBuffer()), method === 'GET' ? bytes : new Uint8Array());
  }
  const cached = await fetch(target, { headers: { 'if-none-match': `"${digest}"` } });
  assert.equal(cached.status, 304);
  assert.equal(await cached.text(), '');
});

test('HEAD and PUT make a blob new, so that it stays for the client that relies on it; GET does not', async (t) => {
  const { url, store } = await setup(t);
  const { bytes, digest } = randomBlob(1000);
  await put(`${url}/${digest}`, bytes);
  const yesterday = new Date(Date.now() - 86_400_000);
  const ageAfter = async (method: 'GET' | 'HEAD' | 'PUT'): Promise<number> => {
    await utimes(store.pathOf(digest), yesterday, yesterday);
    assert.equal((await fetch(`${url}/${digest}`, { method, body: method === 'PUT' ? bytes : null })).status, 200);
    return Date.now() - (await stat(store.pathOf(digest))).mtimeMs;
  };
  for (const method of ['HEAD', 'PUT'] as const) assert.ok((await ageAfter(method)) < 10_000, method);
  assert.ok((await ageAfter('GET')) > 86_000_000);
});

test('any content type is bytes, the digest may be percent-encoded, and the empty blob is a blob', async (t) => {
  const { url, store } = await setup(t);
  for (const type of ['application/json', 'text/plain', 'image/png']) {
    const { bytes, digest } = randomBlob(1000);
    assert.equal(
      (await put(`${url}/${encodeURIComponent(digest)}`, bytes, { 'content-type': type })).status,
      201,
      type,
    );
    assert.deepEqual(await store.get(digest), bytes);
  }
  const { bytes, digest } = randomBlob(50_000);
  await assertProblem(
    await put(`${url}/${digest}`, bytes, { 'content-type': 'nonsense' }),
    415,
    'UNSUPPORTED_MEDIA_TYPE',
  );
  assert.equal((await putChunked(`${url}/${digest}`, bytes)).status, 201);
  assert.equal((await fetch(`${url}/${EMPTY}`, { method: 'PUT' })).status, 201);
  assert.deepEqual(await store.has(EMPTY), { size: 0 });
  assert.equal((await (await fetch(`${url}/${EMPTY}`)).arrayBuffer()).byteLength, 0);
});

test('a malformed digest is 400 with the rule, on every method', async (t) => {
  const { url, root } = await setup(t);
  const { bytes, digest } = randomBlob(100);
  for (const bad of [
    'x',
    digest.slice(7),
    digest.toUpperCase(),
    digest.replace('sha256', 'md5'),
    '..%2F..%2Fetc%2Fpasswd',
  ]) {
    const problem = await assertProblem(await put(`${url}/${bad}`, bytes), 400, 'INVALID_DIGEST');
    assert.match(String(problem['hint']), /64 lower-case hex digits/);
    await assertProblem(await fetch(`${url}/${bad}`), 400, 'INVALID_DIGEST');
    assert.equal((await fetch(`${url}/${bad}`, { method: 'HEAD' })).status, 400);
  }
  assert.deepEqual(await filesUnder(root), []);
});

test('wrong bytes are 422 and leave nothing', async (t) => {
  const { url, root } = await setup(t);
  const { digest } = randomBlob(10);
  const other = randomBlob(500_000);
  const problem = await assertProblem(await put(`${url}/${digest}`, other.bytes), 422, 'DIGEST_MISMATCH');
  assert.ok(String(problem['detail']).includes(other.digest));
  await assertProblem(await putChunked(`${url}/${digest}`, other.bytes), 422, 'DIGEST_MISMATCH');
  assert.deepEqual(await filesUnder(root), []);
});

test('too large is 413: by the announced length before a byte is sent, and by the bytes that come', async (t) => {
  const { url, port, root, store } = await setup(t);
  const { bytes, digest } = randomBlob(MAX + 1);
  const problem = await assertProblem(await putChunked(`${url}/${digest}`, bytes), 413, 'BLOB_TOO_LARGE');
  assert.match(String(problem['detail']), /1000000 bytes/);

  const socket = await startUpload(port, `/v1/blobs/${digest}`, 1e12, new Uint8Array());
  const [answer] = await Promise.race([once(socket, 'data'), rejectAfter(5000)]);
  assert.match(String(answer), /^HTTP\/1\.1 413 /);
  socket.destroy();

  // The limit holds for a blob that is there, too, although its bytes are only thrown away.
  const known = randomBlob(10);
  await store.put(known.digest, known.bytes);
  await assertProblem(await putChunked(`${url}/${known.digest}`, bytes), 413, 'BLOB_TOO_LARGE');
  assert.equal((await put(`${url}/${known.digest}`, known.bytes)).status, 201);
  await assertProblem(await putChunked(`${url}/${known.digest}`, bytes), 413, 'BLOB_TOO_LARGE');
  assert.deepEqual(await filesUnder(root), [store.pathOf(known.digest)]);
});

test('a full store is 507', async (t) => {
  const root = await temporaryDirectory(t);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', root], { stdio: 'pipe' });
  } catch {
    return t.skip('mounting a small tmpfs is not allowed here');
  }
  try {
    const { url } = await setup(t, { root });
    const { bytes, digest } = randomBlob(900_000);
    const problem = await assertProblem(await put(`${url}/${digest}`, bytes), 507, 'STORAGE_FULL');
    assert.match(String(problem['detail']), /bytes free/);
    assert.deepEqual(await filesUnder(root), []);
    const small = randomBlob(1000);
    assert.equal((await put(`${url}/${small.digest}`, small.bytes)).status, 201);
  } finally {
    execFileSync('umount', [root]);
  }
});

test('bytes are written while they come, and a client that goes away leaves nothing', async (t) => {
  const { port, root } = await setup(t);
  const { bytes, digest } = randomBlob(800_000);
  const socket = await startUpload(port, `/v1/blobs/${digest}`, bytes.length, bytes.subarray(0, 600_000));
  await until(
    async () => (await filesUnder(root)).some((name) => name.endsWith('.part')),
    'the upload is being written',
  );
  socket.destroy();
  await until(async () => (await filesUnder(root)).length === 0, 'the temporary file is gone');
});

test('a client that falls silent is given up', async (t) => {
  const { port, root } = await setup(t, { idleTimeoutMs: 300 });
  const { bytes, digest } = randomBlob(800_000);
  const socket = await startUpload(port, `/v1/blobs/${digest}`, bytes.length, bytes.subarray(0, 1000));
  await until(async () => (await filesUnder(root)).length === 1, 'the upload is being written');
  await Promise.race([once(socket, 'close'), rejectAfter(5000)]);
  await until(async () => (await filesUnder(root)).length === 0, 'the temporary file is gone');
});

test('a client that has sent everything may wait for a slow disk', async (t) => {
  const { url, store } = await setup(t, { idleTimeoutMs: 700 });
  const put0 = store.put.bind(store);
  store.put = async (...upload) => {
    const stored = await put0(...upload);
    await sleep(1200);
    return stored;
  };
  const { bytes, digest } = randomBlob(1000);
  assert.equal((await put(`${url}/${digest}`, bytes)).status, 201);
});

test('concurrent uploads of one blob all succeed', async (t) => {
  const { url, root, store } = await setup(t);
  const { bytes, digest } = randomBlob(500_000);
  const statuses = await Promise.all(
    Array.from({ length: 10 }, async () => (await put(`${url}/${digest}`, bytes)).status),
  );
  assert.ok(statuses.every((status) => status === 200 || status === 201));
  assert.ok(statuses.includes(201));
  assert.deepEqual(await filesUnder(root), [store.pathOf(digest)]);
});

test('a damaged blob breaks off instead of looking complete, and can be uploaded again', async (t) => {
  const { url, store } = await setup(t);
  const { bytes, digest } = randomBlob(500_000);
  await put(`${url}/${digest}`, bytes);
  await writeFile(store.pathOf(digest), new Uint8Array(500_000));
  await assert.rejects(async () => await (await fetch(`${url}/${digest}`)).arrayBuffer());
  assert.equal((await put(`${url}/${digest}`, bytes)).status, 201);
  assert.deepEqual(new Uint8Array(await (await fetch(`${url}/${digest}`)).arrayBuffer()), bytes);
});

test('the HTTP client of @blindfit/blobs understands these routes', async (t) => {
  const token = 'a token of some length';
  const { url, port } = await setup(t, { token: token.replaceAll(' ', '-') });
  const base = `http://127.0.0.1:${port}`;
  const client = new HttpBlobStore(base, { token: token.replaceAll(' ', '-') });
  const stranger = new HttpBlobStore(base);
  t.after(() => Promise.all([client.close(), stranger.close()]));
  const { bytes, digest } = randomBlob(400_000);
  assert.equal((await fetch(`${url}/${digest}`)).status, 401);
  assert.equal(await client.has(digest), undefined);
  await assert.rejects(client.get(digest), { code: 'BLOB_NOT_FOUND' });
  await assert.rejects(client.put(digest, randomBlob(100).bytes), { code: 'DIGEST_MISMATCH' });
  const large = randomBlob(MAX + 1);
  await assert.rejects(client.put(large.digest, large.bytes), { code: 'BLOB_TOO_LARGE' });
  await assert.rejects(stranger.put(digest, bytes), { code: 'STORE_REFUSED', status: 401 });
  assert.deepEqual(await client.put(digest, bytes), { created: true, size: 400_000 });
  assert.deepEqual(await client.put(digest, bytes), { created: false, size: 400_000 });
  assert.deepEqual(await client.get(digest), bytes);
  assert.deepEqual(await client.readHead(digest, 100), bytes.slice(0, 100));
  // A service stores for a job, also where its token could be an owner's: the tenant of the token has not got the blob.
  const headers = { authorization: `Bearer ${token.replaceAll(' ', '-')}` };
  assert.equal((await fetch(`${url}/${digest}`, { method: 'HEAD', headers })).status, 404);
});

function once(socket: Socket, event: 'data' | 'close'): Promise<unknown[]> {
  return new Promise((resolve) => socket.once(event, (...values: unknown[]) => resolve(values)));
}

function rejectAfter(milliseconds: number): Promise<never> {
  return new Promise((_resolve, reject) =>
    setTimeout(() => reject(new Error(`nothing came for ${milliseconds} ms`)), milliseconds).unref(),
  );
}

test('a tenant learns nothing of the blobs of another one, also by sending them', async (t) => {
  const root = await temporaryDirectory(t);
  const a = await setup(t, { root, tenant: 'a' });
  const b = await setup(t, { root, tenant: 'b' });
  const { bytes, digest } = randomBlob(20_000);
  assert.equal((await put(`${a.url}/${digest}`, bytes)).status, 201);
  assert.equal((await fetch(`${b.url}/${digest}`, { method: 'HEAD' })).status, 404);
  await assertProblem(await fetch(`${b.url}/${digest}`), 404, 'BLOB_NOT_FOUND');
  // Who knows the name only does not get the blob for it.
  await assertProblem(await put(`${b.url}/${digest}`, randomBlob(20_000).bytes), 422, 'DIGEST_MISMATCH');
  await assertProblem(await put(`${b.url}/${digest}`, new Uint8Array()), 422, 'DIGEST_MISMATCH');
  assert.equal((await fetch(`${b.url}/${digest}`)).status, 404);
  // Who has the bytes gets the answer of a first upload.
  const own = await put(`${b.url}/${digest}`, bytes);
  assert.equal(own.status, 201);
  assert.deepEqual(await own.json(), { digest, size: bytes.length, created: true });
  for (const { url } of [a, b]) {
    assert.deepEqual(new Uint8Array(await (await fetch(`${url}/${digest}`)).arrayBuffer()), new Uint8Array(bytes));
    assert.equal((await put(`${url}/${digest}`, bytes)).status, 200);
  }
});
