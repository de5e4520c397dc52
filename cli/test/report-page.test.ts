import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at } from '@blindfit/base';
import { createDataset, type LabelledDataset } from '@blindfit/data';
import {
  accuraciesOf,
  compareTraining,
  prepareData,
  type Comparison,
  type TrainingData,
  type TrainingReport,
} from '@blindfit/owner';
import { renderReport } from '@blindfit/report';
import { DEFAULT_HYPERPARAMETERS, trainClear } from '@blindfit/training';
import { reportPage, type PageRequest } from '../src/train/report-page.ts';

/** Points around (0, 0) of class a and around (2, 1) of class b, on a grid, the last one with the wrong label. */
function points(shift: number): LabelledDataset {
  const values: number[] = [];
  const labels: string[] = [];
  for (let i = 0; i < 20; i++) {
    const b = i % 2;
    values.push(2 * b + (i % 5) / 5 + shift, b + (i % 7) / 7);
    labels.push(i === 19 ? 'a' : b === 1 ? 'b' : 'a');
  }
  return createDataset(Float64Array.from(values), 2, labels);
}

/** A report whose other figures do not matter. */
function reportOf({
  weights,
  history,
  accuracy,
}: Pick<TrainingReport, 'weights' | 'history'> & {
  readonly accuracy: ReturnType<typeof accuraciesOf>;
}): PageRequest['report'] {
  return {
    job: 'job-0123456789ab',
    model: { classes: ['a', 'b'] },
    weights,
    iteration: 3,
    stoppedAfter: undefined,
    refresh: { count: 2, seconds: 1, computeSeconds: 0.5, down: 1000, up: 4000 },
    history,
    parameters: { name: 'N13', ring: 8192, log2QP: 200, levels: 3, scaleBits: 40 },
    seconds: { keygen: 1, encrypt: 2, upload: 3, loadKeys: 4, train: 5, download: 6, iterations: [1, 2, 2] },
    bytes: { data: 100, keys: 200, model: 300 },
    operations: { rotations: 1, relinearisations: 2, multiplications: 3, plainMultiplications: 4, rescales: 5 },
    maxWeightError: 1e-6,
    accuracy: { encrypted: accuracy, clear: accuracy },
  };
}

function comparisonOf(report: PageRequest['report'], data: TrainingData): Comparison {
  const raw = { training: points(0), validation: data.validation && points(0.05) };
  return compareTraining(report as TrainingReport, data, raw);
}

test('the page shows the run: curves of every iteration, confusion matrix, mistakes with images', async () => {
  const data = prepareData({ training: points(0), validation: points(0.05), preprocessing: 'standardize' });
  const hyperparameters = { ...DEFAULT_HYPERPARAMETERS, iterations: 3 };
  const { weights, history } = trainClear(
    data.set.x,
    data.shape.samples,
    data.shape.features,
    data.set.labels,
    hyperparameters,
  );
  const accuracy = accuraciesOf(weights, data);
  // The second iteration is turned around, as noise could do.
  const turned = history.map((w, t) => (t === 1 ? w.map((row) => row.map((value) => -value)) : w));
  const report = reportOf({ weights, history: { encrypted: turned, clear: history }, accuracy });
  const asked: number[] = [];
  const page = await reportPage(
    {
      title: 'points',
      report,
      data,
      hyperparameters,
      comparison: comparisonOf(report, data),
      name: (index) => `point ${index}`,
      images: (index) => {
        asked.push(index);
        return Promise.resolve({ width: 1, height: 1, channels: 1, data: Uint8Array.of(index) });
      },
    },
    new Date('2025-01-02T03:04:05Z'),
  );
  assert.equal(page.created, '2025-01-02T03:04:05.000Z');
  assert.deepEqual(page.data, {
    samples: 20,
    heldOut: 20,
    columns: 3,
    classes: ['a', 'b'],
    preprocessing: 'standardize',
  });
  // All are told apart but the one with the wrong label.
  assert.deepEqual(page.predictions.confusion, [
    [10, 1],
    [0, 9],
  ]);
  assert.equal(page.predictions.wrong, 1);
  const [mistake] = page.predictions.mistakes;
  assert.deepEqual(
    [mistake?.sample, mistake?.actual, mistake?.predicted, mistake?.image?.data[0]],
    ['point 19', 'a', 'b', 19],
  );
  assert.ok(mistake !== undefined && mistake.probability > 0.5 && mistake.probability < 1);
  assert.deepEqual(asked, [19], 'only what is shown is decoded');
  assert.equal(page.heldOut?.accuracy.clear.length, 3);
  assert.deepEqual(
    [page.heldOut.accuracy.clear[2], page.training.accuracy.encrypted[2]],
    [accuracy.validation, accuracy.train],
  );
  const { accuracy: accuracies } = page.training;
  assert.ok(
    Math.abs(at(accuracies.encrypted, 1, 'accuracies') - (1 - at(accuracies.clear, 1, 'accuracies'))) < 1e-12,
    'turned around',
  );
  const { clear } = page.training.loss;
  assert.ok(
    clear.every((value, t) => value < 2 * Math.LN2 && value < (clear[t - 1] ?? Infinity)),
    'the loss falls from 2 ln 2',
  );
  assert.ok(at(page.training.loss.encrypted, 1, 'losses') > 2 * Math.LN2);
  const html = renderReport(page);
  for (const text of ['point 19', '95.00 %', 'log2 QP = 200', 'degree 3, fitted on [-8, 8]'])
    assert.ok(html.includes(text), text);
});

