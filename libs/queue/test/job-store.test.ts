import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { at, required } from '@blindfit/base';
import type { JobState } from '@blindfit/protocol';
import { JobChanges } from '../src/index.ts';
import { jobsByState, newJob, newStore, record, redis } from './support.ts';

test('of many who create a job one succeeds, and everybody finds it whole', async () => {
  const jobs = newStore();
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const created = await jobs.create(newJob('job-a', { parameters: `set ${i}` }));
      return { created, view: await jobs.get('job-a') };
    }),
  );
  assert.equal(outcomes.filter(({ created }) => created).length, 1);
  const [first] = outcomes;
  assert.equal(first?.view?.state, 'queued');
  for (const { view } of outcomes) assert.deepEqual(view, first.view);
  assert.equal((await jobs.list(10)).length, 1);
});

test('a final state is final', async () => {
  const jobs = newStore();
  assert.equal(await jobs.cancel('job-unknown'), false);
  assert.equal(await jobs.succeed('job-unknown', []), false);
  assert.equal(await jobs.get('job-unknown'), undefined);
  for (const [id, end] of [
    ['job-s', () => jobs.succeed('job-s', ['x'])],
    ['job-f', () => jobs.fail('job-f', { code: 'X', message: 'y' })],
    ['job-c', () => jobs.cancel('job-c')],
  ] as const) {
    await jobs.create(newJob(id));
    assert.equal(await jobs.start(id), 'started');
    assert.equal(await jobs.start(id), 'unchanged');
    assert.equal(await end(), true);
    const view = await jobs.get(id);
    assert.equal(await jobs.start(id), 'unchanged');
    for (const again of [
      () => jobs.cancel(id),
      () => jobs.fail(id, { code: 'Z', message: 'z' }),
      () => jobs.succeed(id, ['y']),
    ]) {
      assert.equal(await again(), false);
    }
    await jobs.setPhase(id, 'training');
    assert.deepEqual(await jobs.get(id), view);
  }
  assert.deepEqual(await jobsByState(jobs), { succeeded: 1, failed: 1, cancelled: 1 });
});

test('a task counts once, the steps of the scheduler do not, and the result sums up all', async () => {
  const jobs = newStore();
  const id = 'job-a';
  await jobs.create(newJob(id));
  await jobs.start(id);
  const t0 = Date.now();
  assert.equal(
    await jobs.recordTask(id, 'backward.0', record('backward', t0 + 10, t0 + 30, { pair: 0, loadKeysSeconds: 0.005 })),
    true,
  );
  assert.equal(await jobs.recordTask(id, 'backward.0', record('backward', t0 + 50, t0 + 90, { pair: 0 })), false);
  assert.equal(await jobs.recordTask(id, 'step.0', record('step', t0 + 30, t0 + 31, { pair: 0 })), true);
  let view = await jobs.get(id);
  assert.equal(view?.progress.tasksDone, 1);
  assert.equal(view.progress.classes, '0, 1');
  assert.ok((view.progress.etaSeconds ?? -1) >= 0);
  await jobs.recordTask(id, 'backward.1', record('backward', t0 + 20, t0 + 40, { pair: 1, iteration: 2 }));
  await jobs.setIteration(id, 0, 2, 1);
  await jobs.setIteration(id, 1, 1, 3);
  view = await jobs.get(id);
  assert.equal(view?.progress.tasksDone, 2);
  assert.equal(view.progress.classes, '2');
  assert.equal(view.progress.iteration, 1);
  assert.equal(view.progress.levelsLeft, 1);
  // The last task of this story ends a little later than now.
  await sleep(60);
  assert.equal(await jobs.succeed(id, ['sha256:m']), true);
  const done = await jobs.get(id);
  assert.deepEqual(done?.refreshes, []);
  assert.equal(done.progress.phase, 'done');
  assert.equal(done.progress.etaSeconds, undefined);
  assert.deepEqual(done.result?.models, ['sha256:m']);
  assert.deepEqual(done.result.operations, {
    rotations: 30,
    relinearisations: 3,
    multiplications: 6,
    plainMultiplications: 9,
    rescales: 12,
  });
  // The 5 ms of loading keys are not the iteration's.
  assert.deepEqual(done.result.seconds.iterations, [0.016, 0.02]);
  assert.equal(done.result.seconds.loadKeys, 0.005);
  assert.ok(Math.abs(done.result.seconds.compute - 0.036) < 1e-9);
  assert.ok(done.result.seconds.queued >= 0.01 && done.result.seconds.queued < 2);
});

