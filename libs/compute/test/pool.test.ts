/** The pool of threads on real jobs: right results, cancellation, threads that die. 128-bit parameters. */
import assert from 'node:assert/strict';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { digestOf, parseDigest, type Digest } from '@blindfit/base';
import { evaluatorName } from '@blindfit/he/native';
import { decryptModel } from '@blindfit/owner';
import type { BackwardTask } from '@blindfit/protocol';
import { expectedError } from '@blindfit/training';
import { TaskCancelledError, type ThreadPool } from '../src/index.ts';
import {
  constantStartPlan,
  EVALUATORS,
  firstTask,
  largestError,
  makeJob,
  makePlace,
  makePool,
  putBytes,
  putManifest,
  rejection,
  SEAL,
  smallPlan,
  threadsOf,
  trainOn,
  type Job,
  type Place,
  type Trained,
} from './setup.ts';

let place: Place;
let small: Job;
let constant: Job;

before(async () => {
  place = await makePlace();
  small = await makeJob(place, smallPlan());
  constant = await makeJob(place, constantStartPlan());
});

after(async () => {
  for (const job of [small, constant]) job[Symbol.dispose]();
  await place[Symbol.asyncDispose]();
});

/** A task that takes seconds on node-seal: its shard counts 200 times. */
const longTask = (): BackwardTask => ({ ...firstTask(small), shards: new Array<number>(200).fill(0) });

describe('results', () => {
  const train = async (t: TestContext, pool: ThreadPool, job: Job): Promise<Trained> => {
    const { plan, keyset, clear } = job;
    const trained = await trainOn(pool, job);
    const weights = decryptModel(
      keyset,
      plan,
      await Promise.all(trained.models.map((digest) => place.store.get(parseDigest(digest)))),
    );
    const error = largestError(weights, clear);
    t.diagnostic(`largest error ${error.toExponential(2)}, planned ${expectedError(plan).toExponential(2)}`);
    assert.ok(error > 0 && error < expectedError(plan));
    assert.deepEqual(trained.operations, plan.operations);
    return trained;
  };

  for (const [name, jobOf] of [
    ['zero start', () => small],
    ['constant start, several blocks', () => constant],
  ] as const)
    it(`decrypt to those of the clear twin, in the same bytes on every evaluator: ${name}`, async (t) => {
      await using watched = makePool(place, { threads: 2 });
      const trained = await train(t, watched.pool, jobOf());
      assert.ok(trained.outputs.flat().length > 2);
      for (const evaluator of EVALUATORS) {
        await using other = makePool(place, { evaluator });
        assert.deepEqual(await trainOn(other.pool, jobOf()), trained, evaluatorName(evaluator));
      }
    });
});

describe('cancelling', () => {
  const timed = async (body: () => Promise<unknown>): Promise<number> => {
    const started = performance.now();
    await assert.rejects(body(), TaskCancelledError);
    return performance.now() - started;
  };

  for (const [when, delay] of [
    ['while SEAL is set up', 100],
    ['while keys load', 100],
    ['while it computes', 100],
  ] as const) {
    it(`takes a moment of a task that takes far longer, ${when}, and the next task runs`, async () => {
      // node-seal takes long enough to be met in the middle of things.
      await using watched = makePool(place, { evaluator: SEAL });
      const task = longTask();
      if (when !== 'while SEAL is set up')
        await watched.pool.run({ kind: 'prepare', job: task.job, manifest: small.digest });
      if (when === 'while it computes') await watched.pool.run(firstTask(small));
      const aborter = new AbortController();
      const running = watched.pool.run(task, aborter.signal);
      running.catch(() => undefined); // looked at below
      await sleep(delay);
      assert.equal(watched.pool.busy, 1);
      const took = await timed(() => (aborter.abort(), running));
      // A fraction of a second, unless the machine is very busy.
      assert.ok(took < 5000, `${took} ms`);
      assert.equal(watched.pool.busy, 0);
      const { outputs } = await watched.pool.run(firstTask(small));
      assert.equal(outputs.length, 1);
    });
  }

  it('reaches tasks that wait for a thread, and those given up before they came', async () => {
    await using watched = makePool(place);
    const running = watched.pool.run(firstTask(small));
    const aborter = new AbortController();
    const waiting = watched.pool.run(firstTask(small), aborter.signal);
    waiting.catch(() => undefined); // looked at below
    aborter.abort();
    const first = await Promise.race([running.then(() => 'the running one'), waiting.catch((error: unknown) => error)]);
    assert.ok(first instanceof TaskCancelledError, 'it does not wait for a thread to be free');
    await timed(() => watched.pool.run(firstTask(small), aborter.signal));
    assert.equal((await running).outputs.length, 1);
  });
});

