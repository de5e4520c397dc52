/** Limits of layouts and polynomials, and terms of momentum, worked out by hand. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CountingEvaluator, Parameters } from '@blindfit/he';
import { backward } from '../src/circuits/backward.ts';
import { startScores } from '../src/circuits/forward.ts';
import { monicOdd } from '../src/circuits/odd-polynomial.ts';
import { sumOfProducts } from '../src/circuits/sum-of-products.ts';
import { isFullPair, layoutOf, sampleAt } from '../src/layout/shape.ts';
import { DEFAULT_HYPERPARAMETERS, momentumCoefficients } from '../src/method.ts';
import { tasksOf } from '../src/plan/cost.ts';
import { derivePlan, gradientScaleBits } from '../src/plan/derive.ts';
import { derivePredictionPlan } from '../src/plan/prediction-plan.ts';
import { PlanError } from '../src/plan-error.ts';
import { finalTerms, momentumTerms, type Segment } from '../src/schedule.ts';
import { fitSigmoid, PAPER_SIGMOID, sigmoidLevels } from '../src/sigmoid.ts';

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

describe('a monic polynomial', () => {
  it('has no leading coefficient of 0, and the sign of its own', () => {
    assert.throws(() => monicOdd({ degree: 3, range: 8, odd: [0.1, 0] }), /leading coefficient 0/);
    assert.deepEqual(monicOdd({ degree: 3, range: 8, odd: [0.5, -8] }), {
      degree: 3,
      sign: -1,
      inputFactor: 2,
      bracket: [-0.25],
    });
  });
});

describe('circuits', () => {
  const evaluator = new CountingEvaluator(
    Parameters.of({ ring: 1024, dataBits: [50, 40, 40, 40, 40], specialBits: 60, scaleBits: 40 }, 'none'),
  );
  const layout = layoutOf({ rows: 32, columns: 16, turns: 2 }, 64, 32, 2);
  const ciphertexts = (count: number, level = 4) =>
    Array.from({ length: count }, () => evaluator.input(level, 2 ** 40));

  it('take as many ciphertexts as there are cells and blocks', () => {
    assert.deepEqual([layout.cells, layout.blocks], [4, 2]);
    sumOfProducts(evaluator, layout, ciphertexts(4), ciphertexts(2));
    for (const [features, weights] of [
      [3, 2],
      [5, 2],
      [4, 1],
      [4, 3],
    ] as const)
      assert.throws(
        () => sumOfProducts(evaluator, layout, ciphertexts(features), ciphertexts(weights)),
        /ciphertexts of features and/,
      );
    const start = { layout, sigmoid: PAPER_SIGMOID, initialWeight: 0.1, level: 1, scale: 2 ** 40 };
    startScores(evaluator, { ...start, features: ciphertexts(4) });
    for (const count of [3, 5])
      assert.throws(
        () => startScores(evaluator, { ...start, features: ciphertexts(count) }),
        /[35] ciphertexts of features/,
      );
    const gradientFeatures = (count: number) => new Map([0, 1].map((block) => [block, ciphertexts(count)]));
    backward(evaluator, { layout, errors: ciphertexts(1), gradientFeatures: gradientFeatures(2) });
    for (const count of [1, 3])
      assert.throws(
        () => backward(evaluator, { layout, errors: ciphertexts(1), gradientFeatures: gradientFeatures(count) }),
        /[13] ciphertexts of block 0/,
      );
  });
});

describe('tasks and scales', () => {
  const plan = { layout: layoutOf({ rows: 32, columns: 256 }, 32, 256, 4), parameters: { ring: 16384 } } as const;
  const tasks = (transforms: number, most = 100, vcpus = 1) => tasksOf(plan as never, transforms, most, vcpus);

  it('are neither tiny nor huge', () => {
    // Two pairs, so that one task a pair is enough for two threads.
    assert.deepEqual([tasks(7000), tasks(7001), tasks(14_001)], [1, 2, 3]);
    assert.deepEqual([tasks(799, 100, 64), tasks(800, 100, 64), tasks(1200, 100, 64)], [1, 2, 3]);
    assert.deepEqual([tasks(5000, 100, 2), tasks(5000, 100, 3), tasks(5000, 100, 9)], [1, 2, 5]);
    assert.equal(tasks(5000, 3, 9), 3);
  });

  it('of gradient features stay between 10 bits and the room for weights', () => {
    const parameters = Parameters.of({ ring: 1024, dataBits: [50, 30], specialBits: 60, scaleBits: 30 }, 'none');
    const bits = (learningRate: number, iterations = 2) =>
      gradientScaleBits(parameters, { ...DEFAULT_HYPERPARAMETERS, learningRate, iterations });
    assert.deepEqual([bits(1), bits(4), bits(1 / 4)], [34, 36, 32]);
    assert.deepEqual([bits(1e3), bits(2 ** -30)], [39, 10]);
    // (1 - eta_1) is about 1/99.
    assert.equal(bits(1, 1), 34 - 7);
  });

  it('take exactly the levels of the job', () => {
    const derive = (levels: number) =>
      derivePlan(
        Parameters.of(
          { ring: 1024, dataBits: [50, ...new Array<number>(levels).fill(40)], specialBits: 60, scaleBits: 40 },
          'none',
        ),
        { rows: 32, columns: 16 },
        { samples: 10, features: 16, classes: 2 },
        { ...DEFAULT_HYPERPARAMETERS, iterations: 1 },
        { blocksPerTask: 1, shardsPerTask: 1, pairsPerChain: 1 },
      );
    assert.equal(derive(1).parameters.maxLevel, 1);
    for (const levels of [0, 2]) assert.throws(() => derive(levels), new RegExp(`has ${levels} levels`));
  });

  it('leave samples of a prediction at least 10 bits', () => {
    const shape = { samples: 10, features: 16, classes: 2 };
    const derive = (last: number) =>
      derivePredictionPlan(
        Parameters.of({ ring: 1024, dataBits: [last, 30], specialBits: 60, scaleBits: 20 }, 'none'),
        { rows: 32, columns: 16 },
        shape,
        { shardsPerTask: 1 },
      );
    assert.equal(derive(23).features.scale, 2 ** 10);
    assert.throws(() => derive(22), /leaves samples a scale of 512/);
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

  it('are less by the decay, those of the model are not', () => {
    const at = (segment: Segment, iteration: number, history: string[], from?: typeof fresh) =>
      momentumTerms(etas, segment, iteration, { history, fresh: from }, start, 0.25);
    const { newest, older } = momentumCoefficients(etas, 1);
    assert.deepEqual(at(whole, 1, []).constant, 0.375);
    assert.deepEqual(at(whole, 2, ['V1']), {
      momentum: [{ coefficient: 0.75 * newest, weights: 'V1' }],
      constant: 0.75 * older * start,
    });
    assert.deepEqual(at(second, 3, [], fresh).momentum, [{ coefficient: 0.75, weights: 'W2' }]);
    const third = momentumCoefficients(etas, 3);
    assert.deepEqual(at(second, 4, ['V3'], fresh).momentum, [
      { coefficient: 0.75 * third.newest, weights: 'V3' },
      { coefficient: 0.75 * third.older, weights: 'V2' },
    ]);
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
