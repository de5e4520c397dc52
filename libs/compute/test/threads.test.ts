/** The pool on threads that follow a script: who gets which task, what cancelling and crashes do, what is reported. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { at } from '@blindfit/base';
import { until } from '@blindfit/testkit';
import { TaskCancelledError, TaskError, ThreadPool, type PoolOptions, type ThreadStatistics } from '../src/index.ts';
import type { Work } from '../src/messages.ts';
import type { Script } from './scripted-thread.ts';
import { threadsOf } from './setup.ts';

const ENTRY = new URL('./scripted-thread.ts', import.meta.url);

function poolOf(t: TestContext, threads: number, options: Partial<PoolOptions> = {}): ThreadPool {
  const directory = mkdtempSync(join(tmpdir(), 'blindfit-pool-'));
  const pool = new ThreadPool(
    {
      storeUrl: pathToFileURL(directory).href,
      cacheDirectory: directory,
      cacheBytes: 1,
      keyBytes: 100,
      evaluator: { kind: 'seal', why: 'nothing is computed' },
      threads,
      ...options,
    },
    ENTRY,
  );
  t.after(async () => {
    await pool.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return pool;
}

interface Outcome {
  readonly run: number;
  readonly flag: number;
  readonly keyBytes: number;
  readonly token?: string;
}

async function run(pool: ThreadPool, script: Script, signal?: AbortSignal): Promise<Outcome> {
  const { outputs } = await pool.run(script as unknown as Work, signal);
  return JSON.parse(at(outputs, 0, 'outputs')) as Outcome;
}

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no error',
    (error: unknown) =>
      error instanceof TaskError ? `${error.code} ${error.retryable ? 'retryable' : 'permanent'}` : error,
  );

describe('tasks', () => {
  it('go to idle threads in the order in which they came', async (t) => {
    const pool = poolOf(t, 2);
    assert.deepEqual([pool.size, pool.busy], [2, 0]);
    const tasks = [1, 2, 3, 4, 5].map(() => run(pool, { does: 'finish', after: 30 }));
    assert.equal(pool.busy, 2, 'no more than there are threads');
    const outcomes = await Promise.all(tasks);
    assert.deepEqual(
      outcomes.map(({ run: number }) => number),
      [1, 2, 3, 4, 5],
    );
    assert.equal(pool.busy, 0);
  });

  it('fail with the code and class of their failure, and the thread goes on', async (t) => {
    const { threads } = await threadsOf(async () => {
      const pool = poolOf(t, 1);
      await assert.rejects(run(pool, { does: 'fail' }), { name: 'TaskError', code: 'HE_WIRE', retryable: false });
      assert.equal((await run(pool, { does: 'finish' })).run, 2);
    });
    assert.equal(threads.length, 1);
  });

  it('count as busy time, also while they run', async (t) => {
    const pool = poolOf(t, 2);
    await run(pool, { does: 'finish', after: 50 });
    const [first = 0, second = 1] = pool.busySeconds;
    assert.ok(first >= 0.045 && second === 0, `${first} s, ${second} s`);
    const running = run(pool, { does: 'finish', after: 100 });
    await until(() => at(pool.busySeconds, 0, 'threads') >= first + 0.05, 'the running task counts', { everyMs: 5 });
    await running;
    assert.ok(at(pool.busySeconds, 0, 'threads') >= first + 0.095);
    assert.equal(pool.busySeconds[1], 0);
  });
});

it('threads share the budget of keys on node-seal, and each map all of it on the native evaluator', async (t) => {
  assert.equal((await run(poolOf(t, 3), { does: 'finish' })).keyBytes, 33);
  const evaluator: PoolOptions['evaluator'] = { kind: 'native', path: '/nowhere', kernel: 'portable', why: 'as told' };
  const outcome = await run(poolOf(t, 3, { evaluator, token: 'secret' }), { does: 'finish' });
  assert.deepEqual([outcome.keyBytes, outcome.token], [100, 'secret']);
});

it('statistics come as differences from the last report, but for the heap', async (t) => {
  const reports: (readonly [number, ThreadStatistics])[] = [];
  const pool = poolOf(t, 1, { onStatistics: (...report) => void reports.push(report) });
  await run(pool, { does: 'finish' });
  await assert.rejects(run(pool, { does: 'fail' }));
  assert.deepEqual(
    reports.map(([thread, { keyHits, bytesRead, heapBytes, levelsWritten }]) => [
      thread,
      keyHits,
      bytesRead,
      heapBytes,
      levelsWritten,
    ]),
    [
      [0, 1, 10, 1000, [1, 2]],
      [0, 1, 10, 2000, [0, 2]],
    ],
  );
});

describe('cancelling', () => {
  it('raises the flag of the task’s thread only, which stays; the flag is down for the next task', async (t) => {
    const { threads } = await threadsOf(async () => {
      const pool = poolOf(t, 2);
      // A thread that is still starting would not stop in time.
      await Promise.all([run(pool, { does: 'finish' }), run(pool, { does: 'finish' })]);
      const aborter = new AbortController();
      const cancelled = run(pool, { does: 'stop' }, aborter.signal);
      const other = new AbortController();
      const going = codeOf(run(pool, { does: 'stop' }, other.signal));
      aborter.abort();
      await assert.rejects(cancelled, TaskCancelledError);
      assert.equal(pool.busy, 1);
      assert.equal((await run(pool, { does: 'finish' })).flag, 0);
      other.abort();
      assert.equal(await going, 'TASK_CANCELLED permanent');
      assert.equal(pool.busy, 0);
    });
    assert.equal(threads.length, 2, 'none was replaced');
  });

  it('ends a thread that does not stop within half a second, and another takes its place', async (t) => {
    const { threads } = await threadsOf(async () => {
      const pool = poolOf(t, 1);
      await run(pool, { does: 'finish' });
      const aborter = new AbortController();
      const cancelled = run(pool, { does: 'deaf' }, aborter.signal);
      const waiting = run(pool, { does: 'finish' });
      const started = performance.now();
      aborter.abort();
      await assert.rejects(cancelled, TaskCancelledError);
      const took = performance.now() - started;
      assert.ok(took >= 490, `it was given ${took} ms`);
      assert.equal((await waiting).flag, 0);
      assert.equal(pool.size, 1);
    });
    assert.equal(threads.length, 2);
    const [first] = threads;
    await until(() => first?.threadId === -1, 'the first thread has ended');
  });

  it('of a task that has ended does nothing', async (t) => {
    const pool = poolOf(t, 1);
    const aborter = new AbortController();
    await run(pool, { does: 'finish' }, aborter.signal);
    const next = run(pool, { does: 'finish', after: 600 });
    aborter.abort();
    assert.equal((await next).flag, 0);
  });

  it('takes a waiting task out of the queue, and refuses one that was given up before', async (t) => {
    const pool = poolOf(t, 1);
    const running = run(pool, { does: 'finish', after: 50 });
    const aborter = new AbortController();
    const waiting = codeOf(run(pool, { does: 'deaf' }, aborter.signal));
    const last = run(pool, { does: 'finish' });
    aborter.abort();
    assert.equal(await waiting, 'TASK_CANCELLED permanent');
    assert.equal(await codeOf(run(pool, { does: 'deaf' }, aborter.signal)), 'TASK_CANCELLED permanent');
    assert.deepEqual([(await running).run, (await last).run], [1, 2]);
  });
});

describe('a thread', () => {
  it('whose SEAL crashed is ended and replaced at once; its task may be tried again', async (t) => {
    const { threads } = await threadsOf(async () => {
      const pool = poolOf(t, 1);
      assert.equal(await codeOf(run(pool, { does: 'crash' })), 'HE_SEAL_CRASHED retryable');
    });
    assert.equal(threads.length, 2, 'before there is another task');
    await until(() => threads[0]?.threadId === -1, 'the first thread has ended');
    assert.notEqual(threads[1]?.threadId, -1);
  });

  it('that crashed is not the one that gets the next task', async (t) => {
    const pool = poolOf(t, 1);
    const reports: ThreadStatistics[] = [];
    const watched = poolOf(t, 1, { onStatistics: (_thread, delta) => void reports.push(delta) });
    await codeOf(run(watched, { does: 'crash' }));
    await run(watched, { does: 'finish' });
    assert.deepEqual(
      reports.map(({ levelsWritten }) => levelsWritten),
      [
        [1, 2],
        [1, 2],
      ],
      'counts begin from nothing',
    );
    assert.equal((await run(pool, { does: 'finish' })).run, 1);
  });

  it('that ends costs its task only, retryably; another is started with the next task and not before', async (t) => {
    const { threads, result: pool } = await threadsOf(async () => {
      const started = poolOf(t, 1);
      await assert.rejects(run(started, { does: 'lose' }), {
        code: 'THREAD_LOST',
        retryable: true,
        message: 'the compute thread died: it exited with code 3',
      });
      return started;
    });
    assert.equal(threads.length, 1);
    assert.equal((await run(pool, { does: 'finish' })).run, 2);
  });
});

it('closing fails what waits and what runs, retryably, and takes nothing more', async (t) => {
  const { threads } = await threadsOf(async () => {
    const pool = poolOf(t, 1);
    await run(pool, { does: 'finish' });
    const [running, waiting] = [codeOf(run(pool, { does: 'deaf' })), codeOf(run(pool, { does: 'finish' }))];
    await pool.close();
    assert.equal(await running, 'THREAD_LOST retryable');
    assert.equal(await waiting, 'POOL_CLOSED retryable');
    assert.equal(await codeOf(run(pool, { does: 'finish' })), 'POOL_CLOSED retryable');
  });
  assert.equal(threads.length, 1, 'none is started for it');
});
