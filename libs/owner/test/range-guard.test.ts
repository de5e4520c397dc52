import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDataset, type LabelledDataset } from '@blindfit/data';
import { DEFAULT_HYPERPARAMETERS, fitSigmoid, trainClear, type Hyperparameters } from '@blindfit/training';
import { findFixes, guardRanges } from '../src/flow/range-guard.ts';
import { OwnerError, prepareData } from '../src/index.ts';

/** What the encrypted model of every plan holds. */
const PRODUCT = { maxWeight: 32 };
/** Proposals do not depend on how busy the machine is. */
const NO_HURRY = 120_000;

/** 128 samples of 20 features around ten centres. */
function clouds(samples: number, shift: number): LabelledDataset {
  let state = 7 + shift;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  const rows = Array.from({ length: samples }, (_, i) =>
    Array.from({ length: 20 }, (_unused, j) => 2 * random() + (j % 10 === i % 10 ? 1.5 : 0)),
  );
  return createDataset(
    Float64Array.from(rows.flat()),
    20,
    rows.map((_, i) => String(i % 10)),
  );
}

const data = prepareData({ training: clouds(128, 0), validation: clouds(100, 1), preprocessing: 'standardize' });
const train = (hyperparameters: Hyperparameters): ReturnType<typeof trainClear> =>
  trainClear(data.set.x, data.shape.samples, data.shape.features, data.set.labels, hyperparameters);
const guard = (
  changes: Partial<ReturnType<typeof trainClear>>,
  hyperparameters = DEFAULT_HYPERPARAMETERS,
): string[] => {
  const lines: string[] = [];
  const clear = { ...train(hyperparameters), ...changes };
  guardRanges(clear, PRODUCT, data, hyperparameters, (line) => lines.push(line), 0);
  return lines;
};

test('a run that stays in range passes without a word', () => {
  assert.deepEqual(guard({}), []);
});

test('weights up to the limit pass, and the limit itself does not', () => {
  assert.deepEqual(guard({ maxWeight: 31.999 }), []);
  for (const [maxWeight, shown] of [
    [32, '32.0'],
    [32.01, '32.0'],
    [100, '100'],
    [NaN, 'infinity'],
  ] as const)
    assert.throws(
      () => guard({ maxWeight }),
      (error) =>
        error instanceof OwnerError &&
        error.code === 'OWNER' &&
        error.message === `training diverges: weights would reach ${shown}, and the encrypted model holds |w| < 32` &&
        /no wider `sigmoidRange` and no lower `learningRate` was found/.test(error.hint ?? ''),
    );
});

test('scores pass as far as the polynomial is near the sigmoid, and those beyond are warned of', () => {
  // 0.5 + 0.1068 z - 0.000385 z^3 is 0.35 below the sigmoid at 15.9.
  assert.deepEqual(guard({ maxLogit: 15.8 }), []);
  const [warning, hint, ...more] = guard({ maxLogit: 16 });
  assert.match(
    warning ?? '',
    /^warning: scores reach 16\.0, outside the sigmoid polynomial's range of 8, where the gradient is wrong; this run gives \d+\.\d\d % of the held-out samples in the clear$/,
  );
  assert.match(hint ?? '', /^hint: no wider/);
  assert.deepEqual(more, []);
  assert.equal(guard({ maxLogit: NaN }).length, 2, 'NaN is out of range');
});

test('proposals keep the job that is run with them in range', () => {
  const hyperparameters = { ...DEFAULT_HYPERPARAMETERS, iterations: 30, learningRate: 1.5 };
  const clear = train(hyperparameters);
  assert.ok(clear.maxLogit > 8, `${clear.maxLogit}`);
  const fixes = findFixes(clear, PRODUCT, data, hyperparameters, NO_HURRY);
  assert.deepEqual(
    fixes.map(({ choice }) => choice.split(' ')[0]),
    ['`sigmoidRange`', '`learningRate`'],
  );
  const [range, rate] = fixes.map(({ choice }) => Number(choice.split(' ')[1]));
  assert.ok(range !== undefined && rate !== undefined);
  const widened = train({ ...hyperparameters, sigmoid: fitSigmoid(3, range) });
  assert.ok(widened.maxLogit * 1.02 <= range && range < 64, `${widened.maxLogit} within ${range}`);
  const slowed = train({ ...hyperparameters, learningRate: rate });
  assert.ok(slowed.maxLogit * 1.02 <= 8 && rate < 4, `${slowed.maxLogit} within 8`);
  assert.ok(widened.maxWeight * 1.02 < 32 && slowed.maxWeight * 1.02 < 32);
});

test('without time there are no proposals', () => {
  const hyperparameters = { ...DEFAULT_HYPERPARAMETERS, iterations: 30, learningRate: 1.5 };
  assert.deepEqual(findFixes(train(hyperparameters), PRODUCT, data, hyperparameters, 0), []);
});

test('a limit that no choice can meet has no proposals', () => {
  const hyperparameters = DEFAULT_HYPERPARAMETERS;
  assert.deepEqual(findFixes(train(hyperparameters), { maxWeight: 1e-9 }, data, hyperparameters, NO_HURRY), []);
});

test('no proposal is begun after the time is over', (t) => {
  const hyperparameters = { ...DEFAULT_HYPERPARAMETERS, iterations: 30, learningRate: 1.5 };
  const clear = train(hyperparameters);
  let now = 0;
  t.mock.method(performance, 'now', () => (now += 1000));
  // The first look at the clock is the start, the second one begins a range, and the third comes too late.
  const fixes = findFixes(clear, PRODUCT, data, hyperparameters, 1_500);
  assert.ok(now <= 4_000 && fixes.every(({ choice }) => choice.startsWith('`sigmoidRange`')), `${now} ms`);
});
