/** What a job that goes on after a failure computes again: only what the store has lost. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { ChainPayload } from '@blindfit/queue';
import { dropLostResults, reviveIfOver, reviveTasks } from '../src/revive.ts';

const TASKS = ['j.forward.1', 'j.forward.2'];

async function drop(history: readonly string[], there: readonly string[]) {
  const retried: unknown[] = [];
  const updates: unknown[] = [];
  const data = { job: 'j', history, segment: 0 } as unknown as ChainPayload;
  const entry = {
    data,
    updateData: (next: ChainPayload) => Promise.resolve(void updates.push(next.history)),
    getChildrenValues: () =>
      Promise.resolve({
        '{b}:tasks:j.forward.1': { outputs: ['a', 'b'] },
        '{b}:tasks:j.forward.2': { outputs: ['c'] },
      }),
  };
  const tasks = {
    getJob: (id: string) =>
      Promise.resolve({ retry: (...call: unknown[]) => Promise.resolve(void retried.push([id, ...call])) }),
  };
  await dropLostResults(
    { tasks } as unknown as Parameters<typeof dropLostResults>[0],
    (digest) => Promise.resolve(there.includes(digest)),
    entry as unknown as Parameters<typeof dropLostResults>[2],
  );
  return { retried, updates };
}

it('results that are there stay', async () => {
  assert.deepEqual(await drop(['v'], ['a', 'b', 'c', 'v']), { retried: [], updates: [] });
  assert.deepEqual(await drop([], ['a', 'b', 'c']), { retried: [], updates: [] });
});

it('a task of which a result is lost is computed again', async () => {
  const again = [['j.forward.1', 'completed', { resetAttemptsMade: true }]];
  assert.deepEqual(await drop([], ['a', 'c']), { retried: again, updates: [] });
});

it('a segment of which the weights of an iteration are lost begins anew', async () => {
  assert.deepEqual(await drop(['v', 'w'], ['a', 'b', 'c', 'v']), { retried: [], updates: [[]] });
});

it('failed tasks run again with all their tries, others are left alone', async () => {
  const retried: unknown[] = [];
  const getJob = (id: string) =>
    Promise.resolve(
      id === 'gone'
        ? undefined
        : {
            isFailed: () => Promise.resolve(id === TASKS[1]),
            retry: (...call: unknown[]) => Promise.resolve(void retried.push([id, ...call])),
          },
    );
  await reviveTasks({ getJob } as unknown as Parameters<typeof reviveTasks>[0], [...TASKS, 'gone']);
  assert.deepEqual(retried, [[TASKS[1], 'failed', { resetAttemptsMade: true }]]);
});

it('another scheduler may be faster; every other failure to revive is one', async () => {
  let asked = 0;
  const entry = (isStill: boolean) => ({
    isFailed: () => Promise.resolve(asked++ === 0 || isStill),
    retry: () => Promise.reject(new Error('not in the failed set')),
  });
  const tasks = (isStill: boolean) =>
    ({ getJob: () => Promise.resolve(entry(isStill)) }) as unknown as Parameters<typeof reviveTasks>[0];
  await reviveTasks(tasks(false), ['t']);
  asked = 0;
  await assert.rejects(reviveTasks(tasks(true), ['t']), /failed set/);
});

interface Failure {
  readonly failedReason: string;
  /** Milliseconds. */
  readonly finishedOn?: number;
  /** When the job was retried. */
  readonly retriedAt?: number;
  /** Entries of tasks that are there. */
  readonly children?: Readonly<Record<string, { readonly failed: boolean } & Omit<Failure, 'children' | 'retriedAt'>>>;
}

/** @returns what was done, in order; undefined when the failure is one of the job */
async function revival({ failedReason, finishedOn = 100, retriedAt, children = {} }: Failure) {
  const calls: unknown[] = [];
  const entry = {
    failedReason,
    finishedOn,
    id: 'j',
    retry: (...call: unknown[]) => Promise.resolve(void calls.push(call)),
    isFailed: () => Promise.resolve(true),
  };
  const tasks = {
    getJob: (id: string) => {
      const child = children[id];
      return Promise.resolve(child && { ...child, isFailed: () => Promise.resolve(child.failed) });
    },
  };
  const isOver = await reviveIfOver(
    {
      jobs: { retriedAt: () => Promise.resolve(retriedAt) },
      tasks,
      forgetFailed: ({ id }: { readonly id?: string }) => Promise.resolve(void calls.push(`forget ${id}`)),
    } as unknown as Parameters<typeof reviveIfOver>[0],
    'j',
    entry as unknown as Parameters<typeof reviveIfOver>[2],
  );
  assert.equal(isOver, calls.length > 0);
  return isOver ? calls : undefined;
}

const revived = (resetAttemptsMade: boolean): unknown[] => ['forget j', ['failed', { resetAttemptsMade }]];
const LOST = 'it cannot be computed';

it('a failure from before a retry is over, with all tries; one after it is not', async () => {
  assert.deepEqual(await revival({ failedReason: LOST, finishedOn: 99, retriedAt: 100 }), revived(true));
  assert.equal(await revival({ failedReason: LOST, finishedOn: 100, retriedAt: 100 }), undefined);
  assert.equal(await revival({ failedReason: LOST }), undefined);
});

it('a failure that only says that the job had ended, or that Redis was away, is over', async () => {
  for (const failedReason of ['the task was cancelled', 'the job is failed', 'OOM command not allowed'])
    assert.deepEqual(await revival({ failedReason }), revived(false), failedReason);
  for (const failedReason of ['the job is failed, all of it', 'said: the task was cancelled'])
    assert.equal(await revival({ failedReason }), undefined, failedReason);
});

it('the failure of a child is over with that of the child', async () => {
  const failedReason = 'child {b}:tasks:j.forward.1 failed';
  const child = (more: object): Required<Failure>['children'] => ({
    'j.forward.1': { failed: true, failedReason: LOST, finishedOn: 100, ...more },
  });
  assert.deepEqual(await revival({ failedReason }), revived(false), 'it is gone');
  assert.deepEqual(await revival({ failedReason, children: child({ failed: false }) }), revived(false));
  assert.equal(await revival({ failedReason, children: child({}) }), undefined);
  assert.deepEqual(await revival({ failedReason, children: child({ failedReason: 'LOADING it' }) }), revived(false));
  const before = child({ finishedOn: 150 });
  assert.deepEqual(await revival({ failedReason, finishedOn: 300, retriedAt: 200, children: before }), revived(true));
});
