/** How stores are named and told apart, without any of them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { digestOf } from '@blindfit/base';
import { HttpBlobStore } from '../src/http-store.ts';
import { describeIdentity, formatIdentity, isSameIdentity, parseIdentity } from '../src/identity.ts';
import { openBlobStore } from '../src/open.ts';
import { parseS3Url, s3UrlOf, withS3Settings } from '../src/s3-url.ts';

const invalid = { code: 'INVALID_STORE_URL' };

test('an s3 URL names a bucket, the beginning of all keys, and a server', () => {
  assert.deepEqual(parseS3Url('s3://abc'), { bucket: 'abc', prefix: '', endpoint: undefined, pathStyle: undefined });
  assert.deepEqual(parseS3Url('s3://a-b.c/x/y/?endpoint=http://h:1&path-style=false'), {
    bucket: 'a-b.c',
    prefix: 'x/y/',
    endpoint: 'http://h:1',
    pathStyle: false,
  });
  assert.equal(parseS3Url('s3://abc//x').prefix, 'x/');
  assert.equal(parseS3Url('s3://abc?path-style=true').pathStyle, true);
  assert.equal(parseS3Url(`s3://${'a'.repeat(63)}`).bucket.length, 63);
  for (const url of [
    's3://ab',
    `s3://${'a'.repeat(64)}`,
    's3://-ab',
    's3://ab-',
    's3://a_b',
    's3://abc/%20',
    's3://abc?region=x',
    's3://abc?endpoint=ftp://h',
    's3://abc?path-style=1',
    's3://key:secret@abc',
    's3://:secret@abc',
    'http://abc',
    'nonsense',
  ])
    assert.throws(
      () => parseS3Url(url),
      (error) => error instanceof Error && !error.message.includes('secret'),
      url,
    );
  assert.equal(s3UrlOf({ bucket: 'abc', prefix: 'x/' }), 's3://abc/x');
  assert.equal(s3UrlOf({ bucket: 'abc', prefix: '' }), 's3://abc');
});

test('settings of s3 are added where the URL does not say otherwise', () => {
  const both = { endpoint: 'http://h:1', pathStyle: 'true' };
  assert.deepEqual(
    parseS3Url(withS3Settings('s3://abc/x', both)),
    parseS3Url('s3://abc/x?endpoint=http://h:1&path-style=true'),
  );
  assert.equal(withS3Settings('s3://abc?path-style=false', { pathStyle: 'true' }), 's3://abc?path-style=false');
  assert.equal(withS3Settings('s3://abc', { pathStyle: 'auto' }), 's3://abc');
  for (const url of ['file:///x', 'http://h', 'nonsense']) assert.equal(withS3Settings(url, both), url);
});

test('URLs that name no store are refused, and secrets in them are not repeated', async () => {
  for (const url of ['nonsense', 'ftp://h/x', 'file://host/x', 'http://user@h', 'https://:secret@h', 's3://ab'])
    await assert.rejects(openBlobStore(url), (error) => {
      assert.ok(error instanceof Error && !error.message.includes('secret'), url);
      assert.equal((error as Error & { code?: string }).code, invalid.code);
      return true;
    });
});

test('stores are the same by id and epoch, and what is no identity is damage', () => {
  const own = { id: 'store-a', epoch: 2 };
  assert.deepEqual(parseIdentity(formatIdentity(own), 'here'), own);
  assert.equal(describeIdentity(own), 'store-a (epoch 2)');
  assert.ok(isSameIdentity(own, { ...own }));
  assert.ok(!isSameIdentity(own, { ...own, epoch: 3 }));
  assert.ok(!isSameIdentity(own, { ...own, id: 'store-b' }));
  const text = formatIdentity(own);
  for (const wrong of [
    '',
    '{}',
    'null',
    text.slice(0, 20),
    text.replace('/1', '/2'),
    text.replace('2', '2.5'),
    text.replace('"store-a"', '7'),
  ])
    assert.throws(() => parseIdentity(wrong, 'here'), /here/, wrong);
});

test('a store behind the API says that it works for jobs, with its token', async (t) => {
  const asked: unknown[] = [];
  const server = createServer(({ method, url, headers }, response) => {
    asked.push([method, url, headers.authorization, headers['blindfit-scope']]);
    response.writeHead(method === 'HEAD' ? 404 : 201, { 'content-type': 'application/json' });
    response.end(method === 'HEAD' ? undefined : '{"size":1}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const store = new HttpBlobStore(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, { token: 't' });
  t.after(async () => {
    await store.close();
    server.close();
  });
  const bytes = Uint8Array.of(1);
  const digest = digestOf(bytes);
  assert.equal(await store.touch(digest), false);
  await store.put(digest, bytes);
  assert.deepEqual(asked, [
    ['HEAD', `/v1/blobs/${digest}`, 'Bearer t', 'work'],
    ['PUT', `/v1/blobs/${digest}`, 'Bearer t', 'work'],
  ]);
});
