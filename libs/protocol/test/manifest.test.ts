/** Manifests and answers just inside and just outside every limit of their schemas. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { required } from '@blindfit/base';
import {
  checker,
  ContractError,
  isFinal,
  parseManifest,
  readManifest,
  readPredictManifest,
  readTrainingManifest,
  RefreshAnswerSchema,
  TaskResultSchema,
  TaskSchema,
} from '../src/index.ts';

const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;

const training = {
  format: 'blindfit-job/1',
  name: 'digits',
  parameters: { ring: 16384, dataBits: [50, 40], specialBits: 50, scaleBits: 40 },
  shape: { samples: 10, features: 4, classes: 2 },
  block: { rows: 256, columns: 32, turns: 2 },
  grouping: { blocksPerTask: 1, shardsPerTask: 1, pairsPerChain: 1 },
  schedule: { refreshEvery: 2, modelLevel: 0 },
  hyperparameters: {
    iterations: 2,
    learningRate: 1,
    initialWeight: 0,
    sigmoid: { degree: 3, range: 8, odd: [0.15, -0.001] },
    batch: { size: 5, seed: 1 },
  },
  blobs: {
    features: [[digest]],
    gradientFeatures: [[digest]],
    labels: [[digest]],
    relinearisationKey: digest,
    galoisKeys: { 0: digest, 32: digest },
  },
};

const prediction = {
  format: 'blindfit-predict/1',
  model: 'job-0123456789ab',
  parameters: training.parameters,
  shape: training.shape,
  block: training.block,
  grouping: { shardsPerTask: 1 },
  blobs: { features: [[digest]], relinearisationKey: digest, galoisKeys: { 1: digest } },
};

/** A copy with another value at a path; undefined removes the member. */
function changed(value: object, path: string, member: unknown): unknown {
  const copy = structuredClone(value) as Record<string, unknown>;
  const names = path.split('.');
  const last = required(names.pop(), 'the last name');
  let target = copy;
  for (const name of names) target = target[name] as Record<string, unknown>;
  if (member === undefined) Reflect.deleteProperty(target, last);
  else target[last] = member;
  return copy;
}

describe('a training manifest', () => {
  const LIMITS: readonly (readonly [string, readonly unknown[], readonly unknown[]])[] = [
    ['format', ['blindfit-job/1'], ['blindfit-job/2', undefined]],
    ['name', [undefined, 'x', 'x'.repeat(200)], ['', 'x'.repeat(201), 'a\nb', 'a\u007fb', 'a\u0000']],
    ['parameters.ring', [1024, 32768], [1023, 32769, 2048.5, '1024']],
    ['parameters.dataBits', [[20], [60], new Array(30).fill(40)], [[], [19], [61], new Array(31).fill(40)]],
    ['parameters.specialBits', [20, 60], [19, 61]],
    ['parameters.scaleBits', [10, 59], [9, 60]],
    ['shape.samples', [1, 1_000_000], [0, 1_000_001]],
    ['shape.features', [2, 4097], [1, 4098]],
    ['shape.classes', [2, 1000], [1, 1001]],
    ['block.rows', [1, 16384], [0, 16385]],
    ['block.columns', [2, 16384], [1, 16385]],
    ['block.turns', [undefined, 1, 16384], [0, 16385]],
    ['grouping.blocksPerTask', [1, 4097], [0, 4098]],
    ['grouping.shardsPerTask', [1, 1_000_000], [0, 1_000_001]],
    ['grouping.pairsPerChain', [1, 16384], [0, 16385]],
    ['schedule.refreshEvery', [1, 1000], [0, 1001]],
    ['schedule.modelLevel', [0, 1], [2, -1]],
    ['hyperparameters.iterations', [1, 1000], [0, 1001]],
    ['hyperparameters.learningRate', [1e-4, 1e3], [0.9e-4, 1001]],
    ['hyperparameters.initialWeight', [-1, 1], [-1.01, 1.01]],
    ['hyperparameters.decay', [undefined, 1e-9, 0.999], [0, 1, -0.1, null]],
    ['hyperparameters.sigmoid.degree', [1, 3, 5, 7], [0, 2, 9]],
    ['hyperparameters.sigmoid.range', [1e-9, 64], [0, 65]],
    ['hyperparameters.sigmoid.odd', [[10], [-10, 0, 0, 10]], [[], [10.1], [-10.1], [0, 0, 0, 0, 0]]],
    ['hyperparameters.batch', [undefined], [null, {}]],
    ['hyperparameters.batch.size', [1, 1_000_000], [0, 1_000_001]],
    ['hyperparameters.batch.seed', [0, 2 ** 32 - 1], [-1, 2 ** 32]],
    ['blobs.features', [new Array(3).fill([digest])], [[], [[]], [['sha256:00']], [[digest.toUpperCase()]]]],
    ['blobs.labels', [[[digest, digest]]], [[digest], [[`${digest}0`]], [new Array(4098).fill(digest)]]],
    ['blobs.relinearisationKey', [digest], [undefined, digest.slice(7)]],
    ['blobs.galoisKeys', [{}, { 99999: digest }], [{ 1: 'x' }, { 1: digest, 2: '' }]],
    ...['-1', '01', '1.5', '100000', '1e3', ' 1', '', 'x'].map(
      (step) => ['blobs.galoisKeys', [], [{ 1: digest, [step]: digest }]] as const,
    ),
    ['extra', [], [1]],
    ['shape.extra', [], [1]],
    ['hyperparameters.extra', [], [1]],
    ['hyperparameters.batch.extra', [], [1]],
    ['blobs.extra', [], [1]],
  ];
  for (const [path, good, bad] of LIMITS) {
    it(`checks ${path}`, () => {
      for (const value of good) assert.doesNotThrow(() => readTrainingManifest(changed(training, path, value)));
      for (const value of bad)
        assert.throws(() => readTrainingManifest(changed(training, path, value)), ContractError, JSON.stringify(value));
    });
  }

  it('is told from a prediction by its format', () => {
    assert.equal(readManifest(training), training);
    assert.equal(readManifest(prediction), prediction);
    assert.throws(() => readTrainingManifest(prediction), ContractError);
    assert.throws(() => readPredictManifest(training), ContractError);
    for (const nothing of [null, 7, 'blindfit-predict/1', [], {}])
      assert.throws(() => readManifest(nothing), ContractError);
  });

  it('is read from bytes, and damage is named', () => {
    assert.deepEqual(parseManifest(new TextEncoder().encode(JSON.stringify(training))), training);
    assert.throws(() => parseManifest(new TextEncoder().encode('{')), /the manifest is not valid: it is not JSON/);
  });

  it('has a step that is no rotation step named', () => {
    const galoisKeys = { 1: digest, '-1': digest, x: digest };
    for (const check of [
      () => readTrainingManifest(changed(training, 'blobs.galoisKeys', galoisKeys)),
      () => readPredictManifest(changed(prediction, 'blobs.galoisKeys', galoisKeys)),
    ])
      assert.throws(check, /\/blobs\/galoisKeys must not have additional properties: "-1", "x"/);
  });

  it('has its first five problems listed by place, with a code', () => {
    const wrong = {
      ...training,
      shape: { samples: 0, features: 0, classes: 0 },
      block: { rows: 0, columns: 0, turns: 0 },
    };
    assert.throws(
      () => readTrainingManifest(wrong),
      (error) => {
        assert.ok(error instanceof ContractError);
        assert.equal(error.code, 'CONTRACT');
        assert.match(error.message, /^the manifest is not valid: \/shape\/samples must be >= 1; /);
        assert.equal(error.message.split('; ').length, 5);
        return true;
      },
    );
  });
});

