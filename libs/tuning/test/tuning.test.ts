/** How to train is chosen inside the training data: folds, paths, step sizes, and what comes of them. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import {
  balancedWeights,
  createDataset,
  DatasetError,
  randomFrom,
  spellingOf,
  withBias,
  type LabelledDataset,
} from '@blindfit/data';
import { fitSigmoid, PAPER_SIGMOID, trainClear } from '@blindfit/training';
import { tryOut } from '../src/candidate.ts';
import { Costs } from '../src/cost.ts';
import { stratifiedFolds, stratifiedSample } from '../src/folds.ts';
import { chooseSettings, parseExpansion, type Settings, type TuningRequest } from '../src/index.ts';
import { judge, valueOf } from '../src/judge.ts';
import { walk } from '../src/path.ts';
import { prepare, rowsAt } from '../src/prepare.ts';
import { steepestRate } from '../src/step-size.ts';

/** Two rings around each other: no straight line parts them. */
function rings(n: number): LabelledDataset {
  const random = randomFrom(3);
  const labels: string[] = [];
  const values = Float64Array.from({ length: 2 * n });
  for (let i = 0; i < n; i++) {
    const [angle, inner] = [2 * Math.PI * random(), i % 2 === 0];
    const radius = (inner ? 1 : 2) + 0.3 * random();
    values.set([radius * Math.cos(angle), radius * Math.sin(angle)], 2 * i);
    labels.push(inner ? 'inner' : 'outer');
  }
  return createDataset(values, 2, labels);
}

const REQUEST = { metric: 'accuracy', budget: 'balanced' } as const satisfies Partial<TuningRequest>;
const data = rings(120);
const choose = (more: Partial<TuningRequest> = {}) => chooseSettings({ training: data, ...REQUEST, ...more });

suite('folds', () => {
  const actual = Int32Array.from({ length: 53 }, (_, i) => (i % 10 === 0 ? 1 : 0));

  test('every sample is held out once, and every fold has its part of a rare class', () => {
    const folds = stratifiedFolds(actual, 5, 1);
    const heldOut = folds.flatMap((fold) => [...fold.heldOut]);
    assert.deepEqual(
      heldOut.sort((a, b) => a - b),
      Array.from(actual.keys()),
    );
    for (const fold of folds) {
      assert.equal(fold.training.length + fold.heldOut.length, 53);
      assert.ok(fold.training.every((row) => !fold.heldOut.includes(row)));
      const rare = fold.heldOut.filter((row) => actual[row] === 1).length;
      assert.ok(rare === 1 || rare === 2, `${rare} rare samples`);
    }
    assert.deepEqual(folds, stratifiedFolds(actual, 5, 1));
    assert.notDeepEqual(folds, stratifiedFolds(actual, 5, 2));
  });

  test('a sample keeps the parts of the classes, and one row of each at least', () => {
    const rows = stratifiedSample(actual, 10, 1);
    assert.deepEqual([...rows], [...rows].sort((a, b) => a - b)); // prettier-ignore
    assert.deepEqual([rows.length, rows.filter((row) => actual[row] === 1).length], [10, 1]);
    assert.equal(stratifiedSample(actual, 2, 1).filter((row) => actual[row] === 1).length, 1);
    assert.deepEqual([...stratifiedSample(actual, 53, 1)], [...actual.keys()]);
  });
});

