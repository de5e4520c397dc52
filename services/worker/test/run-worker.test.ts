/** A worker on fakes: tasks are aborted when their job ends, announcements may be missed, stopping retires it. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { UnrecoverableError } from 'bullmq';
import { backwardTask, entryOf, fakeWorker, JOB, settle, type FakeWorker } from './support.ts';

const OTHER = 'job-000000000002';

/** Two tasks of one job and one of another, all in the pool. */
async function threeTasks(fake: FakeWorker): Promise<Promise<unknown>[]> {
  fake.states.set(OTHER, 'running');
  const tasks = [JOB, JOB, OTHER].map((job, at) => fake.process(entryOf(`${job}.backward.${at}`, backwardTask(job))));
  for (const task of tasks) task.catch(() => undefined); // looked at below
  await settle();
  assert.equal(fake.calls.length, 3);
  return tasks;
}

async function assertOnlyJobAborted(fake: FakeWorker, tasks: readonly Promise<unknown>[]): Promise<void> {
  assert.deepEqual(
    fake.calls.map(({ signal }) => signal?.aborted),
    [true, true, false],
  );
  for (const task of tasks.slice(0, 2)) await assert.rejects(task, UnrecoverableError);
  assert.equal(await fake.metric('blindfit_tasks_total{kind="backward",outcome="cancelled"}'), 2);
  assert.deepEqual(fake.failed, [], 'an abort fails no job');
  fake.calls[2]?.resolve();
  await tasks[2];
}

for (const state of ['cancelled', 'failed', 'succeeded', undefined] as const) {
  it(`running tasks are aborted when their job is announced and ${state ?? 'gone'}, and no others`, async () => {
    const fake = await fakeWorker();
    const tasks = await threeTasks(fake);
    fake.announce(JOB);
    await settle();
    assert.ok(
      fake.calls.every(({ signal }) => signal?.aborted === false),
      'a change is not an end',
    );
    if (state === undefined) fake.states.delete(JOB);
    else fake.states.set(JOB, state);
    fake.announce(JOB);
    await settle();
    await assertOnlyJobAborted(fake, tasks);
    await fake.worker.close();
  });
}

it('a cancellation that was not announced is found within half a second', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const fake = await fakeWorker();
  const tasks = await threeTasks(fake);
  fake.states.set(JOB, 'cancelled');
  t.mock.timers.tick(499);
  await settle();
  assert.ok(fake.calls.every(({ signal }) => signal?.aborted === false));
  t.mock.timers.tick(1);
  await settle();
  await assertOnlyJobAborted(fake, tasks);
  await fake.worker.close();
});

it('missed cancellations of several jobs are found at the same look', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const fake = await fakeWorker();
  const tasks = await threeTasks(fake);
  for (const job of [JOB, OTHER]) fake.states.set(job, 'cancelled');
  t.mock.timers.tick(500);
  await settle();
  assert.deepEqual(
    fake.calls.map(({ signal }) => signal?.aborted),
    [true, true, true],
  );
  for (const task of tasks) await assert.rejects(task, UnrecoverableError);
  await fake.worker.close();
});

it('a look at a job that fails does no harm, and the next one counts', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const fake = await fakeWorker();
  const tasks = await threeTasks(fake);
  const get = t.mock.method(fake.states, 'get', () => {
    throw new Error('Redis is away');
  });
  t.mock.timers.tick(500);
  await settle();
  assert.ok(get.mock.callCount() > 0);
  get.mock.restore();
  fake.states.set(JOB, 'cancelled');
  t.mock.timers.tick(500);
  await settle();
  await assertOnlyJobAborted(fake, tasks);
  await fake.worker.close();
});

it('jobs without running tasks are not looked at', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const fake = await fakeWorker();
  const running = fake.process(entryOf(`${JOB}.backward.0`, backwardTask()));
  await settle();
  fake.calls[0]?.resolve();
  await running;
  const get = t.mock.method(fake.states, 'get');
  t.mock.timers.tick(5_000);
  fake.announce(JOB);
  await settle();
  assert.equal(get.mock.callCount(), 0);
  await fake.worker.close();
});

it('it beats at once and every five seconds, with its threads, and retires under the same id', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const fake = await fakeWorker();
  const beats = (): string[] => fake.log.filter((line) => line.startsWith('beat'));
  assert.equal(beats().length, 1);
  t.mock.timers.tick(4_999);
  assert.equal(beats().length, 1);
  t.mock.timers.tick(1);
  assert.equal(beats().length, 2);
  await fake.worker.close();
  const [beat = ''] = beats();
  assert.match(beat, /^beat [0-9a-f-]{36} 3$/);
  assert.deepEqual(new Set(beats()), new Set([beat]));
  assert.deepEqual(fake.log.slice(2), [
    'queue closed',
    'stopped listening',
    'changes closed',
    'pool closed',
    beat.replace('beat', 'retire'),
  ]);
  t.mock.timers.tick(60_000);
  assert.equal(beats().length, 2, 'nothing beats any more');
});

it('workers have different ids', async () => {
  const [first, second] = [await fakeWorker(), await fakeWorker()];
  assert.notEqual(first.log[0], second.log[0]);
  for (const { worker } of [first, second]) await worker.close();
});

it('without Redis it stops all the same, and leaves it to the 30 seconds of silence', async () => {
  const fake = await fakeWorker({ isConnected: () => false });
  await fake.worker.close();
  assert.equal(fake.log.at(-1), 'pool closed');
});
