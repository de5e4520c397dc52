import assert from 'node:assert/strict';
import { test } from 'node:test';
import { batchOf, DEFAULT_HYPERPARAMETERS, layoutOf } from '@blindfit/training';
import { countTasks } from '../src/index.ts';

// 300 samples in shards of 128: 3. 401 features in blocks of 64: 7. 10 classes: 5 pairs.
const layout = layoutOf({ rows: 128, columns: 64 }, 300, 401, 10);
const count = (iterations: number, initialWeight: number, blocksPerTask: number, shardsPerTask: number): number =>
  countTasks({
    layout,
    grouping: { blocksPerTask, shardsPerTask, pairsPerChain: 1 },
    hyperparameters: { ...DEFAULT_HYPERPARAMETERS, iterations, initialWeight },
  });

test('tasks of a job: backward of every iteration, forward of all but the first, start scores for a constant start', () => {
  assert.equal(count(1, 0, 7, 3), 5);
  assert.equal(count(1, 0, 1, 1), 5 * 3 * 7);
  assert.equal(count(1, 0, 3, 2), 5 * 2 * 3);
  assert.equal(count(1, 0.0128, 3, 2), 2 + 5 * 2 * 3);
  assert.equal(count(2, 0, 3, 2), 5 * (2 * 2 * 3 + 2));
  assert.equal(count(4, -0.5, 7, 3), 1 + 5 * (4 + 3));
});

test('with mini-batches an iteration takes the tasks of its batch', () => {
  // 300 samples in batches of 200, shards of 128: 2 and 1. Two classes: one pair. The seed decides which batch comes first.
  const batched = layoutOf({ rows: 128, columns: 64 }, 300, 401, 2, 200);
  assert.equal(batched.shards, 3);
  const tasks = (iterations: number, initialWeight: number, seed: number): number =>
    countTasks({
      layout: batched,
      grouping: { blocksPerTask: 4, shardsPerTask: 1, pairsPerChain: 1 },
      hyperparameters: { ...DEFAULT_HYPERPARAMETERS, iterations, initialWeight, batch: { size: 200, seed } },
    });
  const seedThatStartsWith = (batch: number): number =>
    Array.from({ length: 20 }, (_, seed) => seed).find(
      (seed) => batchOf(2, { batch: { size: 200, seed } }, 1) === batch,
    ) ?? -1;
  const [large, small] = [seedThatStartsWith(0), seedThatStartsWith(1)];
  assert.equal(tasks(1, 0, large), 2 * 2);
  assert.equal(tasks(1, 0, small), 1 * 2);
  assert.equal(tasks(1, 0.1, large), 2 + 2 * 2);
  // Backward on two groups of blocks, forward once a shard.
  assert.equal(tasks(2, 0, large), 2 * 2 + 1 * 3);
  assert.equal(tasks(2, 0, small), 1 * 2 + 2 * 3);
  for (const seed of [0, 1, 2]) assert.equal(tasks(4, 0, seed) - tasks(2, 0, seed), 3 * 3, 'an epoch takes all shards');
});
