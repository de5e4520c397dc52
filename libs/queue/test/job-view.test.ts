import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { JOB_FACTS } from '@blindfit/testkit';
import { iterationsOf, type NewJob } from '../src/job-record.ts';
import { resultOf, viewOf } from '../src/job-view.ts';
import { stateScore } from '../src/state-scores.ts';
import { countsForProgress, factsOf, TaskTotals } from '../src/task-totals.ts';

const JOB: Omit<NewJob, 'id'> = JOB_FACTS;
const fieldsOf = (more: Record<string, string> = {}): Record<string, string> => ({
  job: JSON.stringify(JOB),
  state: 'running',
  createdAt: '1000',
  ...more,
});

describe('the view of a job', () => {
  it('that waits has no more than its record', () => {
    assert.deepEqual(viewOf('job-a', fieldsOf({ state: 'queued' })), {
      id: 'job-a',
      kind: 'train',
      state: 'queued',
      manifest: JOB.manifest,
      shape: JOB.shape,
      hyperparameters: JOB.hyperparameters,
      parameters: 'N8192',
      createdAt: '1970-01-01T00:00:01.000Z',
      progress: { phase: 'queued', iteration: 0, iterations: 2, tasksDone: 0, tasksTotal: 4, levelsLeft: 6 },
      tenant: 'default',
      signer: JOB.signer,
      refreshes: [],
      answers: [],
    });
    const { tenant: _, signer: __, ...old } = JOB;
    assert.equal(viewOf('job-a', fieldsOf({ job: JSON.stringify(old) }))?.tenant, 'default');
    assert.equal(viewOf('job-a', {}), undefined);
    assert.equal(viewOf('job-a', { state: 'queued' }), undefined);
  });

  it('follows its slowest chain', () => {
    const view = viewOf(
      'job-a',
      fieldsOf({ 'iteration:0': '2', 'levels:0': '1', 'iteration:1': '1', 'levels:1': '3' }),
    );
    assert.deepEqual([view?.progress.iteration, view?.progress.levelsLeft], [1, 1]);
    assert.equal(viewOf('job-a', fieldsOf({ 'levels:0': '-1' }))?.progress.levelsLeft, 0);
    assert.equal(viewOf('job-a', fieldsOf({ 'iteration:0': '2' }))?.progress.iteration, 0);
  });

  it('names the classes of the last pair, the last of which may be alone', () => {
    const classes = (pair: string): string | undefined =>
      viewOf('job-a', fieldsOf({ lastPair: pair }))?.progress.classes;
    assert.deepEqual(['0', '1', ''].map(classes), ['0, 1', '2', undefined]);
  });

  it('estimates the rest from the time that was not spent waiting for the owner', (t) => {
    t.mock.timers.enable({ apis: ['Date'], now: 101_000 });
    const fields = fieldsOf({ startedAt: '1000', tasksDone: '1', refreshSeconds: '40' });
    // 100 s since the start less 40 s, for one of four tasks.
    assert.equal(viewOf('job-a', fields)?.progress.etaSeconds, 180);
    assert.equal(viewOf('job-a', { ...fields, tasksDone: '5' })?.progress.etaSeconds, 0);
    assert.equal(viewOf('job-a', { ...fields, tasksDone: '0' })?.progress.etaSeconds, undefined);
    assert.equal(viewOf('job-a', { ...fields, state: 'awaiting-refresh' })?.progress.etaSeconds, undefined);
  });

  it('shows requests for refreshes until it is final, and its phase by its state', () => {
    const chain = JSON.stringify({ phase: 'awaiting', segment: 0, history: [], request: { id: 'r' } });
    const view = (state: string): ReturnType<typeof viewOf> =>
      viewOf('job-a', fieldsOf({ state, phase: 'training', 'chain:1': chain }));
    assert.deepEqual(view('awaiting-refresh')?.refreshes, [{ id: 'r' }]);
    assert.deepEqual(view('cancelled')?.refreshes, []);
    assert.deepEqual(
      ['running', 'awaiting-refresh', 'cancelled'].map((state) => view(state)?.progress.phase),
      ['training', 'awaiting-refresh', 'done'],
    );
  });
});

describe('the result of a job', () => {
  const totals = new TaskTotals([
    ['start', 3000],
    ['loadKeys', 2],
    ['compute', 5],
    ['rotations', 7],
    ['evaluator:native (ifma)', 3],
    ['start:1', 5000],
    ['end:1', 6500],
  ]);

  it('has the times from the first task on, without the loading of keys', () => {
    const { seconds, operations, evaluators } = resultOf(
      { models: ['m'], iterates: [] },
      fieldsOf({ refreshSeconds: '1.5' }),
      totals,
      13_000,
    );
    assert.deepEqual(seconds, { train: 8, loadKeys: 2, queued: 2, iterations: [1.5, 0], compute: 5, refresh: 1.5 });
    assert.deepEqual(operations, {
      rotations: 7,
      relinearisations: 0,
      multiplications: 0,
      plainMultiplications: 0,
      rescales: 0,
    });
    assert.deepEqual(evaluators, { 'native (ifma)': 3 });
  });

  it('of a job without tasks took no time', () => {
    const { seconds } = resultOf({ models: [], iterates: [] }, fieldsOf(), new TaskTotals([]), 13_000);
    assert.deepEqual([seconds.train, seconds.queued], [0, 12]);
  });

  it('of a prediction has one iteration', () => {
    assert.equal(iterationsOf({ ...JOB, kind: 'predict' }), 1);
    assert.equal(iterationsOf(JOB), 2);
  });
});

it('a task contributes its times, operations and evaluator', () => {
  const operations = { rotations: 1, relinearisations: 2, multiplications: 3, plainMultiplications: 4, rescales: 5 };
  const task = { iteration: 2, operations, startedAt: 1000, finishedAt: 3000, loadKeysSeconds: 0.5 };
  assert.deepEqual(factsOf({ ...task, kind: 'forward', evaluator: 'native' }), [
    ['min', 'start', 1000],
    ['max', 'loadKeys', 0.5],
    ['sum', 'compute', 1.5],
    ['sum', 'count:forward', 1],
    ['sum', 'seconds:forward', 2],
    ['max', 'slowest:forward', 2],
    ['sum', 'rotations', 1],
    ['sum', 'relinearisations', 2],
    ['sum', 'multiplications', 3],
    ['sum', 'plainMultiplications', 4],
    ['sum', 'rescales', 5],
    ['sum', 'evaluator:native', 1],
    ['min', 'start:2', 1500],
    ['max', 'end:2', 3000],
  ]);
  for (const kind of ['pack', 'publish'])
    assert.ok(!factsOf({ ...task, kind }).some(([, name]) => name === 'end:2'), kind);
});

it('the tasks of workers count for progress, the steps of the scheduler do not', () => {
  const kinds = ['start', 'forward', 'backward', 'predict', 'step', 'publish', 'finish', 'pack'];
  assert.deepEqual(kinds.filter(countsForProgress), ['start', 'forward', 'backward', 'predict']);
});

it('the scores of the states stay the same: records of earlier releases are indexed by them', () => {
  assert.deepEqual(
    (['queued', 'running', 'awaiting-refresh', 'succeeded', 'failed', 'cancelled'] as const).map(stateScore),
    [0, 1e13, 2e13, 3e13, 4e13, 5e13],
  );
});
