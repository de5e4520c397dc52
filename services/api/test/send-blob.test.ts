/** The answer with a blob by itself: when the client has it already, and what counts as sent. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test, type TestContext } from 'node:test';
import fastify from 'fastify';
import { digestOf } from '@blindfit/base';
import type { BlobStore } from '@blindfit/blobs';
import { sendBlob } from '../src/send-blob.ts';

const BYTES = Buffer.from('the bytes of a blob');
const DIGEST = digestOf(BYTES);

/** @returns the base URL of a server with one blob, and the sizes that were counted as sent */
async function serve(t: TestContext, content: () => Readable): Promise<{ url: string; sent: number[] }> {
  const sent: number[] = [];
  const store = {
    has: () => Promise.resolve({ size: BYTES.length }),
    stream: () => Promise.resolve(content()),
  } as unknown as BlobStore;
  const app = fastify({ forceCloseConnections: true });
  t.after(() => app.close());
  const traffic = { received: () => undefined, sent: (bytes: number) => void sent.push(bytes) };
  app.get('/', (request, reply) => sendBlob(request, reply, { store, digest: DIGEST, traffic }));
  return { url: await app.listen({ host: '127.0.0.1', port: 0 }), sent };
}

test('a whole blob counts as sent once, with its digest', async (t) => {
  const { url, sent } = await serve(t, () => Readable.from([BYTES]));
  const response = await fetch(url);
  assert.equal(await response.text(), BYTES.toString());
  assert.equal(response.headers.get('etag'), `"${DIGEST}"`);
  assert.equal(response.headers.get('content-length'), '19');
  assert.equal(response.headers.get('content-type'), 'application/octet-stream');
  assert.equal(response.headers.get('cache-control'), 'private, max-age=31536000, immutable');
  assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
  const digest = Buffer.from(DIGEST.slice('sha256:'.length), 'hex').toString('base64');
  assert.equal(response.headers.get('repr-digest'), `sha-256=:${digest}:`);
  assert.deepEqual(sent, [BYTES.length]);
});

test('a blob that breaks off does not count', async (t) => {
  const { url, sent } = await serve(t, () =>
    Readable.from(
      (function* () {
        yield BYTES.subarray(0, 5);
        throw new Error('the disk is gone');
      })(),
    ),
  );
  await assert.rejects(fetch(url).then((response) => response.text()));
  assert.deepEqual(sent, []);
});

test('304 for the very digest, alone or among others, and for no other', async (t) => {
  const { url, sent } = await serve(t, () => Readable.from([BYTES]));
  const statusFor = async (tag: string): Promise<number> => {
    const response = await fetch(url, { headers: { 'if-none-match': tag } });
    await response.text();
    return response.status;
  };
  const other = `${DIGEST.slice(0, -1)}${DIGEST.endsWith('0') ? '1' : '0'}`;
  assert.equal(await statusFor(`"${DIGEST}"`), 304);
  assert.equal(await statusFor(`"${other}", W/"${DIGEST}"`), 304);
  assert.deepEqual(sent, []);
  assert.equal(await statusFor(`"${other}"`), 200);
  assert.equal(await statusFor(DIGEST), 200, 'a tag stands in quotation marks');
});