describe('a thread that dies', () => {
  it('costs its task only, in a way that may pass, and the next one runs', async () => {
    const { result, threads } = await threadsOf(() =>
      Promise.resolve(makePool(place, { threads: 2, evaluator: SEAL })),
    );
    await using watched = result;
    const reference = await watched.pool.run(firstTask(small));
    const [lost, kept] = [rejection(watched.pool.run(longTask())), watched.pool.run(firstTask(small))];
    await sleep(100);
    assert.equal(threads.length, 2);
    await threads[0]?.terminate();
    const error = await lost;
    assert.equal(error.code, 'THREAD_LOST');
    assert.equal(error.retryable, true);
    assert.match(error.message, /the compute thread died: it exited with code 1/);
    assert.deepEqual((await kept).outputs, reference.outputs);
    assert.equal((await watched.pool.run(firstTask(small))).outputs.length, 1);
    assert.equal(watched.pool.size, 2);
  });

  it('between tasks is replaced with the next one', async () => {
    const { result, threads } = await threadsOf(() => Promise.resolve(makePool(place)));
    await using watched = result;
    await watched.pool.run(firstTask(small));
    assert.equal(threads.length, 1);
    const { threads: more } = await threadsOf(async () => {
      await threads[0]?.terminate();
      await sleep(200);
    });
    assert.equal(more.length, 0, 'no thread is started without need');
    assert.equal((await watched.pool.run(firstTask(small))).outputs.length, 1);
  });
});

it('a SEAL that breaks off in the middle of a task costs the thread; the next task runs on another', async () => {
  const cacheDirectory = join(place.path, 'crashing');
  await mkdir(cacheDirectory);
  await writeFile(join(cacheDirectory, 'crash'), '');
  const entry = new URL('./crashing-thread.ts', import.meta.url);
  const { threads } = await threadsOf(async () => {
    await using watched = makePool(place, { cacheDirectory, evaluator: SEAL }, entry);
    const error = await rejection(watched.pool.run(firstTask(small)));
    assert.deepEqual([error.code, error.retryable], ['HE_SEAL_CRASHED', true], error.message);
    await rm(join(cacheDirectory, 'crash'));
    assert.equal((await watched.pool.run(firstTask(small))).outputs.length, 1);
  });
  assert.equal(threads.length, 2);
});

describe('a store', () => {
  it('that cannot be opened fails tasks, not threads, and is tried again', async () => {
    const file = join(place.path, 'a-file');
    await writeFile(file, '');
    const { threads } = await threadsOf(async () => {
      await using watched = makePool(place, { storeUrl: pathToFileURL(join(file, 'blobs')).href });
      const error = await rejection(watched.pool.run(firstTask(small)));
      assert.equal(error.retryable, true);
      assert.match(error.message, /ENOTDIR.*a-file/);
      await rm(file);
      // Now it is an empty directory.
      const empty = await rejection(watched.pool.run(firstTask(small)));
      assert.equal(empty.code, 'BLOB_NOT_FOUND');
      assert.ok(!empty.retryable);
      assert.match(
        empty.message,
        new RegExp(`${small.digest} is not in .*upload it with PUT before a job refers to it`),
      );
    });
    assert.equal(threads.length, 1);
  });
});

describe('manifests', () => {
  it('that are missing or wrong are refused with the reason each time, and the thread goes on', async () => {
    const { manifest } = small;
    const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
    const late = bytesOf(JSON.stringify({ ...manifest, name: 'put after it was asked for' }));
    const { threads } = await threadsOf(async () => {
      await using watched = makePool(place);
      const refused = async (digest: Digest, code: string, message: RegExp): Promise<void> => {
        const error = await rejection(watched.pool.run({ ...firstTask(small), manifest: digest }));
        assert.deepEqual([error.code, error.retryable], [code, false], error.message);
        assert.match(error.message, message);
      };
      for (let time = 0; time < 2; time++) {
        await refused(digestOf(late), 'BLOB_NOT_FOUND', /is not in .*upload it with PUT/);
        await refused(
          await putBytes(place, bytesOf('{"format":')),
          'CONTRACT',
          /the manifest is not valid: it is not JSON/,
        );
        await refused(
          await putManifest(place, { ...manifest, block: { ...manifest.block, rows: 0.5 } }),
          'CONTRACT',
          /the manifest is not valid: \/block\/rows must be integer/,
        );
        await refused(
          await putManifest(place, { ...manifest, blobs: { ...manifest.blobs, labels: [] } }),
          'CONTRACT',
          /\/blobs\/labels must not have fewer than 1 items/,
        );
      }
      await putBytes(place, late);
      const [first, again] = [
        await watched.pool.run({ ...firstTask(small), manifest: digestOf(late) }),
        await watched.pool.run(firstTask(small)),
      ];
      assert.deepEqual(first.outputs, again.outputs);
    });
    assert.equal(threads.length, 1, 'no thread was lost by it');
  });
});

it('closing fails what waits and what runs, in a way that may pass', async () => {
  const { result, threads } = await threadsOf(() => {
    const watched = makePool(place);
    const tasks = [rejection(watched.pool.run(longTask())), rejection(watched.pool.run(firstTask(small)))];
    return Promise.resolve({ watched, tasks });
  });
  const { watched, tasks } = result;
  assert.equal(threads.length, 1, 'one task runs, the other waits');
  await watched.pool.close();
  for (const task of [...tasks, rejection(watched.pool.run(firstTask(small)))]) {
    const error = await task;
    assert.match(error.code, /^(POOL_CLOSED|THREAD_LOST)$/);
    assert.equal(error.retryable, true);
  }
});