describe('a prediction manifest', () => {
  it('names its model, and nothing of a training', () => {
    for (const model of ['job-0123456789ab', `job-${'z'.repeat(40)}`])
      assert.doesNotThrow(() => readPredictManifest({ ...prediction, model }));
    for (const model of [
      undefined,
      'job-0123456789a',
      `job-${'z'.repeat(41)}`,
      'job-0123456789aB',
      'xjob-0123456789ab',
    ])
      assert.throws(() => readPredictManifest({ ...prediction, model }), ContractError, String(model));
    assert.throws(() => readPredictManifest({ ...prediction, schedule: training.schedule }), ContractError);
    for (const shardsPerTask of [0, 1_000_001])
      assert.throws(() => readPredictManifest({ ...prediction, grouping: { shardsPerTask } }), ContractError);
  });
});

describe('what travels during a job', () => {
  const task = { kind: 'backward', job: 'job-0123456789ab', manifest: digest, iteration: 1, pair: 0, shards: [0] };

  it('is checked: tasks', () => {
    const check = checker('the task is not valid', TaskSchema);
    const good = { ...task, blocks: [0] };
    assert.doesNotThrow(() => check(good));
    // A later release of the same protocol may add fields.
    assert.doesNotThrow(() => check({ ...good, extra: 1 }));
    for (const change of [
      { iteration: 0 },
      { iteration: 1001 },
      { pair: -1 },
      { shards: [] },
      { shards: [1_000_001] },
      { blocks: [] },
      { errors: [] },
      { scores: ['x'] },
      { kind: 'refresh' },
    ])
      assert.throws(() => check({ ...good, ...change }), ContractError, JSON.stringify(change));
  });

  it('is checked: results of tasks', () => {
    const check = checker('the result is not valid', TaskResultSchema);
    const operations = { rotations: 0, relinearisations: 0, multiplications: 0, plainMultiplications: 0, rescales: 0 };
    const good = { outputs: [digest], operations, startedAt: 1, finishedAt: 2, loadKeysSeconds: 0 };
    assert.doesNotThrow(() => check({ ...good, evaluator: 'native (ifma)' }));
    for (const change of [
      { outputs: [] },
      { loadKeysSeconds: -1 },
      { evaluator: '' },
      { evaluator: 'x'.repeat(41) },
      { evaluator: '<script>' },
      { operations: { ...operations, rotations: -1 } },
      { operations: { ...operations, extra: 1 } },
    ])
      assert.throws(() => check({ ...good, ...change }), ContractError, JSON.stringify(change));
  });

  it('is checked: the owner’s answer to a refresh', () => {
    const check = checker('the answer is not valid', RefreshAnswerSchema);
    const signature = '0123456789abcdef'.repeat(8);
    const good = { id: '0123456789abcdef'.repeat(2), weights: digest, momentum: digest, signature };
    assert.doesNotThrow(() => check(good));
    for (const change of [
      { id: good.id.slice(1) },
      { id: `${good.id}0` },
      { momentum: undefined },
      { signature: undefined },
      { signature: signature.slice(1) },
      { signature: `${signature}0` },
      { signature: signature.toUpperCase() },
      { extra: 1 },
    ])
      assert.throws(() => check({ ...good, ...change }), ContractError, JSON.stringify(change));
  });

  it('ends in one of three states', () => {
    const states = ['queued', 'running', 'awaiting-refresh', 'succeeded', 'failed', 'cancelled'] as const;
    assert.deepEqual(states.filter(isFinal), ['succeeded', 'failed', 'cancelled']);
  });
});
