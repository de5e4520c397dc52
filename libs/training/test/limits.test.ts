/** Limits of layouts and polynomials, and terms of momentum, worked out by hand. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isFullPair, layoutOf, sampleAt } from '../src/layout/shape.ts';
import { momentumCoefficients } from '../src/method.ts';
import { PlanError } from '../src/plan-error.ts';
import { finalTerms, momentumTerms, type Segment } from '../src/schedule.ts';
import { fitSigmoid, sigmoidLevels } from '../src/sigmoid.ts';

describe('a layout', () => {
  it('takes as many blocks as it has rows, and turns up to half the columns', () => {
    assert.equal(layoutOf({ rows: 4, columns: 4 }, 4, 16, 2).blocks, 4);
    assert.throws(() => layoutOf({ rows: 4, columns: 4 }, 4, 17, 2), PlanError);
    assert.equal(layoutOf({ rows: 4, columns: 4, turns: 2 }, 4, 4, 2).width, 2);
    assert.throws(() => layoutOf({ rows: 4, columns: 4, turns: 4 }, 4, 4, 2), PlanError);
  });

  it('keeps the samples of two batches in different shards', () => {
    const layout = layoutOf({ rows: 4, columns: 4 }, 10, 4, 3, 5);
    const samples = [0, 1, 2, 3].map((shard) => [0, 1, 2, 3].map((place) => sampleAt(layout, shard, place)));
    assert.deepEqual(samples, [
      [0, 1, 2, 3],
      [4, undefined, undefined, undefined],
      [5, 6, 7, 8],
      [9, undefined, undefined, undefined],
    ]);
  });

  it('has one class in the last pair of an odd number', () => {
    const full = (classes: number): boolean[] =>
      [0, 1].map((pair) => isFullPair(layoutOf({ rows: 4, columns: 4 }, 4, 4, classes), pair));
    assert.deepEqual(
      [full(3), full(4)],
      [
        [true, false],
        [true, true],
      ],
    );
  });
});

describe('a sigmoid', () => {
  it('has a range above 0 and up to 64', () => {
    for (const range of [1e-3, 64]) assert.equal(fitSigmoid(1, range).range, range);
    for (const range of [0, -1, 64.001, NaN]) assert.throws(() => fitSigmoid(1, range), /sigmoid range/);
  });

  it('takes the levels of its products', () => {
    assert.deepEqual(
      ([1, 3, 5, 7] as const).map((degree) => sigmoidLevels(degree)),
      [0, 2, 3, 3],
    );
  });
});

describe('terms of momentum', () => {
  const etas = [0.5, -0.25, -0.4, -0.5, -0.6, -0.7];
  const start = 0.5;
  const whole: Segment = { first: 1, count: 4 };
  const second: Segment = { first: 3, count: 2 };
  const fresh = { weights: 'V2', momentum: 'W2' };
  const two = (iteration: number, newest: string, older: string) => {
    const coefficients = momentumCoefficients(etas, iteration - 1);
    return [
      { coefficient: coefficients.newest, weights: newest },
      { coefficient: coefficients.older, weights: older },
    ];
  };

  it('hold the public start in the first two iterations only', () => {
    const at = (iteration: number, history: string[]) =>
      momentumTerms(etas, whole, iteration, { history, fresh: undefined }, start);
    assert.deepEqual(at(1, []), { momentum: [], constant: start });
    const { newest, older } = momentumCoefficients(etas, 1);
    assert.deepEqual(at(2, ['V1']), { momentum: [{ coefficient: newest, weights: 'V1' }], constant: older * start });
    assert.deepEqual(at(3, ['V1', 'V2']), { momentum: two(3, 'V2', 'V1'), constant: 0 });
    assert.deepEqual(at(4, ['V1', 'V2', 'V3']), { momentum: two(4, 'V3', 'V2'), constant: 0 });
  });

  it('come from the refresh in the first two iterations after it', () => {
    const at = (iteration: number, history: string[]) =>
      momentumTerms(etas, second, iteration, { history, fresh }, start);
    assert.deepEqual(at(3, []), { momentum: [{ coefficient: 1, weights: 'W2' }], constant: 0 });
    assert.deepEqual(at(4, ['V3']), { momentum: two(4, 'V3', 'V2'), constant: 0 });
  });

  it('of the model are those of its last two iterates, from the refresh or the start where there are no more', () => {
    const model = (segment: Segment, history: string[], from?: typeof fresh) =>
      finalTerms(etas, segment, { history, fresh: from }, start);
    const { newest, older } = momentumCoefficients(etas, 4);
    const before = (weights: string) => ({
      newestCoefficient: newest,
      momentum: [{ coefficient: older, weights }],
      constant: 0,
    });
    assert.deepEqual(model(second, ['V3', 'V4'], fresh), before('V3'));
    assert.deepEqual(model({ first: 4, count: 1 }, ['V4'], fresh), before('V2'));
    const first = momentumCoefficients(etas, 1);
    assert.deepEqual(model({ first: 1, count: 1 }, ['V1']), {
      newestCoefficient: first.newest,
      momentum: [],
      constant: first.older * start,
    });
  });
});
