import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { messageWithHint } from '@blindfit/base';
import { checkAgainstTwin, largestDifference } from '../src/flow/twin.ts';
import { ModelError } from '../src/index.ts';

const TWIN = [
  [1, -2, 3],
  [0, 0.5, -0.5],
];
const changed = (label: number, feature: number, by: number): number[][] =>
  TWIN.map((row, k) => row.map((value, j) => (k === label && j === feature ? value + by : value)));

describe('a model against its clear twin', () => {
  it('differs by its worst weight, wherever that is and to whichever side', () => {
    assert.equal(largestDifference(TWIN, TWIN), 0);
    for (let label = 0; label < 2; label++)
      for (let feature = 0; feature < 3; feature++)
        for (const by of [0.25, -0.25]) assert.equal(largestDifference(changed(label, feature, by), TWIN), 0.25);
  });

  it('is believed up to what the plan allows', () => {
    assert.equal(checkAgainstTwin(changed(1, 1, 0.25), TWIN, 0.25), 0.25);
    assert.throws(
      () => checkAgainstTwin(changed(1, 1, 0.25), TWIN, 0.2499),
      (error) =>
        error instanceof ModelError && /differs by 0\.250.*the plan allows 0\.250/s.test(messageWithHint(error)),
    );
  });

  it('with a weight that is no number is never believed', () => {
    for (const weight of [NaN, Infinity, -Infinity])
      for (const [label, feature] of [
        [0, 0],
        [1, 2],
      ] as const)
        assert.throws(() => checkAgainstTwin(changed(label, feature, weight), TWIN, 1e300), ModelError);
  });

  it('needs a twin of its own shape', () => {
    assert.throws(() => largestDifference(TWIN, TWIN.slice(1)), /classes/);
    assert.throws(() => largestDifference(TWIN, [[1, -2], TWIN[1] ?? []]), /weights/);
  });
});
