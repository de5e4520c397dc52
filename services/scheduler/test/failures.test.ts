/** What becomes of failures, and of records that the queues know nothing of. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DelayedError, UnrecoverableError, WaitingChildrenError } from 'bullmq';
import { BlindfitError } from '@blindfit/base';
import { TaskError } from '@blindfit/compute';
import type { JobState } from '@blindfit/protocol';
import type { ChainRecord } from '@blindfit/queue';
import { failureOf, type FailedEntry, type FailureDependencies } from '../src/failures.ts';
import { entryFailed, reconcile, type ReconcileDependencies } from '../src/reconcile.ts';
import { FakeJobs, FakeQueue, JOB, MANIFEST } from './support.ts';

describe('a step that failed', () => {
  const PASSING = new TaskError('BLOB_CORRUPT', 'damaged', true);
  const PERMANENT = new TaskError('HE_WIRE', 'a bad key', false);
  const run = async (
    error: unknown,
    attemptsMade: number,
    opts: { attempts?: number } = { attempts: 4 },
    right = false,
  ) => {
    const jobs = new FakeJobs(1);
    const ended: string[] = [];
    const back: unknown[] = [];
    const stopped: unknown[] = [];
    const entry = { id: `${JOB}.chain.0.1`, attemptsMade, opts } as FailedEntry;
    const troubles = {
      giveBack: (...call: unknown[]) => (back.push(call), Promise.resolve(new DelayedError())),
    };
    const dependencies: Omit<FailureDependencies, 'isStoreRight'> = {
      jobs: { fail: jobs.fail, troubles },
      metrics: { jobEnded: (state) => void ended.push(state), givenBack: () => void ended.push('given back') },
      intake: {
        closing: new AbortController().signal,
        stop: () => undefined,
        stopFor: (why) => (stopped.push(why), true),
      },
    };
    const thrown = await failureOf({ ...dependencies, isStoreRight: () => Promise.resolve(right) }, entry, error);
    return { thrown, ended, calls: jobs.calls, back, stopped, entry };
  };

  it('for good is recorded with its code and not tried again', async () => {
    const { thrown, ended, calls } = await run(PERMANENT, 0);
    assert.ok(thrown instanceof UnrecoverableError);
    assert.equal(thrown.message, 'a bad key');
    assert.deepEqual(calls, [['fail', JOB, { code: 'HE_WIRE', message: 'a bad key', task: `${JOB}.chain.0.1` }]]);
    assert.deepEqual(ended, ['failed']);
  });

  for (const made of [0, 2]) {
    it(`for a reason that can pass is tried again after ${made + 1} of 4 attempts`, async () => {
      const { thrown, ended, calls } = await run(PASSING, made);
      assert.deepEqual([thrown, ended, calls], [PASSING, [], []]);
    });
  }

  it('for a reason that can pass is recorded after the last attempt', async () => {
    const { thrown, calls } = await run(PASSING, 3);
    assert.ok(thrown instanceof UnrecoverableError);
    assert.equal(calls.length, 1);
  });

  it('counts one attempt where the entry does not say how many', async () => {
    assert.ok((await run(PASSING, 0, {})).thrown instanceof UnrecoverableError);
  });

  it('of a foreseen kind is left to the queue with its hint in its message', async () => {
    const { thrown, calls } = await run(new BlindfitError('HE_PLAN', 'too long', { hint: 'refresh' }), 3);
    assert.ok(thrown instanceof Error);
    assert.deepEqual([thrown.message, calls], ['too long; refresh', []]);
  });

  it('with another error is left to the queue', async () => {
    const error = new TypeError('a bug');
    const { thrown, ended, calls, back } = await run(error, 3);
    assert.deepEqual([thrown, ended, calls, back], [error, [], [], []]);
  });

  for (const error of [
    new TaskError('STORE_UNAVAILABLE', 'away', true, 'world'),
    new TaskError('STORAGE_FULL', 'no room', true, 'host'),
    new BlindfitError('BLOB_NOT_FOUND', 'not here', { fault: 'host' }),
    Object.assign(new Error('OOM command not allowed'), { name: 'ReplyError' }),
  ])
    it(`of no fault of its own (${error.message}) goes back, stops the intake, at the last attempt too`, async () => {
      const { thrown, ended, calls, back, stopped, entry } = await run(error, 3);
      assert.ok(thrown instanceof DelayedError);
      assert.deepEqual([ended, calls, back, stopped], [['given back'], [], [[entry, error]], [error]]);
    });

  it('for a blob that the right store lacks goes back, and the intake stays open', async () => {
    const error = new BlindfitError('BLOB_NOT_FOUND', 'not here', { fault: 'host' });
    const { thrown, back, stopped } = await run(error, 0, {}, true);
    assert.deepEqual([thrown instanceof DelayedError, back.length, stopped], [true, 1, []]);
    const other = await run(new BlindfitError('STORAGE_FULL', 'full', { fault: 'host' }), 0, {}, true);
    assert.equal(other.stopped.length, 1);
  });

  it('was only put off', async () => {
    for (const control of [new DelayedError(), new WaitingChildrenError()]) {
      const { thrown, calls, back } = await run(control, 3);
      assert.deepEqual([thrown, calls, back], [control, [], []]);
    }
  });
});

describe('a comparison of records and queues', () => {
  interface Options {
    readonly state?: JobState;
    readonly planned?: boolean;
    readonly records?: (ChainRecord | undefined)[];
    readonly createdMs?: number;
    readonly newer?: boolean;
    /** Ids of entries, with the reason where one failed. */
    readonly entries?: Readonly<Record<string, string | undefined>>;
    /** When the job was retried; entries failed at 100. */
    readonly retriedAt?: number;
  }

  const compare = async ({
    state = 'running',
    planned = true,
    records = [],
    createdMs = 0,
    entries = {},
    newer = false,
    retriedAt,
  }: Options) => {
    const jobs = new FakeJobs(0);
    jobs.records = records;
    jobs.planned = planned;
    const queue = new FakeQueue();
    const chains = new FakeQueue();
    const getJob = (id: string) =>
      Promise.resolve(
        id in entries
          ? {
              id,
              finishedOn: 100,
              isFailed: () => Promise.resolve(entries[id] !== undefined),
              failedReason: entries[id],
              retry: (from: string, { resetAttemptsMade }: { readonly resetAttemptsMade: boolean }) =>
                Promise.resolve(void revived.push([id, from, resetAttemptsMade])),
            }
          : undefined,
      );
    const asked: (readonly string[] | undefined)[] = [];
    const revived: unknown[] = [];
    const forgotten: unknown[] = [];
    const dependencies = {
      jobs: {
        chains: jobs.chains,
        fail: jobs.fail,
        isPlanned: jobs.isPlanned,
        retriedAt: () => Promise.resolve(retriedAt),
        state: () => Promise.resolve(state),
        isNewer: () => Promise.resolve(newer),
        get: () =>
          Promise.resolve({
            id: JOB,
            manifest: MANIFEST,
            state,
            createdAt: new Date(Date.now() - createdMs).toISOString(),
          }),
        turns: jobs.turns,
        traceOf: () => Promise.resolve({}),
        index: {
          inStates: (states: readonly string[]) => {
            asked.push(states);
            return Promise.resolve([JOB]);
          },
        },
      },
      queue: { add: queue.add, getJob },
      chains: { add: chains.add, getJob },
      tasks: { getJob },
      forgetFailed: ({ id }: { readonly id: string }) => Promise.resolve(void forgotten.push(id)),
      metrics: { jobEnded: () => undefined },
      logger: { warn: () => undefined, error: () => undefined },
    } as unknown as ReconcileDependencies;
    await reconcile(dependencies);
    const added = queue.added.map(({ id }) => id);
    return { asked, added, segments: chains.added, failed: jobs.calls, revived, forgotten, dependencies };
  };
  const failure = (message: string) => [['fail', JOB, { code: 'JOB_FAILED', message }]];

  it('looks at the jobs that have not ended', async () => {
    const { asked } = await compare({});
    assert.deepEqual(asked, [['queued', 'running', 'awaiting-refresh']]);
  });

  it('adds a recorded job that is not queued, once the submission has had its time', async () => {
    const late = await compare({ state: 'queued', planned: false, createdMs: 5_500 });
    assert.deepEqual(late.added, [JOB]);
    const recent = await compare({ state: 'queued', planned: false, createdMs: 3_000 });
    assert.deepEqual(recent.added, []);
    const queued = await compare({ state: 'queued', planned: false, createdMs: 60_000, entries: { [JOB]: undefined } });
    assert.deepEqual(queued.added, []);
    const ofNewer = await compare({ state: 'queued', planned: false, createdMs: 60_000, newer: true });
    assert.deepEqual(ofNewer.added, [], 'a newer release carries it on');
  });

  const CHAIN = `${JOB}.chain.0.0`;
  const TASK = `${JOB}.forward.7.0`;
  for (const [why, reason, more] of [
    ['the job had ended then', 'the job is failed', {}],
    ['its tasks were cancelled', 'the task was cancelled', {}],
    ['Redis could not serve', "OOM command not allowed when used memory > 'maxmemory'.", {}],
    ['it is from before the retry', 'a bug', { retriedAt: 101 }],
    ['its child has gone', `child {b}:tasks:${TASK} failed`, {}],
    ['its child runs again', `child {b}:tasks:${TASK} failed`, { entries: { [TASK]: undefined } }],
    ['its child was cancelled', `child {b}:tasks:${TASK} failed`, { entries: { [TASK]: 'the task was cancelled' } }],
  ] as const)
    it(`has a failed segment run again when ${why}`, async () => {
      const { entries = {}, ...rest }: Options = more;
      const { failed, revived, forgotten } = await compare({
        ...rest,
        records: [undefined],
        entries: { [CHAIN]: reason, ...entries },
      });
      assert.deepEqual([failed, revived, forgotten], [[], [[CHAIN, 'failed', 'retriedAt' in more]], [CHAIN]]);
    });

  for (const [why, reason, more] of [
    ['after the retry', 'a bug', { retriedAt: 100 }],
    ['with its child', `child {b}:tasks:${TASK} failed`, { entries: { [TASK]: 'job stalled too often' } }],
  ] as const)
    it(`records a failure ${why}`, async () => {
      const { entries = {}, ...rest }: Options = more;
      const { failed, revived } = await compare({
        ...rest,
        records: [undefined],
        entries: { [CHAIN]: reason, ...entries },
      });
      assert.deepEqual([failed, revived], [failure(reason), []]);
    });

  it('has a retried job that waits go on when it may', async () => {
    const { added, failed, revived } = await compare({
      state: 'queued',
      retriedAt: 123,
      records: [undefined],
      entries: { [CHAIN]: 'a bug' },
    });
    assert.deepEqual([added, failed, revived], [[`${JOB}.retry.123`], [], []]);
  });

  it('settles the failure of one entry, unless its job has ended', async () => {
    const { dependencies, failed } = await compare({ records: [undefined], entries: { [TASK]: 'a bug' } });
    await entryFailed(dependencies, 'chains', 'job-000000000000.chain.9.9');
    assert.deepEqual(failed, []);
    await entryFailed(dependencies, 'tasks', TASK);
    assert.deepEqual(failed, failure('a bug'));
    const ended = await compare({ state: 'cancelled', entries: { [TASK]: 'a bug' } });
    await entryFailed(ended.dependencies, 'tasks', TASK);
    assert.deepEqual(ended.failed, []);
  });

  it('records the failure of the job’s entry', async () => {
    const { failed } = await compare({ planned: false, entries: { [JOB]: 'stalled too often' } });
    assert.deepEqual(failed, failure('stalled too often'));
  });

  it('adds the missing segments of chains that run, with the owner’s answer', async () => {
    const fresh = { weights: 'V', momentum: 'W' };
    const { segments } = await compare({
      records: [
        undefined,
        { segment: 2, phase: 'running', history: [], fresh },
        { segment: 0, phase: 'awaiting', history: [] },
        { segment: 3, phase: 'done', history: [] },
      ],
    });
    assert.deepEqual(
      segments.map(({ id, data }) => [id, data['fresh']]),
      [
        [`${JOB}.chain.0.0`, undefined],
        [`${JOB}.chain.1.2`, fresh],
      ],
    );
  });

  it('records the failure of a segment', async () => {
    const { failed, segments } = await compare({ records: [undefined], entries: { [`${JOB}.chain.0.0`]: 'no store' } });
    assert.deepEqual([failed, segments], [failure('no store'), []]);
  });

  it('finds the entry of a later segment under its own number', async () => {
    const { failed, segments } = await compare({
      records: [{ segment: 2, phase: 'running', history: [] }],
      entries: { [`${JOB}.chain.0.0`]: 'an earlier segment', [`${JOB}.chain.0.2`]: undefined },
    });
    assert.deepEqual([failed, segments], [[], []]);
  });

  it('has the model of finished chains packed, and records the failure of that', async () => {
    const done: ChainRecord = { segment: 0, phase: 'done', history: [], weights: 'w' };
    const { added, failed } = await compare({ records: [done, done], entries: { [`${JOB}.finish`]: 'out of memory' } });
    assert.deepEqual([added, failed], [[`${JOB}.finish`], failure('out of memory')]);
    assert.deepEqual((await compare({ records: [done, undefined] })).added, []);
  });

  it('leaves a job alone that has ended meanwhile', async () => {
    const { failed, added } = await compare({
      state: 'cancelled',
      planned: false,
      createdMs: 60_000,
      entries: { [JOB]: 'x' },
    });
    assert.deepEqual([failed, added], [[], []]);
  });
});
