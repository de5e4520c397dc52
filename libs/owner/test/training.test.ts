import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at } from '@blindfit/base';
import * as nativeBackend from '@blindfit/he/native';
import * as training from '@blindfit/training';
import type { TrainingSet } from '../src/index.ts';
import { openKeyset, trainEncryptedLocally } from '../src/node/index.ts';
import { largestError, planOf, randomData, SHARED_KEYS, type PlanOptions } from './setup.ts';

const PAPER = { samples: 128, features: 401, classes: 10 } as const;

interface Case extends PlanOptions {
  readonly name: string;
  readonly shards: number;
  readonly blocks: number;
  /** Whether samples of one class count more. */
  readonly weighted?: boolean;
}

const CASES: readonly Case[] = [
  {
    name: 'zero start, 1 iteration',
    samples: 6,
    features: 3,
    classes: 2,
    iterations: 1,
    ring: 1024,
    block: { rows: 128, columns: 4 },
    shards: 1,
    blocks: 1,
  },
  {
    name: 'zero start, 2 iterations',
    samples: 6,
    features: 3,
    classes: 2,
    ring: 1024,
    block: { rows: 128, columns: 4 },
    shards: 1,
    blocks: 1,
  },
  {
    name: 'constant start, 1 iteration, odd number of classes',
    samples: 20,
    features: 20,
    classes: 3,
    iterations: 1,
    initialWeight: 0.0128,
    ring: 1024,
    block: { rows: 32, columns: 16 },
    shards: 1,
    blocks: 2,
  },
  {
    name: 'constant start, 2 iterations, several shards',
    samples: 50,
    features: 50,
    classes: 2,
    initialWeight: 0.0128,
    ring: 1024,
    block: { rows: 32, columns: 16 },
    grouping: { blocksPerTask: 4, shardsPerTask: 2 },
    shards: 2,
    blocks: 4,
  },
  {
    name: 'negative start',
    samples: 20,
    features: 5,
    classes: 2,
    initialWeight: -0.1,
    ring: 1024,
    block: { rows: 32, columns: 16 },
    shards: 1,
    blocks: 1,
  },
  {
    name: 'odd number of classes, several shard and block groups',
    samples: 75,
    features: 40,
    classes: 3,
    ring: 1024,
    block: { rows: 32, columns: 16 },
    grouping: { blocksPerTask: 2, shardsPerTask: 2 },
    shards: 3,
    blocks: 3,
  },
  {
    name: 'constant start, odd classes, a task for every shard and block',
    samples: 30,
    features: 70,
    classes: 3,
    initialWeight: 0.0128,
    ring: 1024,
    block: { rows: 16, columns: 32 },
    grouping: { blocksPerTask: 1, shardsPerTask: 1 },
    shards: 2,
    blocks: 3,
  },
  {
    name: 'several model ciphertexts',
    samples: 4,
    features: 250,
    classes: 5,
    iterations: 1,
    ring: 1024,
    block: { rows: 4, columns: 128 },
    shards: 1,
    blocks: 2,
  },
  {
    name: 'degree 1',
    samples: 30,
    features: 12,
    classes: 2,
    degree: 1,
    ring: 1024,
    block: { rows: 32, columns: 16 },
    shards: 1,
    blocks: 1,
  },
  {
    name: 'degree 5',
    samples: 30,
    features: 12,
    classes: 2,
    degree: 5,
    ring: 1024,
    block: { rows: 32, columns: 16 },
    shards: 1,
    blocks: 1,
  },
  {
    name: 'degree 7',
    samples: 30,
    features: 12,
    classes: 2,
    degree: 7,
    ring: 1024,
    block: { rows: 32, columns: 16 },
    shards: 1,
    blocks: 1,
  },
  {
    name: 'degree 5, constant start',
    samples: 30,
    features: 12,
    classes: 2,
    degree: 5,
    initialWeight: 0.0128,
    ring: 1024,
    block: { rows: 32, columns: 16 },
    shards: 1,
    blocks: 1,
  },
  {
    name: 'four iterations with decay',
    samples: 50,
    features: 33,
    classes: 2,
    iterations: 4,
    decay: 0.3,
    ring: 1024,
    shards: 2,
    blocks: 3,
    block: { rows: 32, columns: 16 },
  },
  {
    name: 'high learning rate',
    samples: 30,
    features: 10,
    classes: 2,
    learningRate: 30,
    ring: 2048,
    block: { rows: 64, columns: 16 },
    shards: 1,
    blocks: 1,
  },
  {
    name: 'low learning rate',
    samples: 30,
    features: 10,
    classes: 2,
    iterations: 1,
    learningRate: 1e-4,
    ring: 1024,
    block: { rows: 32, columns: 16 },
    shards: 1,
    blocks: 1,
  },
  {
    name: 'refresh after every iteration, chains of two pairs',
    samples: 25,
    features: 33,
    classes: 5,
    iterations: 5,
    refreshEvery: 1,
    ring: 1024,
    block: { rows: 32, columns: 16 },
    grouping: { pairsPerChain: 2 },
    shards: 1,
    blocks: 3,
  },
  {
    name: 'refresh after two iterations, constant start, a last segment that is shorter, decay',
    samples: 50,
    features: 20,
    classes: 3,
    iterations: 5,
    decay: 0.2,
    refreshEvery: 2,
    initialWeight: 0.0128,
    ring: 1024,
    block: { rows: 32, columns: 16 },
    grouping: { blocksPerTask: 1, shardsPerTask: 1 },
    shards: 2,
    blocks: 2,
  },
  {
    name: 'refresh and a model to predict with',
    samples: 30,
    features: 12,
    classes: 2,
    iterations: 3,
    refreshEvery: 1,
    modelLevel: 1,
    ring: 1024,
    block: { rows: 32, columns: 16 },
    shards: 1,
    blocks: 1,
  },
  {
    name: 'a model to predict with',
    samples: 30,
    features: 12,
    classes: 2,
    modelLevel: 1,
    ring: 1024,
    block: { rows: 32, columns: 16 },
    shards: 1,
    blocks: 1,
  },
  {
    name: 'mini-batches, one shorter than the others, weights of rows',
    samples: 150,
    features: 20,
    classes: 2,
    iterations: 4,
    weighted: true,
    batch: { size: 60, seed: 7 },
    refreshEvery: 2,
    ring: 1024,
    block: { rows: 16, columns: 32 },
    grouping: { shardsPerTask: 2 },
    shards: 10,
    blocks: 1,
  },
  {
    name: 'mini-batches from a constant start',
    samples: 32,
    features: 10,
    classes: 3,
    iterations: 5,
    batch: { size: 16, seed: 1 },
    refreshEvery: 3,
    initialWeight: 0.01,
    ring: 1024,
    block: { rows: 16, columns: 32 },
    shards: 2,
    blocks: 1,
  },
  {
    name: 'turns',
    samples: 100,
    features: 40,
    classes: 3,
    ring: 1024,
    block: { rows: 32, columns: 16, turns: 4 },
    shards: 1,
    blocks: 3,
  },
  {
    name: 'turns of several shards, ragged, constant start',
    samples: 75,
    features: 40,
    classes: 3,
    initialWeight: 0.0128,
    ring: 1024,
    block: { rows: 16, columns: 32, turns: 2 },
    grouping: { blocksPerTask: 1, shardsPerTask: 2 },
    shards: 3,
    blocks: 2,
  },
  {
    name: 'turns, mini-batches, refreshes, degree 5',
    samples: 125,
    features: 20,
    classes: 2,
    iterations: 4,
    degree: 5,
    batch: { size: 50, seed: 3 },
    refreshEvery: 1,
    ring: 1024,
    block: { rows: 16, columns: 32, turns: 4 },
    shards: 3,
    blocks: 1,
  },
  {
    name: 'turns, chains of two pairs, a refresh, decay and weights of rows at 128 bits',
    samples: 300,
    features: 129,
    classes: 4,
    refreshEvery: 1,
    decay: 0.05,
    weighted: true,
    security: '128',
    ring: 16384,
    block: { rows: 64, columns: 128, turns: 4 },
    grouping: { pairsPerChain: 2 },
    shards: 2,
    blocks: 2,
  },
  {
    name: 'the paper’s samples at 128 bits, zero start',
    ...PAPER,
    features: 101,
    classes: 2,
    security: '128',
    ring: 16384,
    block: { rows: 128, columns: 64 },
    shards: 1,
    blocks: 2,
  },
];

