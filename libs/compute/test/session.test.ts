/** What a thread keeps between tasks: its store and counts, its engines, and the flag that stops a task. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { parseDigest } from '@blindfit/base';
import { FileBlobStore } from '@blindfit/blobs';
import { Parameters, parseHeader, type ParametersLiteral } from '@blindfit/he';
import { SealBackend } from '@blindfit/he/seal';
import { randomVector, temporaryDirectory } from '@blindfit/testkit';
import { KeyHolder } from '../../he/test/key-holder.ts';
import type { ThreadData } from '../src/messages.ts';
import { Session } from '../src/session.ts';

const LITERAL: ParametersLiteral = { ring: 1024, dataBits: [40, 30, 30], specialBits: 40, scaleBits: 30 };
const PARAMETERS = Parameters.of(LITERAL, 'none');

async function open(t: TestContext): Promise<{ session: Session; flag: Int32Array; root: string }> {
  const root = await temporaryDirectory(t);
  const cancelFlag = new SharedArrayBuffer(4);
  const data: ThreadData = {
    storeUrl: pathToFileURL(join(root, 'blobs')).href,
    cacheDirectory: join(root, 'cache'),
    cacheBytes: 1e6,
    keyBytes: 1e6,
    evaluator: { kind: 'seal', why: 'test' },
    cancelFlag,
  };
  const session = await Session.open(data, () => Promise.reject(new Error('no manifest is needed')));
  return { session, flag: new Int32Array(cancelFlag), root };
}

it('the flag stops a task at its next checkpoint, and only while it is raised', async (t) => {
  const { session, flag } = await open(t);
  session.checkpoint();
  Atomics.store(flag, 0, 1);
  assert.throws(session.checkpoint, { code: 'TASK_CANCELLED' });
  Atomics.store(flag, 0, 0);
  session.checkpoint();
});

it('results are stored under their digest; bytes and levels are counted', async (t) => {
  const { session, root } = await open(t);
  const engine = await session.engine(PARAMETERS);
  assert.equal(session.evaluator, 'node-seal (WebAssembly)');
  const seal = await SealBackend.open(PARAMETERS);
  const secret = new KeyHolder(seal);
  t.after(() => {
    secret[Symbol.dispose]();
    seal[Symbol.dispose]();
  });
  const sizes: number[] = [];
  for (const level of [2, 0, 2]) {
    using ciphertext = engine.loadCiphertext(secret.encryptToBytes(randomVector(512, sizes.length), level, 2 ** 30));
    const digest = parseDigest(await session.write(engine, ciphertext));
    const bytes = await (await FileBlobStore.open(join(root, 'blobs'))).get(digest);
    const { kind, level: written, scale } = parseHeader(bytes) as { kind: string; level: number; scale: number };
    assert.deepEqual([kind, written, scale], ['ciphertext', level, 2 ** 30]);
    assert.deepEqual(await session.read(digest), bytes);
    sizes.push(bytes.length);
  }
  const { bytesRead, bytesWritten, levelsWritten } = session.statistics;
  const total = sizes.reduce((sum, size) => sum + size, 0);
  assert.deepEqual([bytesRead, bytesWritten, levelsWritten], [total, total, [1, 0, 2]]);
});

it('engines are kept for the four parameter sets used last', async (t) => {
  const { session } = await open(t);
  const sets = [30, 31, 32, 33, 34].map((bits) => Parameters.of({ ...LITERAL, dataBits: [40, bits, 30] }, 'none'));
  const [first, second, ...others] = sets;
  assert.ok(first !== undefined && second !== undefined);
  const engines = [await session.engine(first), await session.engine(second)];
  for (const parameters of others.slice(0, 2)) await session.engine(parameters);
  assert.equal(await session.engine(first), engines[0], 'the fourth set leaves the first one in place');
  for (const parameters of others.slice(2)) await session.engine(parameters);
  assert.equal(await session.engine(first), engines[0], 'a use counts');
  assert.notEqual(await session.engine(second), engines[1], 'the set that was unused for longest went');
});

it('a task ends with the memory of SEAL in the statistics', async (t) => {
  const { session } = await open(t);
  await session.engine(PARAMETERS);
  assert.equal(session.statistics.heapBytes, 0);
  await session.finishTask();
  assert.ok(session.statistics.heapBytes >= 2 ** 20);
});