test('sums and extremes count every task once, also when it is recorded by many at once', async () => {
  const jobs = newStore();
  const id = 'job-a';
  await jobs.create(newJob(id));
  await jobs.start(id);
  const t0 = Date.now();
  const tasks = Array.from({ length: 20 }, (_, i) => ({
    name: `backward.${i}`,
    task: record('backward', t0 + 10 * i, t0 + 10 * i + 8, {
      iteration: 1 + Math.floor(i / 10),
      pair: i % 2,
      loadKeysSeconds: i === 13 ? 0.003 : 0,
    }),
  }));
  // In no order, each by three.
  const counted = await Promise.all(
    [...tasks, ...tasks.toReversed(), ...tasks].map(({ name, task }) => jobs.recordTask(id, name, task)),
  );
  assert.equal(counted.filter(Boolean).length, 20);
  // What a chain's end and the job's end take belongs to no iteration.
  await jobs.recordTask(id, 'publish.1.0', record('publish', t0 + 500, t0 + 510, { iteration: 1 }));
  await jobs.recordTask(id, 'pack.2', record('pack', t0 + 600, t0 + 610, { iteration: 2 }));
  assert.equal((await jobs.get(id))?.progress.tasksDone, 20);
  await sleep(5);
  // The record of a long job stays small: a mark for every task, and no more than this besides; three figures for each
  // of its three kinds.
  const running = await redis().hkeys(jobs.keys.tasks(id));
  assert.equal(running.filter((field) => field.startsWith('t:')).length, 22);
  assert.ok(running.length - 22 <= 3 + 5 + 2 * 2 + 3 * 3, running.join(' '));
  const before = await jobs.figures(id);
  await jobs.succeed(id, ['sha256:m']);
  const { result } = (await jobs.get(id)) ?? {};
  assert.deepEqual(result?.operations, {
    rotations: 220,
    relinearisations: 22,
    multiplications: 44,
    plainMultiplications: 66,
    rescales: 88,
  });
  assert.deepEqual(result.seconds.iterations, [0.098, 0.098]);
  assert.equal(result.seconds.loadKeys, 0.003);
  assert.ok(Math.abs(result.seconds.compute - (20 * 0.008 - 0.003 + 0.02)) < 1e-9, String(result.seconds.compute));
  assert.equal(result.seconds.refresh, 0);
  // What is over needs neither marks nor the times of iterations, and its figures stay.
  const fields = await redis().hkeys(jobs.keys.tasks(id));
  assert.ok(fields.length <= 3 + 5 + 3 * 3 && !fields.some((field) => /^(t|start|end):/.test(field)), fields.join(' '));
  const after = await jobs.figures(id);
  assert.deepEqual([after?.tasks, after?.operations], [before?.tasks, before?.operations]);
  const late = at(tasks, 0, 'tasks');
  assert.equal(await jobs.recordTask(id, late.name, late.task), false, 'a task that ends once more counts no more');
  assert.deepEqual((await jobs.figures(id))?.tasks, after?.tasks);
});

test('marks of tasks go with a cancelled job and stay with a failed one, which may be resumed', async () => {
  const jobs = newStore();
  for (const [id, end, marks] of [
    ['job-c', (job: string) => jobs.cancel(job), 0],
    ['job-f', (job: string) => jobs.fail(job, { code: 'X', message: 'x' }), 3],
  ] as const) {
    await jobs.create(newJob(id));
    await jobs.start(id);
    for (const task of ['a', 'b', 'c']) await jobs.recordTask(id, task, record('forward', 1000, 2000));
    await end(id);
    const fields = await redis().hkeys(jobs.keys.tasks(id));
    assert.equal(fields.filter((field) => field.startsWith('t:')).length, marks, id);
    assert.equal(fields.includes('seconds:forward'), true);
  }
});

