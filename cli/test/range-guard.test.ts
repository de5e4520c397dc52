import assert from 'node:assert/strict';
import { test } from 'node:test';
import { centrePixels, createDataset, readIdxImages, readIdxLabels, type LabelledDataset } from '@blindfit/data';
import { digitFiles } from '@blindfit/demo';
import { DEFAULT_HYPERPARAMETERS, fitSigmoid, trainClear, type Hyperparameters } from '@blindfit/training';
import { CliError } from '../src/errors.ts';
import { prepareData, type TrainingData } from '../src/train/data.ts';
import { findFixes, guardRanges } from '../src/train/range-guard.ts';

const MODEL = { maxWeight: 2 ** 9 };
/** Proposals do not depend on how busy the machine is. */
const NO_HURRY = 120_000;

async function digits(split: 'train' | 'heldout', n: number): Promise<LabelledDataset> {
  const { features, d } = centrePixels(await readIdxImages(digitFiles(split).images), 20);
  return createDataset(features.slice(0, n * d), d, (await readIdxLabels(digitFiles(split).labels)).slice(0, n));
}

const data = prepareData({
  training: await digits('train', 128),
  validation: await digits('heldout', 256),
  preprocessing: 'standardize',
});
const train = (hyperparameters: Hyperparameters, of: TrainingData = data) =>
  trainClear(of.job.x, of.shape.samples, of.shape.features, of.job.labels, hyperparameters);

test('a run that stays in range passes without a word', () => {
  guardRanges(train(DEFAULT_HYPERPARAMETERS), MODEL, data, DEFAULT_HYPERPARAMETERS, (line) => assert.fail(line));
});

test('scores out of range: a warning, and flags that keep them in range', () => {
  const hyperparameters = { ...DEFAULT_HYPERPARAMETERS, iterations: 30 };
  const clear = train(hyperparameters);
  assert.ok(clear.maxLogit > 8, `${clear.maxLogit}`);
  const lines: string[] = [];
  guardRanges(clear, MODEL, data, hyperparameters, (line) => lines.push(line), NO_HURRY);
  assert.equal(lines.length, 2);
  assert.match(
    lines[0] ?? '',
    /^warning: scores reach 1\d\.\d, outside the sigmoid polynomial's range of 8, where the gradient is wrong; this run gives 7\d\.\d\d % of the held-out samples in the clear$/,
  );
  const proposed =
    /^hint: --sigmoid-range ([\d.]+) keeps it in range \((\d+\.\d\d) % of the held-out samples in the clear\); --learning-rate ([\d.]+) keeps it in range \((\d+\.\d\d) % /.exec(
      lines[1] ?? '',
    );
  assert.ok(proposed, lines[1]);
  // What it proposes is true of the job run that way.
  const range = Number(proposed[1]);
  const widened = train({ ...hyperparameters, sigmoid: fitSigmoid(3, range) });
  assert.ok(widened.maxLogit <= range && range < 20, `${widened.maxLogit} within ${range}`);
  const slowed = train({ ...hyperparameters, learningRate: Number(proposed[3]) });
  assert.ok(slowed.maxLogit <= 8 && Number(proposed[3]) < 1, `${slowed.maxLogit} within 8`);
});

test('weights that no modulus holds: an error, with a learning rate that works', () => {
  const hyperparameters = { ...DEFAULT_HYPERPARAMETERS, iterations: 20, learningRate: 10 };
  const clear = train(hyperparameters);
  assert.ok(!(clear.maxWeight < MODEL.maxWeight));
  assert.throws(
    () => guardRanges(clear, MODEL, data, hyperparameters, (line) => assert.fail(line), NO_HURRY),
    (error: unknown) => {
      assert.ok(error instanceof CliError);
      assert.match(
        error.message,
        /^training diverges: weights would reach (infinity|[\d.e+]+), and the encrypted model holds \|w\| < 512$/,
      );
      const rate = /--learning-rate ([\d.]+) keeps it in range/.exec(error.hint ?? '')?.[1];
      assert.ok(rate !== undefined, error.hint);
      assert.ok(train({ ...hyperparameters, learningRate: Number(rate) }).maxWeight < MODEL.maxWeight);
      return true;
    },
  );
});

test('numbers beyond all bounds do not slip through as NaN', () => {
  const clear = { ...train(DEFAULT_HYPERPARAMETERS), maxWeight: NaN, maxLogit: NaN };
  assert.throws(
    () => guardRanges(clear, MODEL, data, DEFAULT_HYPERPARAMETERS, () => undefined),
    /training diverges: weights would reach infinity/,
  );
});

test('without time there is no advice, and it says what else to do', () => {
  const hyperparameters = { ...DEFAULT_HYPERPARAMETERS, iterations: 30 };
  assert.deepEqual(findFixes(train(hyperparameters), MODEL, data, hyperparameters, 0), []);
  // A limit that nothing can meet.
  assert.throws(
    () =>
      guardRanges(
        train(DEFAULT_HYPERPARAMETERS),
        { maxWeight: 1e-9 },
        data,
        DEFAULT_HYPERPARAMETERS,
        () => undefined,
        NO_HURRY,
      ),
    (error: unknown) =>
      error instanceof CliError &&
      /no wider --sigmoid-range and no lower --learning-rate was found/.test(error.hint ?? ''),
  );
});