suite('a path', () => {
  const x = withBias(createDataset(data.features, 2));
  const actual = Int32Array.from(data.labels, (label) => (label === 'inner' ? 0 : 1));
  const rows = { x, n: data.n, d: 3, actual };

  for (const sigmoid of [PAPER_SIGMOID, fitSigmoid(5, 12), fitSigmoid(1, 4)])
    test(`is that of the clear twin, degree ${sigmoid.degree}`, () => {
      const labels = [0, 1].map((k) => Float64Array.from(actual, (label) => (label === k ? 1 : 0)));
      const hyperparameters = { iterations: 7, learningRate: 1.7, initialWeight: 0, sigmoid };
      const twin = trainClear(x, data.n, 3, labels, hyperparameters);
      const looks = walk({ training: rows, heldOut: rows, classes: 2, learningRate: 1.7, sigmoid, looks: [3, 7] });
      assert.deepEqual(
        looks.map(({ iteration }) => iteration),
        [3, 7],
      );
      for (const look of looks) {
        const weights = twin.history[look.iteration - 1]!;
        look.scores.forEach((score, position) => {
          const [i, k] = [position >> 1, position & 1];
          const expected = weights[k]!.reduce((sum, value, j) => sum + value * x[i * 3 + j]!, 0);
          assert.ok(Math.abs(score - expected) < 1e-12, `${look.iteration}: ${score} ${expected}`);
        });
      }
      assert.ok(Math.abs(looks[1]!.maxLogit - twin.maxLogit) < 1e-12);
      assert.ok(Math.abs(looks[1]!.maxWeight - twin.maxWeight) < 1e-12);
    });

  test('decay and weights of rows are those of the clear twin', () => {
    const labels = [0, 1].map((k) => Float64Array.from(actual, (label) => (label === k ? 1 : 0)));
    const rowWeights = Float64Array.from(actual, (_, i) => 0.5 + (i % 3) / 2);
    const hyperparameters = { iterations: 5, learningRate: 1, initialWeight: 0, sigmoid: PAPER_SIGMOID, decay: 0.05 };
    const twin = trainClear(x, data.n, 3, labels, hyperparameters, { rowWeights });
    const request = { training: rows, heldOut: rows, classes: 2, learningRate: 1, sigmoid: PAPER_SIGMOID, looks: [5] };
    const [look] = walk({ ...request, decay: 0.05, rowWeights });
    assert.ok(Math.abs(look!.maxWeight - twin.maxWeight) < 1e-12);
    assert.ok(Math.abs(look!.maxLogit - twin.maxLogit) < 1e-12);
    assert.notEqual(walk(request)[0]!.maxWeight, look!.maxWeight);
  });

  test('with balanced classes, rows are weighed by the classes of the fold', () => {
    const few = Int32Array.from(actual, (_, i) => (i % 7 === 0 ? 1 : 0));
    const prepared = prepare('standardize', data, few);
    const [fold, ...others] = stratifiedFolds(few, 3, 1);
    assert.equal(others.length, 2);
    const trial = { prepared, sigmoid: PAPER_SIGMOID, learningRate: 1, looks: [4], balanced: true };
    const [training, heldOut] = [rowsAt(prepared.rows, fold!.training), rowsAt(prepared.rows, fold!.heldOut)];
    const rowWeights = balancedWeights(training.actual);
    const request = { training, heldOut, classes: 2, learningRate: 1, sigmoid: PAPER_SIGMOID, looks: [4] };
    const [look] = walk({ ...request, rowWeights });
    const [found] = tryOut(trial, [fold!], 2);
    assert.deepEqual(found!.outcome, judge(look!.scores, heldOut.actual, 2));
    assert.notDeepEqual(tryOut({ ...trial, balanced: false }, [fold!], 2)[0]!.outcome, found!.outcome);
  });

  test('ends where numbers leave all bounds, and such settings are no candidates', () => {
    const request = { training: rows, heldOut: rows, classes: 2, sigmoid: PAPER_SIGMOID, looks: [1, 30] };
    assert.equal(walk({ ...request, learningRate: 1000 }).length, 1);
    const prepared = prepare('standardize', data, actual);
    const trial = { prepared, sigmoid: PAPER_SIGMOID, looks: [1, 30], balanced: false };
    const folds = stratifiedFolds(actual, 3, 1);
    assert.deepEqual(tryOut({ ...trial, learningRate: 1000 }, folds, 2), []);
    const found = tryOut({ ...trial, learningRate: 1 }, folds, 2);
    assert.deepEqual(
      found.map(({ settings }) => settings.iterations),
      [1, 30],
    );
  });

  test('the steepest rate crosses the steepest direction in one step', () => {
    // One feature and no bias: b = 1 / (0.25 sum x^2), so diag(b) X^T X = 4, and the line's slope is s.
    const one = { x: Float64Array.of(1, -2, 3), n: 3, d: 1, actual: Int32Array.of(0, 1, 0) };
    const line = fitSigmoid(1, 4);
    assert.ok(Math.abs(steepestRate(one, line) * 4 * line.odd[0]! - 1) < 1e-6);
    assert.equal(steepestRate({ ...one, x: new Float64Array(3) }, line), 1);
  });
});

