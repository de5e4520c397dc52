import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { calibratedProbabilities, fitTemperature, logLoss, TEMPERATURE_RANGE } from '../src/index.ts';
import { isDatasetError, randomIntegers } from './support.ts';

const SCORES = Float64Array.of(0.2, 0.1, -0.3, 0.4, 0.5, 0.1, -0.2, 0.3, 0.05, 0.1, 0, 0.25, 0.3, -0.1, 0.2);
const ACTUAL = [0, 0, 1, 2, 0];

suite('fitTemperature', () => {
  test('is the minimum that a golden-section search finds', () => {
    const temperature = fitTemperature(SCORES, ACTUAL);
    assert.ok(Math.abs(temperature - 0.13665012) < 1e-7, String(temperature));
  });
  test('follows the scale of the scores, and ignores what all classes of a sample share', () => {
    const expected = fitTemperature(SCORES, ACTUAL);
    for (const factor of [1e-3, 30, 1e3]) {
      const found = fitTemperature(
        SCORES.map((score, at) => factor * (score + Math.floor(at / 3))),
        ACTUAL,
      );
      assert.ok(Math.abs(found / factor / expected - 1) < 1e-9, `${factor}: ${found}`);
    }
  });
  test('has less log-loss than its neighbours where the samples are many', () => {
    const random = randomIntegers(7);
    const actual = Int32Array.from({ length: 3000 }, () => random(3));
    const z = Float64Array.from({ length: 9000 }, (_, at) => {
      const own = at % 3 === actual[Math.floor(at / 3)] ? 1 : 0;
      return 0.01 * (own + (2 * random(1000)) / 1000);
    });
    const temperature = fitTemperature(z, actual);
    const loss = (t: number): number => logLoss(calibratedProbabilities(z, 3, t), actual, 3);
    for (const factor of [0.98, 1.02]) assert.ok(loss(temperature) < loss(factor * temperature));
  });
  test('stays sober for scores that are all right, the more so the fewer they are', () => {
    const right = (n: number): number =>
      fitTemperature(
        Float64Array.from({ length: 2 * n }, (_, at) => (at % 2 === 0 ? 1 : -1)),
        Array<number>(n).fill(0),
      );
    // The extra sample is half wrong: p = 1 - 1 / (2 (n + 1)), and the margin of the scores is 2.
    for (const n of [1, 10, 1000]) assert.ok(Math.abs(right(n) - 2 / Math.log(2 * n + 1)) < 1e-9, String(right(n)));
  });
  test('has ends', () => {
    const [low, high] = TEMPERATURE_RANGE;
    assert.deepEqual([low, high], [1e-4, 1e4]);
    assert.equal(fitTemperature(Float64Array.of(-1, 1, -1, 1), [0, 0]), high);
    assert.equal(fitTemperature(new Float64Array(4), [0, 1]), high);
    assert.equal(
      fitTemperature(
        SCORES.map((score) => 1e-5 * score),
        ACTUAL,
      ),
      low,
    );
  });
  test('refuses what does not fit together', () => {
    const bad = (message: RegExp) => isDatasetError({ code: 'bad-shape', message });
    assert.throws(() => fitTemperature(SCORES, [0, 1]), bad(/15 scores .* 2 labels/));
    assert.throws(() => fitTemperature(SCORES, []), bad(/0 labels/));
    assert.throws(() => fitTemperature(Float64Array.of(1), [0]), bad(/1 scores/));
    for (const label of [-1, 3, 0.5]) assert.throws(() => fitTemperature(SCORES, [0, 0, 1, 2, label]), bad(/sample 4/));
  });
});

suite('calibratedProbabilities', () => {
  test('are the softmax of each row over the temperature', () => {
    const found = calibratedProbabilities(Float64Array.of(1, 2, 3, 0, 0, Math.log(4)), 3, 2);
    const parts = [0.5, 1, 1.5].map(Math.exp);
    const sum = parts.reduce((a, b) => a + b);
    [...parts.map((part) => part / sum), 0.25, 0.25, 0.5].forEach((value, at) =>
      assert.ok(Math.abs(found[at]! - value) < 1e-15, `${at}: ${found[at]}`),
    );
  });
  test('do not overflow', () =>
    assert.deepEqual([...calibratedProbabilities(Float64Array.of(1e6, -1e6, -1e6, -1e6), 2, 1e-4)], [1, 0, 0.5, 0.5]));
});
