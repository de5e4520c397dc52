/** The beginning and the end of jobs: start scores, chains, the packed model, predictions. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { UnrecoverableError } from 'bullmq';
import { choosePlan, DEFAULT_HYPERPARAMETERS, derivePredictionPlan } from '@blindfit/training';
import { runPredictionJob } from '../src/prediction-job.ts';
import { finishTrainingJob, runTrainingJob } from '../src/training-job.ts';
import { entryOf, fakeScheduler, JOB, MANIFEST, planWith } from './support.ts';

const DATA = { job: JOB, manifest: MANIFEST };

describe('a training job', () => {
  it('that starts at zero adds the first segment of every chain at once', async () => {
    const { dependencies, tasks, chains, jobs, metrics } = fakeScheduler(planWith({ iterations: 1 }, 1));
    jobs.current = 'queued';
    assert.equal(await entryOf(DATA, tasks).runToEnd((entry) => runTrainingJob(dependencies, entry, 'token')), 1);
    assert.deepEqual(tasks.added, []);
    assert.deepEqual(
      chains.added,
      [0, 1].map((chain) => ({
        id: `${JOB}.chain.${chain}.0`,
        data: { ...DATA, protocol: 2, chain, segment: 0, history: [] },
      })),
    );
    assert.deepEqual(jobs.calls, [['start'], ['phase', 'training'], ['planned', []]]);
    assert.deepEqual(metrics, [['prepare']]);
  });

  it('with a constant start computes the scores first, once for all chains', async () => {
    const { dependencies, tasks, chains, jobs } = fakeScheduler(planWith({ iterations: 1, initialWeight: 0.01 }, 1));
    jobs.current = 'queued';
    await entryOf(DATA, tasks).runToEnd((entry) => runTrainingJob(dependencies, entry, 'token'));
    assert.deepEqual(
      tasks.added.map(({ id, data }) => [id, data]),
      [
        [`${JOB}.start.0`, { kind: 'start', ...DATA, iteration: 1, shards: [0, 1] }],
        [`${JOB}.start.1`, { kind: 'start', ...DATA, iteration: 1, shards: [2] }],
      ],
    );
    assert.deepEqual(jobs.calls.at(-1), ['planned', [`${JOB}.start.0/0`, `${JOB}.start.0/1`, `${JOB}.start.1/0`]]);
    assert.equal(chains.added.length, 2);
  });

  it('that is planned already is left to its chains', async () => {
    const { dependencies, tasks, chains, jobs } = fakeScheduler(planWith({ iterations: 1 }, 1));
    jobs.planned = true;
    await entryOf(DATA, tasks).runToEnd((entry) => runTrainingJob(dependencies, entry, 'token'));
    assert.deepEqual([chains.added, jobs.calls], [[], []]);
  });

  it('that was cancelled is given up for good', async () => {
    const { dependencies, tasks, chains, jobs } = fakeScheduler(planWith({ iterations: 1 }, 1));
    jobs.current = 'cancelled';
    await assert.rejects(
      entryOf(DATA, tasks).runToEnd((entry) => runTrainingJob(dependencies, entry, 'token')),
      UnrecoverableError,
    );
    assert.deepEqual(chains.added, []);
  });
});

describe('the end of a training job', () => {
  const records = () =>
    [0, 1].map((chain) => ({
      segment: 0,
      phase: 'done' as const,
      history: [`v1.${chain}`, `v2.${chain}`],
      weights: `w.${chain}`,
    }));

  it('packs V of every iteration at level 0, then the model', async () => {
    const plan = planWith({ iterations: 2 }, 2);
    const { dependencies, jobs, works, metrics } = fakeScheduler(plan);
    jobs.records = records();
    await finishTrainingJob(dependencies, { data: DATA });
    assert.deepEqual(
      works.map(([step, work]) => [step, work.kind === 'pack' && [work.chains, work.level, work.to]]),
      [
        ['pack.1', [['v1.0', 'v1.1'], plan.iterations[0]?.gradient, 0]],
        ['pack.2', [['v2.0', 'v2.1'], 0, 0]],
        ['pack.3', [['w.0', 'w.1'], 0, 0]],
      ],
    );
    assert.deepEqual(jobs.result, { models: ['of pack.3'], iterates: [['of pack.1'], ['of pack.2']] });
    assert.deepEqual(jobs.calls, [['phase', 'packing']]);
    assert.deepEqual(metrics, [['ended', 'succeeded']]);
  });

  it('packs the model only where refreshes have shown V', async () => {
    const { dependencies, jobs, works } = fakeScheduler(planWith({ iterations: 3 }, 2));
    jobs.records = records();
    await finishTrainingJob(dependencies, { data: DATA });
    assert.deepEqual(
      works.map(([step]) => step),
      ['pack.4'],
    );
    assert.deepEqual(jobs.result, { models: ['of pack.4'], iterates: [] });
  });

  for (const state of ['succeeded', 'cancelled', 'failed', undefined] as const) {
    it(`does nothing for a job that is ${state ?? 'unknown'}`, async () => {
      const { dependencies, jobs, works, metrics } = fakeScheduler(planWith({ iterations: 2 }, 2));
      jobs.records = records();
      jobs.current = state;
      await finishTrainingJob(dependencies, { data: DATA });
      assert.deepEqual([works, metrics, jobs.result], [[], [], undefined]);
    });
  }

  it('fails loudly when the record of a chain is missing', async () => {
    const { dependencies } = fakeScheduler(planWith({ iterations: 2 }, 2));
    await assert.rejects(finishTrainingJob(dependencies, { data: DATA }), /the record of chain 0 is missing/);
  });
});

describe('a prediction job', () => {
  const { parameters } = choosePlan({
    shape: { samples: 40, features: 100, classes: 3 },
    hyperparameters: { ...DEFAULT_HYPERPARAMETERS, iterations: 1 },
    ring: 2048,
    security: 'none',
    precision: 10,
    modelLevel: 1,
  });
  const block = { rows: 16, columns: 64 };
  const plan = derivePredictionPlan(
    parameters,
    block,
    { samples: 40, features: 100, classes: 3 },
    { shardsPerTask: 2 },
  );

  it('gives every pair and group of shards a task, and sorts the scores by shard and pair', async () => {
    const { dependencies, tasks, jobs } = fakeScheduler(planWith({ iterations: 1 }, 1));
    jobs.current = 'queued';
    jobs.model = ['m0', 'm1'];
    await entryOf(DATA, tasks).runToEnd((entry) => runPredictionJob(dependencies, entry, 'token', plan));
    const model = (pair: number) => `m${Math.floor(pair / plan.layout.pairsPerModel)}`;
    assert.deepEqual(
      tasks.added.map(({ id, data }) => [id, data]),
      [0, 1].flatMap((pair) =>
        [[0, 1], [2]].map((shards, group) => [
          `${JOB}.predict.${pair}.${group}`,
          { kind: 'predict', ...DATA, iteration: 1, pair, shards, model: model(pair) },
        ]),
      ),
    );
    assert.deepEqual(jobs.result, {
      scores: ['0/0', '0/1', '1/0'].map((part) => [0, 1].map((pair) => `${JOB}.predict.${pair}.${part}`)),
    });
    assert.deepEqual(jobs.calls.slice(0, 2), [['start'], ['phase', 'predicting']]);
    assert.deepEqual(jobs.calls.at(-1), ['iteration', 0, 1, 0]);
  });

  it('that was cancelled is given up for good', async () => {
    const { dependencies, tasks, jobs } = fakeScheduler(planWith({ iterations: 1 }, 1));
    jobs.current = 'cancelled';
    await assert.rejects(
      entryOf(DATA, tasks).runToEnd((entry) => runPredictionJob(dependencies, entry, 'token', plan)),
      UnrecoverableError,
    );
    assert.deepEqual(tasks.added, []);
  });
});
