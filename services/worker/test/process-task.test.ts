/** One task between the queue and a thread: what is recorded, retried, failed and counted. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DelayedError, UnrecoverableError } from 'bullmq';
import { TaskError } from '@blindfit/compute';
import { until } from '@blindfit/testkit';
import type { TaskEntry } from '../src/process-task.ts';
import { backwardTask, DIGEST, entryOf, fakeWorker, JOB, RESULT, settle, type FakeWorker } from './support.ts';

const ID = `${JOB}.backward.2.1.0`;

it('a task is computed, recorded under its id, and its result goes to the queue without the phases', async () => {
  const fake = await fakeWorker();
  const running = fake.process(entryOf(ID, backwardTask()));
  await settle();
  assert.deepEqual(
    fake.calls.map(({ work }) => work),
    [backwardTask()],
  );
  fake.calls[0]?.resolve();
  const { phases: _phases, ...result } = RESULT;
  assert.deepEqual(await running, result);
  const { outputs: _outputs, ...record } = result;
  assert.deepEqual(fake.recorded, [[JOB, ID, { ...record, kind: 'backward', iteration: 2, pair: 1 }]]);
  assert.deepEqual(fake.computed, [result]);
  assert.deepEqual(fake.failed, []);
  assert.equal(await fake.metric('blindfit_tasks_total{kind="backward",outcome="completed"}'), 1);
  assert.equal(await fake.metric('blindfit_task_duration_seconds_count{kind="backward"}'), 1);
  await fake.worker.close();
});

it('a task of no pair is recorded without one', async () => {
  const fake = await fakeWorker();
  const task = { kind: 'start', job: JOB, manifest: DIGEST, iteration: 1, shards: [0, 1] };
  const running = fake.process(entryOf(`${JOB}.start.0`, task));
  await settle();
  fake.calls[0]?.resolve();
  await running;
  const [, , record] = fake.recorded[0] ?? [];
  assert.ok(typeof record === 'object' && record !== null && !('pair' in record));
  await fake.worker.close();
});

it('the time in the queue counts from when the task was due, and is never negative', async () => {
  const fake = await fakeWorker();
  const run = async (timestamp: number, delay: number): Promise<void> => {
    const running = fake.process(entryOf(ID, backwardTask(), { timestamp, delay }));
    await settle();
    fake.calls.at(-1)?.resolve();
    await running;
  };
  await run(Date.now() - 10_000, 7_000);
  const waited = await fake.metric('blindfit_task_wait_seconds_sum{kind="backward"}');
  assert.ok(waited !== undefined && waited >= 3 && waited < 6, `${waited} s`);
  await run(Date.now() + 60_000, 0);
  const sum = await fake.metric('blindfit_task_wait_seconds_sum{kind="backward"}');
  assert.ok(sum !== undefined && sum >= waited && sum < 6, `${sum} s`);
  assert.equal(await fake.metric('blindfit_task_wait_seconds_count{kind="backward"}'), 2);
  await fake.worker.close();
});

for (const state of ['succeeded', 'failed', 'cancelled', undefined] as const) {
  it(`a task of a job that ${state === undefined ? 'is gone' : `has ${state}`} is not computed`, async () => {
    const fake = await fakeWorker();
    if (state === undefined) fake.states.delete(JOB);
    else fake.states.set(JOB, state);
    await assert.rejects(fake.process(entryOf(ID, backwardTask())), (error) => {
      assert.ok(error instanceof UnrecoverableError && 'code' in error, 'the queue must not try again');
      assert.equal(error.code, 'TASK_CANCELLED');
      return true;
    });
    assert.deepEqual([fake.calls, fake.recorded, fake.failed], [[], [], []]);
    assert.equal(await fake.metric('blindfit_tasks_total{kind="backward",outcome="cancelled"}'), 1);
    await fake.worker.close();
  });
}

it('a task of a newer release is given back for those who can read it, and its job goes on', async () => {
  const fake = await fakeWorker();
  const moved: unknown[] = [];
  const moveToDelayed = (at: number, token: string): Promise<void> => Promise.resolve(void moved.push(at, token));
  const newer = { name: 'tasks/3', token: 'lock', moveToDelayed };
  const before = Date.now();
  await assert.rejects(fake.process(entryOf(ID, { entirely: 'different' }, newer)), DelayedError);
  const [at, token] = moved;
  assert.ok(typeof at === 'number' && at >= before + 2_000 && at <= Date.now() + 2_000);
  assert.equal(token, 'lock');
  assert.deepEqual([fake.calls, fake.recorded, fake.failed], [[], [], []]);
  assert.equal(await fake.metric('blindfit_newer_entries_total{queue="tasks"}'), 1);
  await fake.worker.close();
});

for (const name of ['tasks', 'tasks/1', 'tasks/2', 'tasks/what'])
  it(`a task named ${name} is computed`, async () => {
    const fake = await fakeWorker();
    const running = fake.process(entryOf(ID, { ...backwardTask(), hint: 'of a newer release' }, { name }));
    await settle();
    fake.calls[0]?.resolve();
    await running;
    assert.equal(await fake.metric('blindfit_newer_entries_total{queue="tasks"}'), 0);
    await fake.worker.close();
  });

const FAILURES = [
  ['permanent', new TaskError('HE_WIRE', 'a bad key; send another', false), 0, 'failed'],
  ['retryable, with attempts left', new TaskError('BLOB_CORRUPT', 'damaged', true), 0, 'retried'],
  ['retryable, at the last attempt but one', new TaskError('BLOB_CORRUPT', 'damaged', true), 2, 'retried'],
  ['retryable, at the last attempt', new TaskError('BLOB_CORRUPT', 'damaged', true), 3, 'failed'],
  ['unforeseen, with attempts left', new TypeError('a bug'), 0, 'retried'],
  ['unforeseen, at the last attempt', new TypeError('a bug'), 3, 'failed'],
] as const;

for (const [what, thrown, attemptsMade, outcome] of FAILURES) {
  it(`a failure that is ${what}: ${outcome}`, async () => {
    const fake = await fakeWorker();
    const running = fake.process(entryOf(ID, backwardTask(), { attemptsMade }));
    running.catch(() => undefined); // looked at below
    await settle();
    fake.calls[0]?.reject(thrown);
    const error: unknown = await running.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof Error);
    assert.equal(await fake.metric(`blindfit_tasks_total{kind="backward",outcome="${outcome}"}`), 1);
    assert.equal(await fake.metric('blindfit_tasks_total{kind="backward",outcome="completed"}'), 0);
    assert.equal(await fake.metric('blindfit_task_duration_seconds_count{kind="backward"}'), undefined);
    if (outcome === 'retried') {
      assert.equal(error, thrown, 'the queue tries again');
      assert.deepEqual(fake.failed, []);
      assert.equal(await fake.metric('blindfit_jobs_ended_total{state="failed"}'), 0);
    } else {
      const code = thrown instanceof TaskError ? thrown.code : 'TASK_FAILED';
      assert.ok(error instanceof UnrecoverableError && 'code' in error);
      assert.deepEqual([error.code, error.message], [code, thrown.message]);
      assert.deepEqual(fake.failed, [[JOB, { code, message: thrown.message, task: ID }]]);
      assert.equal(await fake.metric('blindfit_jobs_ended_total{state="failed"}'), 1);
    }
    await fake.worker.close();
  });
}

it('an entry without a limit of attempts has one', async () => {
  const fake = await fakeWorker();
  const running = fake.process(entryOf(ID, backwardTask(), { opts: {} }));
  running.catch(() => undefined); // looked at below
  await settle();
  fake.calls[0]?.reject(new TypeError('a bug'));
  await assert.rejects(running, UnrecoverableError);
  await fake.worker.close();
});

it('a job that another process has failed already is not counted again', async () => {
  const fake = await fakeWorker();
  for (let task = 0; task < 2; task++) {
    const running = fake.process(entryOf(ID, backwardTask()));
    running.catch(() => undefined); // looked at below
    await settle();
    fake.calls.at(-1)?.reject(new TaskError('HE_WIRE', 'bad', false));
    await assert.rejects(running);
  }
  assert.equal(fake.failed.length, 2);
  assert.equal(await fake.metric('blindfit_jobs_ended_total{state="failed"}'), 1);
  await fake.worker.close();
});

it('an entry that is no task fails its job at once', async () => {
  const fake = await fakeWorker();
  await assert.rejects(fake.process(entryOf(ID, { ...backwardTask(), pair: -1 })), UnrecoverableError);
  assert.deepEqual(fake.calls, []);
  const [[job, failure] = []] = fake.failed;
  assert.equal(job, JOB);
  assert.ok(typeof failure === 'object' && failure !== null && 'code' in failure && 'message' in failure);
  assert.equal(failure.code, 'CONTRACT');
  assert.match(String(failure.message), /^the task is not valid: .*pair/);
  assert.equal(await fake.metric('blindfit_tasks_total{kind="unknown",outcome="failed"}'), 1);
  await fake.worker.close();
});

it('every outcome of every kind is shown before it happens', async () => {
  const fake = await fakeWorker();
  for (const kind of ['start', 'forward', 'backward', 'predict'])
    for (const outcome of ['completed', 'retried', 'failed', 'cancelled'])
      assert.equal(await fake.metric(`blindfit_tasks_total{kind="${kind}",outcome="${outcome}"}`), 0);
  for (const name of ['blindfit_tasks_stalled_total', 'blindfit_lock_renewals_lost_total'])
    assert.equal(await fake.metric(name), 0);
  await fake.worker.close();
});

/** A task that fails in its thread. */
async function failing(fake: FakeWorker, thrown: Error, attemptsMade = 3): Promise<unknown> {
  const running = fake.process(entryOf(ID, backwardTask(), { attemptsMade }));
  running.catch(() => undefined); // looked at below
  await settle();
  fake.calls.at(-1)?.reject(thrown);
  return running.then(
    () => undefined,
    (reason: unknown) => reason,
  );
}

