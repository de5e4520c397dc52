import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at } from '@blindfit/base';
import { hyperparametersOf, planChoicesOf, preprocessingOf } from '../src/index.ts';

test('the default preprocessing follows from the data', () => {
  const pca = { kind: 'pca', k: 63, whiten: true };
  for (const [n, d, expected] of [
    [128, 400, pca],
    [64, 64, pca],
    [63, 400, 'standardize'], // 63 samples vary in 62 directions
    [128, 63, 'standardize'], // nothing to leave out
    [5000, 4096, 'standardize'], // would take too long
  ] as const) {
    assert.deepEqual(preprocessingOf(undefined, undefined, { n, d }), expected, `${n} x ${d}`);
    assert.equal(preprocessingOf(undefined, 'paper', { n, d }), 'none');
    assert.equal(preprocessingOf('center', 'paper', { n, d }), 'center');
  }
});

test('what is not chosen follows from the preset, or else from the defaults', () => {
  const { sigmoid, ...defaults } = hyperparametersOf({});
  assert.deepEqual(defaults, { iterations: 2, learningRate: 1, initialWeight: 0 });
  assert.deepEqual([sigmoid.degree, sigmoid.range], [3, 8]);
  assert.deepEqual(
    sigmoid.odd.map((value) => value.toFixed(5)),
    ['0.10680', '-0.00039'],
  );
  assert.equal(hyperparametersOf({ preset: 'paper' }).initialWeight, 0.0128);
  assert.equal(hyperparametersOf({ preset: 'paper' }).sigmoid, sigmoid);
  assert.equal(hyperparametersOf({ preset: 'paper', initialWeight: 0 }).initialWeight, 0);
  assert.deepEqual(hyperparametersOf({ batchSize: 5 }).batch, { size: 5, seed: 1 });
  assert.deepEqual(hyperparametersOf({ batchSize: 5, batchSeed: 0 }).batch, { size: 5, seed: 0 });
  assert.equal(hyperparametersOf({ batchSeed: 3 }).batch, undefined);
  assert.equal(hyperparametersOf({ decay: 0.25 }).decay, 0.25);
  assert.equal('decay' in hyperparametersOf({ decay: 0 }), false);
  const wide = hyperparametersOf({ sigmoidRange: 12, iterations: 3, learningRate: 0.5 });
  assert.deepEqual([wide.iterations, wide.learningRate, wide.sigmoid.degree, wide.sigmoid.range], [3, 0.5, 3, 12]);
  const five = hyperparametersOf({ sigmoidDegree: 5 }).sigmoid;
  assert.deepEqual([five.degree, five.range, five.odd.length], [5, 8, 3]);
  assert.ok(at(five.odd, 0, 'coefficients') > at(sigmoid.odd, 0, 'coefficients'));
  assert.deepEqual(planChoicesOf({ precision: 1e-4, refreshEvery: 2, iterations: 9 }), {
    precision: 1e-4,
    refreshEvery: 2,
  });
});
