/** What threads keep between tasks: keys in memory, and the files of keys and inputs on a host. 128-bit parameters. */
import assert from 'node:assert/strict';
import { readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { at } from '@blindfit/base';
import type { PoolOptions } from '../src/index.ts';
import { runWork } from '../src/run-work.ts';
import { Session } from '../src/session.ts';
import {
  constantStartPlan,
  firstTask,
  flipBit,
  HERE,
  makeJob,
  makePlace,
  makePool,
  rejection,
  SEAL,
  SHARED_KEYS,
  smallPlan,
  trainOn,
  type Job,
  type Place,
  type Trained,
} from './setup.ts';

let place: Place;
let small: Job;
let other: Job;
let constant: Job;

before(async () => {
  place = await makePlace();
  small = await makeJob(place, smallPlan());
  other = await makeJob(place, smallPlan(), `${SHARED_KEYS}-other`);
  constant = await makeJob(place, constantStartPlan());
});

after(async () => {
  for (const job of [small, other, constant]) job[Symbol.dispose]();
  await place[Symbol.asyncDispose]();
});

describe('keys', () => {
  const keyBytes = (job: Job): number => {
    const {
      dataBits: { length },
      ring,
    } = job.plan.parameters;
    return 2 * length * (length + 1) * ring * 8 * (job.plan.steps.length + 1);
  };

  it('are loaded once for each thread and keyset', async () => {
    await using watched = makePool(place, { keyBytes: 2 * keyBytes(small) });
    for (const job of [small, small, other, small, other]) await watched.pool.run(firstTask(job));
    assert.equal(watched.statistics.keyMisses, 2);
    assert.equal(watched.statistics.keyHits, 3);
  });

  it('of one keyset make room for those of another', async () => {
    await using watched = makePool(place, { keyBytes: 1.5 * keyBytes(small), evaluator: SEAL });
    await watched.pool.run(firstTask(small));
    await watched.pool.run(firstTask(other));
    const heap = watched.statistics.heapBytes;
    for (const job of [small, other, small, other]) await watched.pool.run(firstTask(job));
    assert.equal(watched.statistics.keyMisses, 6);
    assert.equal(watched.statistics.keyHits, 0);
    const grown = watched.statistics.heapBytes - heap;
    assert.ok(
      grown < keyBytes(small) / 2,
      `what is evicted is freed: four more loads of ${keyBytes(small)} bytes took ${grown}`,
    );
  });

  it(
    'of the native evaluator are made once on a host, dropped beyond the disk budget, and made again when damaged',
    { skip: HERE.kind !== 'native' },
    async () => {
      const cacheDirectory = join(place.path, 'host');
      const files = async (): Promise<string[]> => (await readdir(join(cacheDirectory, 'keys'))).sort();
      const run = async (job: Job, options: Partial<PoolOptions> = {}): Promise<readonly string[]> => {
        await using watched = makePool(place, { cacheDirectory, threads: 2, ...options });
        const [first, second] = await Promise.all([watched.pool.run(firstTask(job)), watched.pool.run(firstTask(job))]);
        assert.deepEqual(first.outputs, second.outputs);
        return first.outputs;
      };
      const outputs = await run(small);
      const made = await files();
      assert.equal(
        made.length,
        small.plan.steps.length + 1,
        'a file a key, whatever the threads, and no claims or parts',
      );
      const times = await Promise.all(
        made.map(async (name) => (await stat(join(cacheDirectory, 'keys', name))).birthtimeMs),
      );
      assert.deepEqual(await run(small), outputs);
      assert.deepEqual(
        await Promise.all(made.map(async (name) => (await stat(join(cacheDirectory, 'keys', name))).birthtimeMs)),
        times,
        'nothing is made twice',
      );
      // A damaged header, a file cut off, and one of nothing.
      const [damaged = '', cut = '', empty = ''] = made.map((name) => join(cacheDirectory, 'keys', name));
      const bytes = await readFile(damaged);
      bytes[20] = at(bytes, 20, 'bytes') ^ 1;
      await rm(damaged);
      await writeFile(damaged, bytes);
      await truncate(cut, 5000);
      await writeFile(empty, '');
      assert.deepEqual(await run(small), outputs);
      // Another keyset, with room for hardly more than one.
      await run(other, { keyDiskBytes: 1.2 * keyBytes(small) });
      const left = await files();
      assert.ok(
        left.length < 2 * made.length && other.plan.steps.length + 1 <= left.length,
        `${left.length} files left`,
      );
      assert.deepEqual(await run(small), outputs);
      // A process that died while it made a key left a claim behind.
      for (const name of await files()) await rm(join(cacheDirectory, 'keys', name));
      await writeFile(
        join(cacheDirectory, 'keys', damaged.slice(damaged.lastIndexOf('/') + 1).replace(/\.key$/, '.claim')),
        '999999999',
      );
      assert.deepEqual(await run(small), outputs);
    },
  );

  it('that are too many for a thread are refused with the remedy, and smaller work goes on', async () => {
    await using watched = makePool(place, { keyBytes: keyBytes(small) - 1 });
    const error = await rejection(watched.pool.run(firstTask(small)));
    assert.equal(error.code, 'KEY_BUDGET');
    assert.ok(!error.retryable);
    assert.match(
      error.message,
      /need \d+ MiB in a thread that may hold \d+ MiB; raise BLINDFIT_KEY_MEMORY_MB or start the worker with fewer threads/,
    );
    await watched.pool.run(firstTask(constant));
  });

  it('of node-seal are copies in each thread, which share the budget', async () => {
    await using watched = makePool(place, { threads: 2, keyBytes: 1.5 * keyBytes(small), evaluator: SEAL });
    assert.equal((await rejection(watched.pool.run(firstTask(small)))).code, 'KEY_BUDGET');
  });
});

describe('inputs of the native evaluator', { skip: HERE.kind !== 'native' }, () => {
  const directory = (): string => join(place.path, 'inputs-host');
  const files = async (): Promise<string[]> => (await readdir(join(directory(), 'inputs'))).sort();
  const train = async (
    options: Partial<PoolOptions> = {},
  ): Promise<{ readonly outputs: Trained['outputs']; readonly hits: number; readonly misses: number }> => {
    await using watched = makePool(place, { cacheDirectory: directory(), ...options });
    const { outputs } = await trainOn(watched.pool, constant);
    const { intermediates } = constant.plan.bytes;
    const { bytesWritten } = watched.statistics;
    assert.ok(
      intermediates <= bytesWritten && bytesWritten < 1.02 * intermediates,
      `${bytesWritten} bytes were written, ${intermediates} planned`,
    );
    return { outputs, hits: watched.statistics.inputHits, misses: watched.statistics.inputMisses };
  };
  const inputsOf = ({ manifest: { blobs } }: Job): string[] => [
    ...new Set([...blobs.features, ...blobs.gradientFeatures, ...blobs.labels].flat()),
  ];

  it('are expanded once on a host, also for later processes, and again when a file is damaged', async () => {
    const first = await train();
    const made = await files();
    assert.equal(made.length, inputsOf(constant).length, 'a file an input, and no parts');
    assert.equal(first.misses, made.length);
    const second = await train();
    assert.deepEqual([second.outputs, second.misses, second.hits], [first.outputs, 0, made.length]);
    const [damaged = '', cut = '', empty = ''] = made.map((name) => join(directory(), 'inputs', name));
    const bytes = await readFile(damaged);
    bytes[26] = at(bytes, 26, 'bytes') ^ 1;
    await rm(damaged);
    await writeFile(damaged, bytes);
    await truncate(cut, 5000);
    await writeFile(empty, '');
    const third = await train();
    assert.deepEqual([third.outputs, third.misses], [first.outputs, 3]);
    assert.deepEqual(await files(), made);
  });

  it('and keys with changed bits give no other models, however they are used', async () => {
    const cacheDirectory = join(place.path, 'flipped-host');
    const paths = async (kind: string): Promise<string[]> =>
      (await readdir(join(cacheDirectory, kind))).sort().map((name) => join(cacheDirectory, kind, name));
    await using watched = makePool(place, { cacheDirectory });
    const { pool, statistics } = watched;
    const { outputs } = await pool.run(firstTask(small));
    // The thread has them all mapped: the first bits of the words, the middle, the last bit.
    for (const kind of ['keys', 'inputs']) {
      const files = await paths(kind);
      const [first, second, last] = [at(files, 0, kind), at(files, 1, kind), at(files, files.length - 1, kind)];
      const { size } = await stat(second);
      flipBit(first, 4096, 0);
      flipBit(second, size / 2, 5);
      flipBit(last, size - 1, 7);
      assert.deepEqual((await pool.run(firstTask(small))).outputs, outputs, kind);
    }
    assert.deepEqual([statistics.damagedKeys, statistics.damagedInputs], [3, 2]);
    // Shorter files do not end the process, neither between tasks nor for a process that maps them first.
    for (const kind of ['keys', 'inputs']) await truncate(at(await paths(kind), 1, kind), 50_000);
    assert.deepEqual((await pool.run(firstTask(small))).outputs, outputs);
    for (const kind of ['keys', 'inputs']) flipBit(at(await paths(kind), 0, kind), 70_000, 1);
    await using later = makePool(place, { cacheDirectory });
    assert.deepEqual((await later.pool.run(firstTask(small))).outputs, outputs);
    const both = [statistics, later.statistics];
    assert.deepEqual(
      [both.reduce((sum, each) => sum + each.damagedKeys, 0), both.reduce((sum, each) => sum + each.damagedInputs, 0)],
      [5, 4],
    );
  });

  it('whose bits change in the middle of a task make it begin again', async () => {
    const cacheDirectory = join(place.path, 'changing-host');
    const session = await Session.open(
      {
        storeUrl: place.storeUrl,
        cacheDirectory,
        cacheBytes: 2 ** 30,
        keyBytes: 2 ** 30,
        evaluator: HERE,
        cancelFlag: new SharedArrayBuffer(4),
      },
      () => Promise.resolve(small.manifest),
    );
    const { outputs } = await runWork(session, firstTask(small));
    for (const kind of ['keys', 'inputs']) {
      const [name = ''] = await readdir(join(cacheDirectory, kind));
      let calls = 0;
      const checkpoint = (): void => {
        if (++calls === 2) flipBit(join(cacheDirectory, kind, name), 100_000, 2);
      };
      Object.assign(session, { checkpoint });
      assert.deepEqual((await runWork(session, firstTask(small))).outputs, outputs, kind);
    }
    assert.deepEqual([session.statistics.damagedKeys, session.statistics.damagedInputs], [1, 1]);
  });

  it('stay within their disk space; what finds no room is expanded for each task', async () => {
    const names = await files();
    const sizes = await Promise.all(names.map(async (name) => (await stat(join(directory(), 'inputs', name))).size));
    const some = sizes.slice(0, 2).reduce((sum, size) => sum + size, 0);
    const { outputs } = await train();
    for (const name of names) await rm(join(directory(), 'inputs', name));
    const without = await train({ inputDiskBytes: some });
    assert.deepEqual(without.outputs, outputs);
    const left = await files();
    assert.ok(left.length >= 1 && left.length <= 2, `${left.length} files of about ${sizes[0]} bytes in ${some}`);
    // Where nothing can be written, nothing is lost but time.
    await rm(join(directory(), 'inputs'), { recursive: true });
    await writeFile(join(directory(), 'inputs'), 'no directory');
    assert.deepEqual((await train()).outputs, outputs);
    await rm(join(directory(), 'inputs'));
  });

  it('that went unused make room for those of another job', async () => {
    await train();
    const old = await files();
    const longAgo = new Date(Date.now() - 3_600_000);
    for (const name of old) await utimes(join(directory(), 'inputs', name), longAgo, longAgo);
    const sizes = await Promise.all(old.map(async (name) => (await stat(join(directory(), 'inputs', name))).size));
    await using watched = makePool(place, {
      cacheDirectory: directory(),
      inputDiskBytes: sizes.reduce((sum, size) => sum + size, 0),
    });
    await watched.pool.run(firstTask(small));
    const now = await files();
    const kept = new Set(old);
    assert.ok(
      now.some((name) => !kept.has(name)),
      'the other job has files',
    );
    assert.ok(now.length < old.length + watched.statistics.inputMisses, 'some have gone for them');
  });
});
