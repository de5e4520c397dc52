import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import {
  accuracy,
  argmaxScores,
  classProbabilities,
  confusionMatrix,
  logLikelihoodLoss,
  scores,
} from '../src/index.ts';
import { isDatasetError, type ExpectedError } from './support.ts';

suite('scores and argmaxScores', () => {
  const weights = [[1, 2, 0], Float64Array.of(0, 0, 3)];
  const x = Float64Array.of(1, 1, 1, /**/ 1, 4, -1, /**/ 1, -2, -1, /**/ 1, 1.5, 4 / 3);
  test('are X W^T and its largest column, the first of equals', () => {
    assert.deepEqual([...scores(weights, x)], [3, 3, 9, -3, -3, -3, 4, 4]);
    assert.deepEqual([...argmaxScores(weights, x)], [0, 0, 0, 0]);
    assert.deepEqual([...argmaxScores([...weights, [2.5, 0, 1]], x)], [2, 0, 2, 0]);
  });

  const bad: ({ name: string; weights: number[][]; x: number[] } & ExpectedError)[] = [
    { name: 'no classes', weights: [], x: [1], code: 'bad-shape', message: /at least one class/ },
    {
      name: 'ragged weights',
      weights: [[1, 2], [3]],
      x: [1, 2],
      code: 'bad-shape',
      message: /class 1 have 1 columns, those of class 0 have 2/,
    },
    {
      name: 'half a sample',
      weights: [[1, 2]],
      x: [1, 2, 3],
      code: 'bad-shape',
      message: /3 values do not make whole samples/,
    },
    { name: 'no samples', weights: [[1, 2]], x: [], code: 'bad-shape', message: /0 values/ },
    { name: 'NaN weights', weights: [[1], [NaN]], x: [1], code: 'not-finite', message: /sample 0 for class 1 is NaN/ },
    { name: 'overflow', weights: [[1e300, 1e300]], x: [1, 1e10], code: 'not-finite', message: /is Infinity/ },
  ];
  for (const { name, weights: rows, x: values, ...expected } of bad) {
    test(`refuse ${name}`, () =>
      assert.throws(() => argmaxScores(rows, Float64Array.from(values)), isDatasetError(expected)));
  }
});

suite('accuracy and confusionMatrix', () => {
  const table: { predicted: number[]; actual: number[]; accuracy: number; confusion: number[][] }[] = [
    {
      predicted: [0],
      actual: [0],
      accuracy: 1,
      confusion: [
        [1, 0, 0],
        [0, 0, 0],
        [0, 0, 0],
      ],
    },
    {
      predicted: [1, 1],
      actual: [0, 2],
      accuracy: 0,
      confusion: [
        [0, 1, 0],
        [0, 0, 0],
        [0, 1, 0],
      ],
    },
    {
      predicted: [0, 1, 2, 2],
      actual: [0, 1, 2, 1],
      accuracy: 0.75,
      confusion: [
        [1, 0, 0],
        [0, 1, 1],
        [0, 0, 1],
      ],
    },
  ];
  for (const row of table) {
    test(`${row.predicted.join()} for ${row.actual.join()}`, () => {
      assert.equal(accuracy(row.predicted, row.actual), row.accuracy);
      assert.deepEqual(confusionMatrix(Int32Array.from(row.predicted), row.actual, 3), row.confusion);
    });
  }
  const shape = (message: RegExp) => isDatasetError({ code: 'bad-shape', message });
  test('refuse different lengths, nothing, and indices out of range', () => {
    assert.throws(() => accuracy([1], [1, 2]), shape(/lengths 1 and 2/));
    assert.throws(() => accuracy([], []), shape(/not 0/));
    assert.throws(() => confusionMatrix([0], [], 2), shape(/lengths 1 and 0/));
    for (const index of [-1, 2, 0.5, NaN]) {
      assert.throws(() => confusionMatrix([0, index], [0, 0], 2), shape(/sample 1/));
      assert.throws(() => confusionMatrix([0, 0], [0, index], 2), shape(/sample 1/));
    }
  });
});

suite('logLikelihoodLoss', () => {
  const sigmoid = (z: number): number => 1 / (1 + Math.exp(-z));
  test('is its definition where that can be computed', () => {
    const z = Float64Array.of(0.3, -2, 5, 1, 0, -0.7);
    const y = Float64Array.of(1, 0, 0, 0, 1, 0);
    const direct = z.reduce((sum, score, at) => sum - Math.log(y[at] === 1 ? sigmoid(score) : 1 - sigmoid(score)), 0);
    assert.ok(Math.abs(logLikelihoodLoss(z, y, 3) - direct / 2) < 1e-12);
  });
  const table: { name: string; z: number[]; y: number[]; c: number; expected: number }[] = [
    { name: 'c ln 2 for zero weights', z: [0, 0, 0, 0], y: [1, 0, 0, 1], c: 2, expected: 2 * Math.LN2 },
    { name: '0 for certainty', z: [800, -800], y: [1, 0], c: 2, expected: 0 },
    { name: 'finite for certainty of the wrong', z: [-800, 800], y: [1, 0], c: 2, expected: 1600 },
    { name: 'finite at the edge of a double', z: [-1e308], y: [1], c: 1, expected: 1e308 },
  ];
  for (const { name, z, y, c, expected } of table) {
    test(name, () => {
      const loss = logLikelihoodLoss(Float64Array.from(z), Float64Array.from(y), c);
      assert.ok(Math.abs(loss - expected) <= 1e-12 * expected, `${loss}, not ${expected}`);
    });
  }
  test('refuses shapes that do not fit', () => {
    const one = Float64Array.of(1, 2, 3);
    assert.throws(
      () => logLikelihoodLoss(one, one, 2),
      isDatasetError({ code: 'bad-shape', message: /3 scores .* rows of 2/ }),
    );
    assert.throws(
      () => logLikelihoodLoss(one, Float64Array.of(1), 1),
      isDatasetError({ code: 'bad-shape', message: /lengths 3 and 1/ }),
    );
  });
});

suite('classProbabilities', () => {
  const near = (found: Float64Array, expected: number[]): void =>
    found.forEach((value, at) => assert.ok(Math.abs(value - expected[at]!) < 1e-12, `${at}: ${value}`));
  test('are the sigmoids of each row, normalised', () => {
    const s = (z: number): number => 1 / (1 + Math.exp(-z));
    const sum = s(1) + s(-2) + s(0.5);
    near(classProbabilities(Float64Array.of(1, -2, 0.5, 0, 0, 0), 3), [
      s(1) / sum,
      s(-2) / sum,
      s(0.5) / sum,
      1 / 3,
      1 / 3,
      1 / 3,
    ]);
  });
  test('have no range', () => {
    near(classProbabilities(Float64Array.of(-1e3, -1001, 1e3, -1e3, 1e300, 1e300), 2), [
      1 / (1 + Math.exp(-1)),
      1 / (1 + Math.E),
      1,
      0,
      0.5,
      0.5,
    ]);
  });
});
