/** Temperatures by cross-validation with the clear twin. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { at } from '@blindfit/base';
import { calibratedProbabilities, createDataset, fitTemperature, logLoss, scores } from '@blindfit/data';
import { DEFAULT_HYPERPARAMETERS, trainClear } from '@blindfit/training';
import { foldTemperatures, samplesServed } from '../src/flow/fold-temperatures.ts';
import { prepareData, type TrainingData } from '../src/flow/training-data.ts';

/** Two classes that overlap; a label in five is wrong. */
function noisy(samples: number, classes = 2): TrainingData {
  const values: number[] = [];
  const labels: string[] = [];
  let state = 7;
  const random = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  for (let i = 0; i < samples; i++) {
    const label = i % classes;
    values.push(label + random() - 0.5, random(), random());
    labels.push(String(random() < 0.2 ? (label + 1) % classes : label));
  }
  return prepareData({
    training: createDataset(Float64Array.from(values), 3, labels),
    preprocessing: 'standardize',
  });
}

const hyperparameters = { ...DEFAULT_HYPERPARAMETERS, iterations: 4 };

it('are one an iteration, and say what the probabilities of new samples are', () => {
  const data = noisy(300);
  const temperatures = foldTemperatures(data, hyperparameters);
  assert.equal(temperatures.length, 4);
  const others = noisy(3000);
  const { history } = trainClear(data.set.x, 300, 4, data.set.labels, hyperparameters);
  history.forEach((weights, t) => {
    const { actual } = others.training;
    const z = scores(weights, others.set.x);
    const lossAt = (temperature: number): number => logLoss(calibratedProbabilities(z, 2, temperature), actual, 2);
    const best = lossAt(fitTemperature(z, actual));
    assert.ok(lossAt(at(temperatures, t, 'temperatures')) < best + 0.01, `iteration ${t + 1}`);
    assert.ok(best < 0.55);
  });
  assert.deepEqual(foldTemperatures(data, hyperparameters), temperatures);
});

it('do not rest on the samples that the weights have learned by heart', () => {
  // Twenty samples of 200 features are told apart always; new ones only by chance.
  let state = 3;
  const random = Float64Array.from(
    { length: 4000 },
    () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32,
  );
  const labels = Array.from({ length: 20 }, (_, i) => String(i % 2));
  const data = prepareData({ training: createDataset(random, 200, labels), preprocessing: 'standardize' });
  const { weights } = trainClear(data.set.x, 20, 201, data.set.labels, hyperparameters);
  const learned = fitTemperature(scores(weights, data.set.x), data.training.actual);
  assert.ok(at(foldTemperatures(data, hyperparameters), 3, 'temperatures') > 2 * learned);
});

it('are those of a training with the same weights of rows', () => {
  const data = noisy(300);
  const rowWeights = Float64Array.from(data.training.actual, (label) => (label === 0 ? 0.2 : 1.8));
  const weighed = foldTemperatures({ ...data, set: { ...data.set, rowWeights } }, hyperparameters);
  assert.notDeepEqual(weighed, foldTemperatures(data, hyperparameters));
  const equal = { ...data.set, rowWeights: new Float64Array(300).fill(1) };
  assert.deepEqual(foldTemperatures({ ...data, set: equal }, hyperparameters), foldTemperatures(data, hyperparameters));
});

it('are fitted for the smallest data', () => {
  for (const samples of [6, 7, 9])
    assert.ok(foldTemperatures(noisy(samples), hyperparameters).every((temperature) => temperature > 0));
});

it('are fitted to a part of large data', () => {
  const served = (samples: number, features: number, iterations: number): number =>
    samplesServed({ samples, features, classes: 10 }, iterations);
  assert.equal(served(1024, 64, 20), 1024);
  // 5e8 products: 10 classes, 20 iterations, 5 folds x 2 passes x 64 columns and 50 for the fit.
  assert.equal(served(60_000, 64, 20), 3623);
  assert.equal(served(60_000, 513, 1000), 200);
  assert.equal(served(150, 513, 1000), 150);
});
