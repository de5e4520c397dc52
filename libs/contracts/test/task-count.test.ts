import assert from 'node:assert/strict';
import { test } from 'node:test';

import { DEFAULT_HYPERPARAMETERS, layoutOf } from '@blindfit/he';

import { countTasks } from '../src/index.ts';

// 300 samples in shards of 128: 3. 401 features in blocks of 64: 7. 10 classes: 5 pairs.
const layout = layoutOf({ rows: 128, columns: 64 }, 300, 401, 10);
const count = (iterations: number, initialWeight: number, blocksPerTask: number, shardsPerTask: number): number =>
  countTasks({ layout, grouping: { blocksPerTask, shardsPerTask, pairsPerChain: 1 }, hyperparameters: { ...DEFAULT_HYPERPARAMETERS, iterations, initialWeight } });

test('tasks of a job: backward of every iteration, forward of all but the first, start scores for a constant start', () => {
  assert.equal(count(1, 0, 7, 3), 5);
  assert.equal(count(1, 0, 1, 1), 5 * 3 * 7);
  assert.equal(count(1, 0, 3, 2), 5 * 2 * 3);
  assert.equal(count(1, 0.0128, 3, 2), 2 + 5 * 2 * 3);
  assert.equal(count(2, 0, 3, 2), 5 * (2 * 2 * 3 + 2));
  assert.equal(count(4, -0.5, 7, 3), 1 + 5 * (4 + 3));
});
