import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import {
  argmaxScores,
  calibratedProbabilities,
  createDataset,
  scores,
  softmaxRegression,
  withBias,
} from '../src/index.ts';
import { isDatasetError, randomIntegers } from './support.ts';

const FEATURES = [0.5, -1.2, 1.5, 0.3, -0.7, 0.8, -1.1, -0.4, 0.2, 1.6, -0.9, 0.1, 1.1, -0.9];
const LABELS = [0, 0, 1, 2, 1, 2, 1];
const X = withBias(createDataset(Float64Array.from(FEATURES), 2));

suite('softmaxRegression', () => {
  // From Newton's method with the full Hessian in NumPy.
  const table = [
    {
      l2: 1,
      expected: [
        [-0.219852723636, 0.702537380591, -0.237688486538],
        [0.393886917906, 0.191421749353, 0.46163556829],
        [-0.17403419427, -0.893959129944, -0.223947081752],
      ],
    },
    {
      l2: 0.1,
      expected: [
        [-0.153211040631, 1.766488765658, 0.037138147242],
        [0.934317298137, 0.695598291195, 0.868112868822],
        [-0.781106257506, -2.462087056853, -0.905251016064],
      ],
    },
  ];
  for (const { l2, expected } of table) {
    test(`finds the minimum for l2 ${l2}`, () => {
      const weights = softmaxRegression(X, LABELS, 3, { l2 });
      expected.forEach((row, k) =>
        row.forEach((value, j) => assert.ok(Math.abs(weights[k]![j]! - value) < 2e-5, `${k},${j}: ${weights[k]![j]}`)),
      );
    });
  }
  test('has a penalty of 1 by default', () =>
    assert.deepEqual(softmaxRegression(X, LABELS, 3), softmaxRegression(X, LABELS, 3, { l2: 1 })));
  test('gives a class without samples the least score', () => {
    const weights = softmaxRegression(X, LABELS, 4);
    assert.equal(weights.length, 4);
    assert.ok([...argmaxScores(weights, X)].every((k) => k < 3));
  });
  test('stops after the iterations allowed', () => {
    const once = softmaxRegression(X, LABELS, 3, { maxIterations: 1 });
    assert.deepEqual(
      softmaxRegression(X, LABELS, 3, { maxIterations: 0 }).map((row) => Array.from(row)),
      Array(3).fill([0, 0, 0]),
    );
    assert.notDeepEqual(once, softmaxRegression(X, LABELS, 3));
  });
  test('ends where the gradient is 0, at the same place each time', () => {
    const random = randomIntegers(5);
    const [n, d, c] = [200, 8, 4];
    const actual = Int32Array.from({ length: n }, () => random(c));
    const x = new Float64Array(n * (d + 1)).map((_, at) => {
      const [i, j] = [Math.floor(at / (d + 1)), at % (d + 1)];
      return j === 0 ? 1 : (random(1000) / 500 - 1 + (j === actual[i]! + 1 ? 1 : 0)) * 3 ** (j % 3);
    });
    const weights = softmaxRegression(x, actual, c);
    const probabilities = calibratedProbabilities(scores(weights, x), c, 1);
    weights.forEach((row, k) =>
      Array.from(row).forEach((weight, j) => {
        const gradient = actual.reduce(
          (sum, label, i) => sum + (probabilities[i * c + k]! - (label === k ? 1 : 0)) * x[i * (d + 1) + j]!,
          j === 0 ? 0 : weight,
        );
        assert.ok(Math.abs(gradient) < 1.001e-6 * n, `${k},${j}: ${gradient}`);
      }),
    );
    assert.deepEqual(softmaxRegression(x, actual, c), weights);
  });
  test('refuses what does not fit together', () => {
    const bad = (message: RegExp) => isDatasetError({ code: 'bad-shape', message });
    assert.throws(() => softmaxRegression(X, [0, 1, 2, 0], 3), bad(/21 values do not make whole rows for 4 labels/));
    assert.throws(() => softmaxRegression(X, [], 3), bad(/0 labels/));
    assert.throws(() => softmaxRegression(new Float64Array(), [0], 3), bad(/0 values/));
    for (const label of [-1, 3, 0.5])
      assert.throws(() => softmaxRegression(X, [...LABELS.slice(1), label], 3), bad(/sample 6 has class/));
    for (const l2 of [-1, NaN, Infinity])
      assert.throws(
        () => softmaxRegression(X, LABELS, 3, { l2 }),
        isDatasetError({ code: 'bad-argument', message: /l2/ }),
      );
  });
});