test('without held-out data it is about the training samples, by number', async () => {
  const data = prepareData({ training: points(0), preprocessing: 'none' });
  const { weights, history } = trainClear(data.set.x, 20, 3, data.set.labels, {
    ...DEFAULT_HYPERPARAMETERS,
    iterations: 20,
    learningRate: 3,
  });
  const accuracy = accuraciesOf(weights, data);
  const report: PageRequest['report'] = {
    job: 'job-0123456789ab',
    model: { classes: ['a', 'b'] },
    weights,
    iteration: 20,
    stoppedAfter: undefined,
    history: { encrypted: history, clear: history },
    refresh: { count: 0, seconds: 0, computeSeconds: 0, down: 0, up: 0 },
    parameters: { name: 'N13', ring: 8192, log2QP: 200, levels: 3, scaleBits: 40 },
    seconds: { keygen: 0, encrypt: 0, upload: 0, loadKeys: 0, train: 0, download: 0, iterations: [] },
    bytes: { data: 0, keys: 0, model: 0 },
    operations: { rotations: 0, relinearisations: 0, multiplications: 0, plainMultiplications: 0, rescales: 0 },
    maxWeightError: 0,
    accuracy: { encrypted: accuracy, clear: accuracy },
  };
  const comparison = comparisonOf(report, data);
  const hyperparameters = DEFAULT_HYPERPARAMETERS;
  const page = await reportPage({ title: 'points', data, hyperparameters, report, comparison });
  assert.equal(page.heldOut, undefined);
  assert.equal(page.data.heldOut, 0);
  assert.deepEqual(
    page.predictions.mistakes.map(({ sample, image }) => [sample, image]),
    [['sample 20', undefined]],
  );
  assert.doesNotMatch(renderReport(page), /NaN|undefined|Infinity/);
});

test('the page of a run that was refreshed now and then, and stopped early, has gaps instead of numbers', async () => {
  const data = prepareData({ training: points(0), validation: points(0.05), preprocessing: 'standardize' });
  const hyperparameters = { ...DEFAULT_HYPERPARAMETERS, iterations: 9, batch: { size: 10, seed: 4 } };
  const { history } = trainClear(data.set.x, 20, 3, data.set.labels, hyperparameters);
  const weights = history[2] ?? [];
  const accuracy = accuraciesOf(weights, data);
  const report: PageRequest['report'] = {
    job: 'job-0123456789ab',
    model: { classes: ['a', 'b'] },
    weights,
    iteration: 3,
    stoppedAfter: 6,
    history: {
      encrypted: [undefined, undefined, weights, undefined, undefined, history[5]],
      clear: history.slice(0, 6),
    },
    refresh: { count: 2, seconds: 1.5, computeSeconds: 1, down: 524_288, up: 2_000_000 },
    parameters: { name: 'N13', ring: 8192, log2QP: 200, levels: 3, scaleBits: 40 },
    seconds: { keygen: 0, encrypt: 0, upload: 0, loadKeys: 0, train: 4, download: 0, iterations: [] },
    bytes: { data: 0, keys: 0, model: 0 },
    operations: undefined,
    maxWeightError: 1e-8,
    accuracy: { encrypted: accuracy, clear: accuracy },
  };
  const comparison = comparisonOf(report, data);
  const page = await reportPage({ title: 'points', data, hyperparameters, report, comparison });
  assert.equal(page.iteration, 3, 'the headline is that of the model, not of the last iteration');
  assert.equal(page.quality.encrypted.accuracy, accuracy.validation);
  assert.deepEqual(page.training.accuracy.encrypted.map(Number.isFinite), [false, false, true, false, false, true]);
  assert.deepEqual(page.operations, []);
  const text = renderReport(page);
  assert.doesNotMatch(text, /NaN|undefined|Infinity/);
  assert.match(text, /6 of 9, stopped early; the model is that of iteration 3/);
  assert.match(text, /10 samples, seed 4/);
  assert.match(text, /refreshes, up/);
});

test('mistakes are those of held-out samples, and the surest come first', async () => {
  const set = (labels: string[]): LabelledDataset => createDataset(Float64Array.of(-3, -1, 2, 4), 1, labels);
  const raw = { training: set(['a', 'a', 'b', 'b']), validation: set(['b', 'b', 'b', 'a']) };
  const data = prepareData({ ...raw, preprocessing: 'none' });
  // Class b where the feature is positive.
  const weights = [Float64Array.of(0, -1), Float64Array.of(0, 1)];
  const report = reportOf({
    weights,
    history: { encrypted: [weights], clear: [weights] },
    accuracy: accuraciesOf(weights, data),
  });
  const hyperparameters = { ...DEFAULT_HYPERPARAMETERS, iterations: 1 };
  const comparison = compareTraining({ ...report, iteration: 1 } as TrainingReport, data, raw);
  const { predictions, warnings } = await reportPage({ title: 'points', report, data, hyperparameters, comparison });
  assert.match(warnings.join(), /^the accuracy of 25\.00 % is within noise of 75\.00 %/);
  assert.deepEqual(
    predictions.mistakes.map(({ sample, actual, predicted }) => [sample, actual, predicted]),
    [
      ['sample 4', 'a', 'b'],
      ['sample 1', 'b', 'a'],
      ['sample 2', 'b', 'a'],
    ],
  );
  assert.deepEqual(predictions.confusion, [
    [0, 1],
    [2, 1],
  ]);
});