test('of the chains of a job that has succeeded progress and answers stay, in little room', async () => {
  const jobs = newStore();
  await jobs.create(newJob('job-a', { chains: 2 }));
  await jobs.start('job-a');
  await jobs.setPlanned('job-a', [`sha256:${'5'.repeat(64)}`]);
  const answer = { id: 'r', weights: 'w', momentum: 'm', signature: 's', chain: 0, iteration: 1 };
  await jobs.setChain('job-a', 0, undefined, { phase: 'done', segment: 1, history: ['v'], weights: 'w2', answer });
  for (const chain of [0, 1]) await jobs.setIteration('job-a', chain, 2, 3 + chain);
  const before = required(await jobs.get('job-a'), 'the job');
  await jobs.succeed('job-a', ['sha256:m']);
  const after = required(await jobs.get('job-a'), 'the job');
  assert.deepEqual(after.answers, [answer]);
  assert.deepEqual(after.progress, { ...before.progress, phase: 'done' });
  assert.equal(after.progress.levelsLeft, 3);
  const fields = await redis().hkeys(jobs.keys.job('job-a'));
  const wanted = ['createdAt', 'ended', 'finishedAt', 'job', 'result', 'startedAt', 'state', 'tenant', 'weight'];
  assert.deepEqual(fields.sort(), wanted);
});

test('lists are newest first, by state, and no longer than asked', async () => {
  const jobs = newStore();
  const ids = Array.from({ length: 120 }, (_, i) => `job-${String(i).padStart(3, '0')}`);
  for (const id of ids) await jobs.create(newJob(id));
  for (const id of ids.slice(0, 3)) await jobs.cancel(id);
  assert.deepEqual((await jobs.list(1000)).length, 120);
  assert.deepEqual(
    (await jobs.list(2, ['cancelled'])).map((job) => job.id),
    ['job-002', 'job-001'],
  );
  assert.equal((await jobs.list(60)).length, 60);
});

test(
  'a list by state is ordered by creation while jobs go on, by their end afterwards, and finds those ' +
    'of a version that kept no sets',
  async () => {
    const jobs = newStore();
    const ids = Array.from({ length: 6 }, (_, i) => `job-${i}`);
    for (const id of ids) {
      await jobs.create(newJob(id));
      await sleep(3);
    }
    for (const id of ['job-1', 'job-3']) await jobs.start(id);
    for (const id of ['job-4', 'job-0']) {
      await jobs.cancel(id);
      await sleep(3);
    }
    const list = async (limit: number, ...states: JobState[]): Promise<string[]> =>
      (await jobs.list(limit, states)).map(({ id }) => id);
    for (let time = 0; time < 2; time++) {
      assert.deepEqual(await list(10, 'queued'), ['job-5', 'job-2']);
      assert.deepEqual(await list(10, 'running'), ['job-3', 'job-1']);
      assert.deepEqual(await list(10, 'cancelled'), ['job-0', 'job-4']);
      assert.deepEqual(await list(3, 'queued', 'running'), ['job-5', 'job-3', 'job-2']);
      assert.deepEqual(await list(10, 'failed'), []);
      assert.deepEqual(await jobs.index.inStates(['running', 'queued']), ['job-5', 'job-3', 'job-2', 'job-1']);
      await redis().del(jobs.keys.states);
    }
  },
);

test('every change is announced, and a worker that retires is gone', async (t) => {
  const jobs = newStore();
  const changes = await JobChanges.open(redis(), jobs.keys);
  t.after(() => changes.close());
  const heard: string[] = [];
  const stop = changes.listen((id) => heard.push(id));
  await jobs.create(newJob('job-a'));
  await jobs.start('job-a');
  await jobs.start('job-a');
  await jobs.recordTask('job-a', 'x', record('backward', 0, 1));
  await jobs.setPhase('job-a', 'packing');
  await jobs.cancel('job-a');
  // Announcements come on another connection than the answers.
  for (let i = 0; i < 200 && heard.length < 5; i++) await sleep(10);
  assert.deepEqual(heard, new Array<string>(5).fill('job-a'));
  stop();
  await jobs.workers.beat({ id: 'w', threads: 3, protocol: 2 });
  await jobs.workers.beat({ id: 'w', threads: 3, protocol: 2 });
  assert.deepEqual(await jobs.workers.threads(), { workers: 1, threads: 3, protocol: 2 });
  await jobs.workers.retire({ id: 'w', threads: 3, protocol: 2 });
  assert.deepEqual(await jobs.workers.threads(), { workers: 0, threads: 0, protocol: 1 });
  assert.equal(heard.length, 5);
});
