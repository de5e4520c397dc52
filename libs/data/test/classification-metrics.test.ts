import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { classificationMetrics, logLoss, metricsOf, worstConfusions } from '../src/index.ts';
import { isDatasetError } from './support.ts';

suite('classificationMetrics', () => {
  test('are those worked out by hand', () => {
    // Class 0: 3 of 4 found, 3 of 5 predictions right. Class 1: 1 of 3 and 1 of 2. Class 2: 2 of 2 and 2 of 2.
    const actual = [0, 0, 0, 0, 1, 1, 1, 2, 2];
    const predicted = [0, 0, 0, 1, 0, 0, 1, 2, 2];
    const metrics = classificationMetrics(predicted, actual, 3);
    assert.deepEqual(metrics.classes, [
      { support: 4, predicted: 5, precision: 3 / 5, recall: 3 / 4, f1: 6 / 9 },
      { support: 3, predicted: 2, precision: 1 / 2, recall: 1 / 3, f1: 2 / 5 },
      { support: 2, predicted: 2, precision: 1, recall: 1, f1: 1 },
    ]);
    assert.equal(metrics.samples, 9);
    assert.equal(metrics.accuracy, 6 / 9);
    assert.ok(Math.abs(metrics.balancedAccuracy - 25 / 36) < 1e-15);
    assert.ok(Math.abs(metrics.macroF1 - (2 / 3 + 2 / 5 + 1) / 3) < 1e-15);
    assert.equal(metrics.majority, 4 / 9);
    assert.deepEqual(metrics.confusion, [
      [3, 1, 0],
      [2, 1, 0],
      [0, 0, 2],
    ]);
  });
  test('leave out what there is nothing of', () => {
    // Class 1 is never predicted, class 2 has no samples but a prediction, class 3 has neither.
    const metrics = classificationMetrics([0, 0, 2], [0, 1, 1], 4);
    assert.deepEqual(metrics.classes, [
      { support: 1, predicted: 2, precision: 1 / 2, recall: 1, f1: 2 / 3 },
      { support: 2, predicted: 0, precision: undefined, recall: 0, f1: 0 },
      { support: 0, predicted: 1, precision: 0, recall: undefined, f1: 0 },
      { support: 0, predicted: 0, precision: undefined, recall: undefined, f1: undefined },
    ]);
    assert.equal(metrics.balancedAccuracy, 1 / 2);
    assert.ok(Math.abs(metrics.macroF1 - 2 / 9) < 1e-15);
    assert.equal(metrics.majority, 2 / 3);
  });
  // Gained: right where the majority is wrong; lost: wrong where the majority is right.
  const noise: { name: string; confusion: number[][]; expected: boolean }[] = [
    { name: 'the majority itself', confusion: [[95, 0], [5, 0]], expected: true }, // prettier-ignore
    { name: '4 gained, none lost: 4 is 2 errors', confusion: [[90, 0], [6, 4]], expected: true }, // prettier-ignore
    { name: '5 gained, none lost', confusion: [[90, 0], [5, 5]], expected: false }, // prettier-ignore
    { name: '16 gained and 8 lost', confusion: [[80, 8], [0, 16]], expected: true }, // prettier-ignore
    { name: '20 gained and 8 lost', confusion: [[80, 8], [0, 20]], expected: false }, // prettier-ignore
    { name: 'worse than the majority', confusion: [[0, 60], [40, 0]], expected: true }, // prettier-ignore
    { name: 'the second class as the majority', confusion: [[5, 5], [0, 90]], expected: false }, // prettier-ignore
  ];
  for (const { name, confusion, expected } of noise)
    test(`within noise: ${name}`, () => assert.equal(metricsOf(confusion).withinNoise, expected));
  test('refuse lengths that differ', () =>
    assert.throws(
      () => classificationMetrics([0], [0, 1], 2),
      isDatasetError({ code: 'bad-shape', message: /lengths/ }),
    ));
});

suite('logLoss', () => {
  test('is the mean of the logarithms', () => {
    const found = logLoss(Float64Array.of(0.5, 0.5, 0.9, 0.1, 0.2, 0.8), [0, 1, 1], 2);
    assert.ok(Math.abs(found + Math.log(0.5 * 0.1 * 0.8) / 3) < 1e-15);
  });
  test('is finite for certainty of the wrong, 0 for that of the right', () => {
    assert.equal(logLoss(Float64Array.of(1, 0), [1], 2), 52 * Math.LN2);
    assert.equal(logLoss(Float64Array.of(1, 0), [0], 2), 0);
  });
  test('refuses what does not fit together', () => {
    const bad = isDatasetError({ code: 'bad-shape', message: /probabilities|sample 0/ });
    assert.throws(() => logLoss(Float64Array.of(1, 0), [0, 0], 2), bad);
    assert.throws(() => logLoss(new Float64Array(), [], 2), bad);
    assert.throws(() => logLoss(Float64Array.of(1, 0), [2], 2), bad);
    assert.throws(() => logLoss(Float64Array.of(1, 0), [-1], 2), bad);
  });
});

test('worstConfusions are the most frequent ones, without what is right', () => {
  const confusion = [
    [9, 0, 2],
    [2, 5, 1],
    [4, 0, 6],
  ];
  assert.deepEqual(worstConfusions(confusion, 3), [
    { actual: 2, predicted: 0, samples: 4, share: 0.4 },
    { actual: 0, predicted: 2, samples: 2, share: 2 / 11 },
    { actual: 1, predicted: 0, samples: 2, share: 1 / 4 },
  ]);
  assert.equal(worstConfusions(confusion, 9).length, 4);
});
