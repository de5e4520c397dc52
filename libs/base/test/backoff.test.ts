import assert from 'node:assert/strict';
import { it } from 'node:test';
import { backoffMs } from '@blindfit/base';

it('doubles with every failure up to a limit, half of it at random', (t) => {
  const random = t.mock.method(Math, 'random', () => 1);
  const pauses = (failures: number[]): number[] => failures.map((count) => backoffMs(count, 100, 5000));
  assert.deepEqual(pauses([1, 2, 3, 6, 7, 2000]), [100, 200, 400, 3200, 5000, 5000]);
  random.mock.mockImplementation(() => 0);
  assert.deepEqual(pauses([1, 2, 3, 6, 7, 2000]), [50, 100, 200, 1600, 2500, 2500]);
});