const HERE = await nativeBackend.resolveEvaluator();
/**
 * The circuits are the same on either evaluator, and so are the bytes they make (see the tests of compute): the quick
 * one runs them all.
 */
const ON_SEAL = new Set(['constant start, 2 iterations, several shards', 'degree 5']);
const RUNS = CASES.flatMap((each) => {
  const evaluators: nativeBackend.ResolvedEvaluator[] =
    HERE.kind === 'native' && ON_SEAL.has(each.name) ? [HERE, { kind: 'seal', why: 'the test asks for it' }] : [HERE];
  return evaluators.map((evaluator) => ({ ...each, evaluator }));
});

/** Weights of rows by which samples of the first class count nine times as much as others. */
function heavyFirst({ labels, samples }: TrainingSet): Float64Array {
  const first = at(labels, 0, 'classes');
  const weights = first.map((label) => 1 + 8 * label);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => (weight * samples) / sum);
}

describe('training on ciphertexts matches training in the clear', () => {
  for (const { name, shards, blocks, evaluator, weighted = false, ...options } of RUNS) {
    const plan = planOf(options);
    it(`${name} (${plan.parameters.name}), ${nativeBackend.evaluatorName(evaluator)}`, async (t) => {
      const { layout, hyperparameters } = plan;
      assert.deepEqual([layout.shards, layout.blocks], [shards, blocks], 'the layout this case is about');
      using keyset = await openKeyset({ directory: SHARED_KEYS, plan, create: true });
      const random = randomData(options.samples, options.features, options.classes);
      const data = weighted ? { ...random, rowWeights: heavyFirst(random) } : random;
      const clear = training.trainClear(data.x, data.samples, data.features, data.labels, hyperparameters, data);
      const trained = await trainEncryptedLocally(keyset, plan, data, evaluator);
      const error = Math.max(...clear.weights.map((row, k) => largestError(trained.weights[k] ?? [], row)));
      const expected = training.expectedError(plan);
      t.diagnostic(
        `error ${error.toExponential(2)} of ${expected.toExponential(2)}, ${trained.seconds.train.toFixed(2)} s`,
      );
      assert.ok(error < expected, `the error ${error} is above the planner's bound ${expected}`);
      assert.ok(error > 0, 'CKKS is not exact: this was not computed on ciphertexts');
      assert.deepEqual(trained.operations, plan.operations);
      assert.equal(trained.models.length, layout.models);
    });
  }
});
