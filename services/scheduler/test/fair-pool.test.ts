import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { ThreadPool } from '@blindfit/compute';
import { FairPool } from '../src/fair-pool.ts';

type Work = Parameters<ThreadPool['run']>[0];

it('tenants take turns on the threads, each with its steps in order', async () => {
  const order: string[] = [];
  const ends: (() => void)[] = [];
  let most = 0;
  let running = 0;
  const pool = {
    size: 2,
    run: async ({ job }: Work) => {
      most = Math.max(most, ++running);
      order.push(job);
      await new Promise<void>((resolve) => ends.push(resolve));
      running--;
      if (job === 'a-2') throw new Error('a step that fails');
      return {} as never;
    },
  };
  const fair = new FairPool(pool, (job) => Promise.resolve(job.slice(0, 1)));
  const steps = ['a-1', 'a-2', 'a-3', 'a-4', 'b-1', 'b-2', 'c-1'].map((job) => fair.run({ job } as Work));
  const settled = Promise.allSettled(steps);
  while (order.length < steps.length || running > 0) {
    ends.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(order, ['a-1', 'a-2', 'a-3', 'b-1', 'c-1', 'a-4', 'b-2']);
  assert.equal(most, 2);
  assert.deepEqual(
    (await settled).map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled', 'fulfilled', 'fulfilled'],
  );
});

it('a thread is free again after each step, and an abort reaches the step', async () => {
  const signals: unknown[] = [];
  const pool = {
    size: 2,
    run: ({ job }: Work, signal?: AbortSignal): Promise<never> => {
      signals.push(signal);
      return job === 'a-bad' ? Promise.reject(new Error('a step that fails')) : Promise.resolve({} as never);
    },
  };
  const fair = new FairPool(pool, () => Promise.resolve('a'));
  const { signal } = new AbortController();
  await fair.run({ job: 'a-1' } as Work, signal);
  await assert.rejects(fair.run({ job: 'a-bad' } as Work));
  assert.deepEqual(signals, [signal, undefined]);
  // With both threads free two steps begin at once.
  const begun: (() => void)[] = [];
  pool.run = () => new Promise((resolve) => begun.push(() => resolve({} as never)));
  const steps = ['a-2', 'a-3', 'a-4'].map((job) => fair.run({ job } as Work));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(begun.length, 2);
  for (let i = 0; i < steps.length; i++) {
    begun.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(steps);
});
