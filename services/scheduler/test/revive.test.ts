/** What a job that goes on after a failure computes again: only what the store has lost. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { ChainPayload } from '@blindfit/queue';
import { dropLostResults, reviveTasks } from '../src/revive.ts';

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