for (const fault of ['host', 'world'] as const) {
  it(`a failure of the ${fault} gives the task back, and stops the host until it can go on`, async () => {
    const fake = await fakeWorker();
    const disk = fake.readiness.condition('disk');
    disk.fail('full');
    const thrown = new TaskError('STORAGE_FULL', 'no room left', true, fault);
    assert.ok((await failing(fake, thrown)) instanceof DelayedError);
    const [entry, error] = fake.givenBack[0] ?? [];
    assert.deepEqual([(entry as TaskEntry).id, error, fake.failed], [ID, thrown, []]);
    assert.equal(await fake.metric('blindfit_tasks_total{kind="backward",outcome="given-back"}'), 1);
    assert.equal(await fake.metric('blindfit_tasks_total{kind="backward",outcome="failed"}'), 0);
    assert.equal((await fake.readiness.outcomes())['work'], 'takes no work: no room left');
    assert.equal(await fake.metric(`blindfit_intake_stopped{fault="${fault}"}`), 1);
    // One that comes all the same is not begun, and says nothing new.
    await assert.rejects(fake.process(entryOf(ID, backwardTask())), DelayedError);
    assert.deepEqual([fake.calls.length, fake.givenBack[1]?.[1]], [1, undefined]);
    await sleep(30);
    assert.ok(!fake.intake.isOpen, 'another condition does not hold');
    disk.clear();
    await until(() => fake.intake.isOpen, 'work is taken again');
    assert.equal((await fake.readiness.outcomes())['work'], 'ok');
    assert.equal(await fake.metric(`blindfit_intake_stopped{fault="${fault}"}`), 0);
    const again = fake.process(entryOf(ID, backwardTask(), { attemptsStarted: 2 }));
    await settle();
    fake.calls.at(-1)?.resolve();
    await again;
    assert.deepEqual(fake.cleared, [ID]);
    await fake.worker.close();
  });
}