suite('a judgement', () => {
  test('accuracy, macro F1 and log-loss at the best temperature', () => {
    const z = Float64Array.of(2, 0, 1, 0, 0, 1, 3, 0);
    const outcome = judge(z, Int32Array.of(0, 0, 1, 1), 2);
    assert.equal(outcome.accuracy, 0.75);
    // Class 0: 2 of 2 found, 3 claimed; class 1: 1 of 2 found, 1 claimed.
    assert.ok(Math.abs(outcome.macroF1 - (4 / 5 + 2 / 3) / 2) < 1e-12);
    assert.ok(outcome.logLoss < Math.log(2));
  });

  test('the metric decides what counts', () => {
    const outcome = { accuracy: 0.9, macroF1: 0.5, logLoss: Math.log(2) / 2 };
    assert.ok(Math.abs(valueOf(outcome, 'accuracy', 2) - 0.95) < 1e-12);
    assert.ok(Math.abs(valueOf(outcome, 'macro-f1', 2) - 0.525) < 1e-12);
    assert.ok(Math.abs(valueOf(outcome, 'log-loss', 2) - 0.5) < 1e-12);
  });
});

suite('a choice', () => {
  test('finds features that part what no line parts, and says what it costs', async () => {
    const calls: number[] = [];
    const tuned = await choose({ onProgress: (done, total) => void calls.push(done / total) });
    assert.match(spellingOf(tuned.settings.preprocess), /degree2|fourier/);
    assert.ok(tuned.outcome.accuracy >= 0.99, `${tuned.outcome.accuracy}`);
    assert.ok(tuned.plain !== undefined && tuned.plain.outcome.accuracy < 0.7);
    assert.ok(tuned.seconds > 0 && tuned.seconds < 60, `${tuned.seconds} s`);
    assert.deepEqual([calls[0], calls.at(-1)], [0, 1]);
    assert.ok(calls.every((part, i) => i === 0 || part >= calls[i - 1]!));
    assert.deepEqual((await choose()).settings, tuned.settings);
  });

  test('what is pinned stays', async () => {
    const fixed: Partial<Settings> = { preprocess: 'standardize', iterations: 3, learningRate: 0.5, sigmoidDegree: 3 };
    const { settings, trials } = await choose({ fixed });
    const { sigmoidRange, ...rest } = settings;
    assert.deepEqual(rest, fixed);
    assert.ok(sigmoidRange === undefined || sigmoidRange === 16);
    assert.ok(trials <= 5, `${trials} trials`);
  });

  test('an expansion is what its spelling says, and nothing else passes', () => {
    assert.equal(parseExpansion('degree2'), 'degree2');
    assert.deepEqual(parseExpansion('fourier:20'), { kind: 'fourier', k: 20 });
    for (const text of ['standardize', 'fourier:0', 'fourier:3+none', '', 'pca:3'])
      assert.throws(() => parseExpansion(text), DatasetError, text);
  });

  test('without expansions there are none', async () => {
    const { settings } = await choose({ expand: 'none' });
    assert.doesNotMatch(spellingOf(settings.preprocess), /degree2|fourier/);
  });

  test('a budget of seconds is kept where it can be', async () => {
    const { settings, seconds } = await choose({ budget: 1, expand: 'none' });
    assert.ok(seconds <= 1, `${seconds} s for ${settings.iterations} iterations`);
  });

  test('ten samples, one of them alone in its class', async () => {
    const labels = ['a', 'a', 'a', 'a', 'a', 'b', 'b', 'b', 'b', 'c'];
    const training = createDataset(
      Float64Array.from(labels, (label, i) => label.charCodeAt(0) + i / 100),
      1,
      labels,
    );
    const { settings } = await chooseSettings({ training, ...REQUEST });
    assert.ok(settings.iterations >= 1);
  });

  test('an abort ends it', async () => {
    await assert.rejects(choose({ signal: AbortSignal.abort(new Error('enough')) }), /enough/);
  });

  test('costs grow with iterations, and what no plan carries is beyond all prices', () => {
    const costs = new Costs({ samples: 200, classes: 3, threads: 2 });
    const [four, ten, sixteen] = [4, 10, 16].map((iterations) => costs.seconds(8, PAPER_SIGMOID, iterations));
    assert.ok(four! < ten! && ten! < sixteen!);
    assert.ok(Math.abs(ten! - (four! + sixteen!) / 2) < 1e-9);
    assert.equal(new Costs({ samples: 1e9, classes: 3, threads: 2 }).seconds(8, PAPER_SIGMOID, 4), Infinity);
  });
});
