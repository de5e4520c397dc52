/** Which problems `checkPlaces` names, and in which order. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { stat, utimes } from 'node:fs/promises';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseDigest, type Digest } from '@blindfit/base';
import { BlobNotFoundError, FileBlobStore } from '@blindfit/blobs';
import { Parameters, wrap } from '@blindfit/he';
import { temporaryDirectory } from '@blindfit/testkit';
import type { ExpectedBlob } from '@blindfit/training';
import { checkPlaces } from '../src/check-blobs.ts';
import { ApiError } from '../src/problems.ts';
import { putBlob } from './service.ts';
import { randomBlob } from './support.ts';

const parameters = Parameters.of({ ring: 8192, dataBits: [50, 40], specialBits: 60, scaleBits: 40 });
const fields = { kind: 'relinearisation-key' } as const;

/** A real store that takes its time with some blobs. */
async function unevenStore(t: TestContext, slow: Set<string>): Promise<FileBlobStore> {
  const store = await FileBlobStore.open(await temporaryDirectory(t), { durable: false });
  const touch = store.touch.bind(store);
  store.touch = async (digest: Digest) => {
    if (slow.has(digest)) await sleep(30);
    return touch(digest);
  };
  return store;
}

async function problemsOf(store: FileBlobStore, places: ExpectedBlob[]): Promise<{ code: string; places: string[] }> {
  try {
    await checkPlaces(store, parameters, places, new Set());
  } catch (error) {
    assert.ok(error instanceof ApiError);
    return { code: error.code, places: error.blobs?.map(({ place }) => place) ?? [] };
  }
  return { code: 'fine', places: [] };
}

test('problems come in the order of the places, whichever blob was looked into first', async (t) => {
  const slow = new Set<string>();
  const store = await unevenStore(t, slow);
  const good = await putBlob(store, wrap(parameters, fields, randomBytes(500)));
  const bad = await Promise.all(Array.from({ length: 4 }, () => putBlob(store, randomBytes(500))));
  for (const digest of bad.slice(0, 2)) slow.add(digest);
  const at = (digest: string, index: number): ExpectedBlob => ({ digest, place: `place ${index}`, fields });
  assert.deepEqual(await problemsOf(store, [at(good, 0)]), { code: 'fine', places: [] });
  assert.deepEqual(await problemsOf(store, [good, ...bad].map(at)), {
    code: 'BLOBS_INVALID',
    places: ['place 1', 'place 2', 'place 3', 'place 4'],
  });
  // Those that are missing come first: without them nobody knows what else is wrong.
  const absent = randomBlob(10).digest;
  slow.add(absent);
  assert.deepEqual(await problemsOf(store, [...bad, absent].map(at)), {
    code: 'BLOBS_MISSING',
    places: ['place 4', 'place 0', 'place 1', 'place 2', 'place 3'],
  });
});

test('five problems are told in detail, twenty are listed, and no more blobs are looked at', async (t) => {
  const store = await unevenStore(t, new Set());
  let looks = 0;
  const touch = store.touch.bind(store);
  store.touch = (digest: Digest) => {
    looks++;
    return touch(digest);
  };
  const refusalOf = async (count: number): Promise<ApiError> => {
    const places = Array.from({ length: count }, (_, index) => ({
      digest: randomBlob(32).digest,
      place: `place ${index}`,
      fields,
    }));
    const error = await checkPlaces(store, parameters, places, new Set()).catch((reason: unknown) => reason);
    assert.ok(error instanceof ApiError);
    return error;
  };
  for (const [count, told, more] of [
    [5, 5, false],
    [6, 5, true],
    [200, 5, true],
  ] as const) {
    const { message } = await refusalOf(count);
    assert.equal(message.match(/is missing/g)?.length, told, message);
    assert.equal(message.endsWith('; and more, see "blobs"'), more, message);
  }
  looks = 0;
  await refusalOf(1000);
  // Sixteen are looked at at a time.
  assert.ok(looks >= 20 && looks < 20 + 16, `${looks} looks`);
});

test('blobs of a submission become new, so that they stay until the job is recorded', async (t) => {
  const directory = await temporaryDirectory(t);
  const store = await FileBlobStore.open(directory, { durable: false });
  const digest = parseDigest(await putBlob(store, wrap(parameters, fields, randomBytes(500))));
  const old = new Date(Date.now() - 86_400_000);
  await utimes(store.pathOf(digest), old, old);
  await checkPlaces(store, parameters, [{ digest, place: 'place 0', fields }], new Set());
  assert.ok((await stat(store.pathOf(digest))).mtimeMs > Date.now() - 60_000);
});

test('a blob that goes while it is looked at is missing; a store that fails is not', async (t) => {
  const store = await FileBlobStore.open(await temporaryDirectory(t), { durable: false });
  const digest = parseDigest(await putBlob(store, wrap(parameters, fields, randomBytes(500))));
  const places = [{ digest, place: 'place 0', fields }];
  store.readHead = () => Promise.reject(new BlobNotFoundError(digest, 'this store'));
  assert.deepEqual(await problemsOf(store, places), { code: 'BLOBS_MISSING', places: ['place 0'] });
  store.readHead = () => Promise.reject(new Error('the disk is gone'));
  await assert.rejects(checkPlaces(store, parameters, places, new Set()), /the disk is gone/);
});

test('of a thousand problems the first twenty are named', async (t) => {
  const slow = new Set<string>();
  const store = await unevenStore(t, slow);
  const absent = Array.from({ length: 1000 }, () => randomBlob(32).digest);
  for (const [index, digest] of absent.entries()) if (index % 3 === 0) slow.add(digest);
  const expected = Array.from({ length: 20 }, (_, index) => `place ${index}`);
  const places = absent.map((digest, index) => ({ digest, place: `place ${index}`, fields }));
  assert.deepEqual(await problemsOf(store, places), { code: 'BLOBS_MISSING', places: expected });
  // One blob at many places.
  const [one = ''] = absent;
  assert.deepEqual(
    await problemsOf(
      store,
      places.map((place) => ({ ...place, digest: one })),
    ),
    { code: 'BLOBS_MISSING', places: expected },
  );
});

test('what another tenant has is missing, like what nobody has', async (t) => {
  const store = await FileBlobStore.open(await temporaryDirectory(t), { durable: false });
  const mine = await putBlob(store, wrap(parameters, fields, randomBytes(500)));
  const theirs = await putBlob(store, wrap(parameters, fields, randomBytes(500)));
  const places = [mine, theirs].map((digest, index) => ({ digest, place: `place ${index}`, fields }));
  const error = await checkPlaces(store, parameters, places, new Set([theirs])).catch((reason: unknown) => reason);
  assert.ok(error instanceof ApiError);
  assert.equal(error.code, 'BLOBS_MISSING');
  assert.deepEqual(error.blobs, [{ place: 'place 1', digest: theirs, reason: 'missing' }]);
});
