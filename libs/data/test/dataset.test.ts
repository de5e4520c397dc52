import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { createDataset, withBias, withLabels } from '../src/index.ts';
import { isDatasetError, type ExpectedError } from './support.ts';

suite('createDataset', () => {
  test('keeps features, copies and freezes labels', () => {
    const features = Float64Array.of(1, 2, 3, 4, 5, 6);
    const labels = ['a', 'b'];
    const data = createDataset(features, 3, labels);
    labels[0] = 'changed';
    assert.equal(data.features, features);
    assert.deepEqual([data.n, data.d, data.labels], [2, 3, ['a', 'b']]);
    assert.ok(Object.isFrozen(data) && Object.isFrozen(data.labels));
  });
  test('does without labels', () => assert.equal(createDataset(Float64Array.of(1), 1).labels, undefined));

  const bad: ({ name: string; features: number[]; d: number; labels?: string[] } & ExpectedError)[] = [
    { name: 'no values', features: [], d: 1, code: 'empty', message: /at least one sample/ },
    { name: 'no features', features: [1], d: 0, code: 'bad-shape', message: /at least 1; got 0/ },
    { name: 'half a feature', features: [1], d: 0.5, code: 'bad-shape', message: /got 0.5/ },
    {
      name: 'half a row',
      features: [1, 2, 3],
      d: 2,
      code: 'bad-shape',
      message: /3 values do not make whole rows of 2/,
    },
    { name: 'NaN', features: [1, 2, 3, NaN], d: 2, code: 'not-finite', message: /sample 1, feature 1 .* is NaN/ },
    {
      name: 'infinity',
      features: [1, 2, -Infinity, 4],
      d: 2,
      code: 'not-finite',
      message: /sample 1, feature 0 .* is -Infinity/,
    },
    {
      name: 'too few labels',
      features: [1, 2],
      d: 1,
      labels: ['a'],
      code: 'bad-shape',
      message: /2 samples but 1 labels/,
    },
  ];
  for (const { name, features, d, labels, ...expected } of bad) {
    test(`refuses ${name}`, () =>
      assert.throws(() => createDataset(Float64Array.from(features), d, labels), isDatasetError(expected)));
  }
});

test('withLabels shares the features and counts the labels', () => {
  const data = createDataset(Float64Array.of(1, 2), 1);
  assert.equal(withLabels(data, ['a', 'b']).features, data.features);
  assert.throws(
    () => withLabels(data, ['a', 'b', 'c']),
    isDatasetError({ code: 'bad-shape', message: /2 samples but 3 labels/ }),
  );
});

suite('withBias', () => {
  const table: { d: number; features: number[]; expected: number[] }[] = [
    { d: 1, features: [7], expected: [1, 7] },
    { d: 1, features: [7, 8], expected: [1, 7, 1, 8] },
    { d: 3, features: [1, 2, 3, 4, 5, 6], expected: [1, 1, 2, 3, 1, 4, 5, 6] },
  ];
  for (const { d, features, expected } of table) {
    test(`${features.length / d} x ${d}`, () => {
      assert.deepEqual([...withBias(createDataset(Float64Array.from(features), d))], expected);
    });
  }
});
