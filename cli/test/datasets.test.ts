/** Data of programs: rows and labels in memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OwnerError } from '@blindfit/owner';
import { labelled, unlabelled } from '../src/library/datasets.ts';

const isRefused = (message: RegExp) => (error: unknown) =>
  error instanceof OwnerError && error.code === 'OWNER_REQUEST' && message.test(error.message);

test('rows become a data set, labels become text', async () => {
  const data = await labelled({ x: [[1, 2], Float32Array.of(3, 4)], y: [7, 'seven'] });
  assert.deepEqual([data.n, data.d, [...data.features], data.labels], [2, 2, [1, 2, 3, 4], ['7', 'seven']]);
  assert.equal(await labelled(data), data);
  const rows = unlabelled([[5], [6], [7]]);
  assert.deepEqual([rows.n, rows.d, [...rows.features], rows.labels], [3, 1, [5, 6, 7], undefined]);
  assert.equal(unlabelled(rows), rows);
});

test('no rows and rows of other lengths are refused', async () => {
  assert.throws(() => unlabelled([]), isRefused(/^there are no samples$/));
  assert.throws(() => unlabelled([[1, 2], [3]]), isRefused(/^row 1 has 1 features and row 0 has 2$/));
  assert.throws(() => unlabelled([[1], [2], [3, 4]]), isRefused(/^row 2 has 2 features and row 0 has 1$/));
  await assert.rejects(labelled({ x: [[1, 2], [3]], y: ['a', 'b'] }), isRefused(/^row 1 has 1 features/));
  assert.throws(() => unlabelled([[1, NaN]]), /NaN/);
});
