import assert from 'node:assert/strict';
import { test } from 'node:test';
import { preprocessingOf } from '../src/index.ts';

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
