/** Which trainings have a model to predict with, and what is taken from them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BlobStore } from '@blindfit/blobs';
import type { JobView, PredictManifest, TrainingManifest } from '@blindfit/protocol';
import type { JobFigures, JobStore } from '@blindfit/queue';
import { jobMetrics } from '../src/job-metrics.ts';
import { predictionModel } from '../src/prediction-model.ts';

const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;
const TRAINING: TrainingManifest = {
  format: 'blindfit-job/1',
  signer: `ed25519:${'0'.repeat(64)}`,
  parameters: { ring: 8192, dataBits: [50, 40, 40], specialBits: 50, scaleBits: 40 },
  shape: { samples: 1, features: 5, classes: 3 },
  block: { rows: 512, columns: 8, turns: 2 },
  grouping: { blocksPerTask: 1, shardsPerTask: 1, pairsPerChain: 1 },
  schedule: { refreshEvery: 1, modelLevel: 1 },
  hyperparameters: {
    iterations: 7,
    learningRate: 2,
    initialWeight: 0,
    sigmoid: { degree: 1, range: 8, odd: [0.1] },
  },
  blobs: {
    features: [[digest('a')]],
    gradientFeatures: [[digest('a')]],
    labels: [[digest('a')]],
    relinearisationKey: digest('a'),
    galoisKeys: { '1': digest('a') },
  },
};

/** @param job of the training @param asked of the manifest of the prediction */
function modelOf(
  job: { readonly [Name in keyof JobView]?: JobView[Name] | undefined },
  asked: Partial<PredictManifest> = {},
  training = TRAINING,
) {
  const view = {
    id: 'job-t',
    tenant: 'one',
    kind: 'train',
    state: 'succeeded',
    manifest: digest('b'),
    result: { models: [digest('c'), digest('d')] },
    ...job,
  };
  const jobs = { get: () => Promise.resolve(view) } as unknown as JobStore;
  const store = { get: () => Promise.resolve(Buffer.from(JSON.stringify(training))) } as unknown as BlobStore;
  const { parameters, block, shape } = TRAINING;
  const manifest = { model: 'job-t', parameters, block, shape: { ...shape, samples: 9 }, ...asked };
  return predictionModel({ store, jobs }, 'one', manifest as PredictManifest);
}

test('the model is that of the training, with its hyperparameters, for any samples and turns', async () => {
  assert.deepEqual(await modelOf({}), {
    digests: [digest('c'), digest('d')],
    hyperparameters: TRAINING.hyperparameters,
  });
  await modelOf({}, { block: { ...TRAINING.block, turns: 4 } });
});

test('only a training of the tenant that has succeeded has one', async () => {
  const refused: readonly [Parameters<typeof modelOf>[0], RegExp][] = [
    [{ tenant: 'two' }, /there is no job job-t/],
    [{ kind: 'predict' }, /is a prediction itself/],
    ...(['queued', 'running', 'awaiting-refresh', 'failed', 'cancelled'] as const).map(
      (state): [Partial<JobView>, RegExp] => [{ state }, new RegExp(`it is ${state}`)],
    ),
    [{ result: undefined }, /has not succeeded/],
  ];
  for (const [job, message] of refused)
    await assert.rejects(modelOf(job), (error) => {
      assert.ok(error instanceof Error && 'code' in error && 'status' in error);
      assert.deepEqual([error.code, error.status], ['MODEL_UNUSABLE', 422]);
      assert.match(error.message, message);
      return true;
    });
  const lowered = { ...TRAINING, schedule: { ...TRAINING.schedule, modelLevel: 0 as const } };
  await assert.rejects(modelOf({}, {}, lowered), /is at level 0/);
});

test('parameters, rows, columns, features and classes are those of the model', async () => {
  const { parameters, block, shape } = TRAINING;
  for (const asked of [
    { parameters: { ...parameters, ring: 16384 } },
    { parameters: { ...parameters, dataBits: [50, 40, 41] } },
    { parameters: { ...parameters, specialBits: 51 } },
    { parameters: { ...parameters, scaleBits: 39 } },
    { block: { ...block, rows: 256 } },
    { block: { ...block, columns: 16 } },
    { shape: { ...shape, features: 6 } },
    { shape: { ...shape, classes: 4 } },
  ])
    await assert.rejects(modelOf({}, asked), {
      code: 'MODEL_UNUSABLE',
      message: /does not fit the model of job-t/,
    });
});

test('the progress of a job is a part of 1, whatever was computed twice', async () => {
  const ratioOf = async (tasksDone: number, tasksTotal: number): Promise<string | undefined> => {
    const progress = { phase: 'training', iteration: 0, iterations: 1, tasksDone, tasksTotal, levelsLeft: 0 };
    const view = { state: 'running', progress, createdAt: '2026-01-01T00:00:00.000Z' };
    const figures = { view, tasks: [], operations: {}, refreshes: 0, refreshSeconds: 0, awaitingSeconds: 0 };
    const text = await jobMetrics(figures as unknown as JobFigures).metrics();
    return /^blindfit_job_progress_ratio (.*)$/m.exec(text)?.[1];
  };
  assert.deepEqual(await Promise.all([ratioOf(1, 4), ratioOf(5, 4), ratioOf(0, 0)]), ['0.25', '1', '0']);
});