it('a blob that is missing in a store with the manifest gives the task back and stops nothing', async () => {
  const fake = await fakeWorker();
  const missing = `sha256:${'cd'.repeat(32)}`;
  const thrown = new TaskError('BLOB_NOT_FOUND', 'not here', false, 'host', missing);
  assert.ok((await failing(fake, thrown)) instanceof DelayedError);
  assert.ok(fake.intake.isOpen);
  assert.deepEqual([fake.givenBack.length, fake.failed], [1, []]);
  fake.blobs.clear();
  assert.ok((await failing(fake, thrown)) instanceof DelayedError);
  assert.ok(!fake.intake.isOpen, 'a store without the manifest is not the right one');
  await fake.worker.close();
});

it('a result that Redis cannot record is kept until it can, and nothing is computed again', async () => {
  let refusals = 3;
  const recorded: unknown[] = [];
  const worker = await fakeWorker({
    jobs: {
      state: () => Promise.resolve('running'),
      fail: () => Promise.reject(new Error('it must not fail')),
      recordTask: (...record) => {
        if (refusals-- > 0) return Promise.reject(new Error("OOM command not allowed when used memory > 'maxmemory'."));
        recorded.push(record);
        return Promise.resolve(true);
      },
      troubles: { giveBack: () => Promise.reject(new Error('it must not go back')), clear: () => Promise.resolve() },
      workers: { beat: () => Promise.resolve(), retire: () => Promise.resolve() },
    },
  });
  const running = worker.process(entryOf(ID, backwardTask()));
  await settle();
  worker.calls[0]?.resolve();
  await settle();
  assert.match(String((await worker.readiness.outcomes())['work']), /OOM/);
  await running;
  assert.deepEqual([recorded.length, worker.calls.length], [1, 1]);
  await worker.worker.close();
});
