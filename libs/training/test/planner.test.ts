import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { messageWithHint } from '@blindfit/base';
import { maxLogQP } from '@blindfit/he';
import {
  checkShape,
  choosePlan,
  DEFAULT_HYPERPARAMETERS,
  derivePlan,
  expectedError,
  expectedSeconds,
  fitSigmoid,
  layoutOf,
  levelsNeeded,
  PAPER_HYPERPARAMETERS,
  PlanError,
  precisionOf,
  type Hyperparameters,
  type JobShape,
  type Plan,
} from '@blindfit/training';
import { chainSize } from '../src/plan/cost.ts';

const PAPER_SHAPE: JobShape = { samples: 128, features: 401, classes: 10 };
/** What a plan has chosen and what it expects, for comparison with numbers that were looked at once. */
function choicesOf(plan: Plan): string[] {
  const { layout, grouping, bytes } = plan;
  const choices = [
    plan.parameters.name,
    `${layout.rows}x${layout.columns}/${layout.turns}`,
    `${grouping.blocksPerTask}.${grouping.shardsPerTask}.${grouping.pairsPerChain}`,
    `every ${plan.schedule.refreshEvery}`,
    `${plan.threadMemoryBytes} bytes`,
  ];
  const expected = [
    [bytes.data, bytes.keys, bytes.model, bytes.refreshDown, bytes.refreshUp].join(' '),
    `${expectedSeconds(plan, 2).toPrecision(5)} s`,
    `error ${expectedError(plan).toExponential(3)}`,
  ];
  return [choices.join(', '), expected.join(', ')];
}
const hyper = (change: Partial<Hyperparameters>): Hyperparameters => ({ ...DEFAULT_HYPERPARAMETERS, ...change });

describe('planner', () => {
  it('plans the paper’s shape within the counts we promise', (t) => {
    const plan = choosePlan({ shape: PAPER_SHAPE, hyperparameters: DEFAULT_HYPERPARAMETERS });
    t.diagnostic(
      `${plan.parameters.name}: ${JSON.stringify(plan.operations)}, ` +
        `${plan.rotationEquivalents.toFixed(0)} rotations' worth`,
    );
    assert.ok(plan.operations.rotations <= 600);
    assert.ok(plan.operations.relinearisations <= 100);
    assert.ok(plan.bytes.data < 30e6 && plan.bytes.keys < 170e6);
  });

  const table: readonly [string, JobShape, Hyperparameters, number, string[]][] = [
    [
      'zero start',
      PAPER_SHAPE,
      hyper({}),
      6,
      [
        'N16384QP340L7S40, 16x512/8, 1.1.1, every 2, 470200960 bytes',
        '18219008 95420416 262144 2621440 5242880, 2.6682 s, error 3.934e-6',
      ],
    ],
    [
      'constant start',
      PAPER_SHAPE,
      PAPER_HYPERPARAMETERS,
      9,
      [
        'N16384QP430L10S37, 16x512/8, 1.1.1, every 2, 654226048 bytes',
        '22413312 187432960 262144 2621440 5242880, 4.6338 s, error 4.137e-6',
      ],
    ],
    [
      'one iteration',
      PAPER_SHAPE,
      hyper({ iterations: 1 }),
      1,
      [
        'N8192QP140L2S40, 8x512/16, 1.1.1, every 1, 262320768 bytes',
        '3801088 1966080 131072 655360 983040, 0.20822 s, error 8.980e-7',
      ],
    ],
    [
      'degree 1',
      PAPER_SHAPE,
      hyper({ sigmoid: fitSigmoid(1, 8) }),
      4,
      [
        'N16384QP260L5S40, 16x512/8, 1.1.1, every 2, 365343360 bytes',
        '12713984 47185920 262144 2621440 3932160, 1.4934 s, error 3.934e-6',
      ],
    ],
    [
      'degree 7',
      PAPER_SHAPE,
      hyper({ sigmoid: fitSigmoid(7, 8) }),
      7,
      [
        'N16384QP380L8S40, 16x512/8, 1.1.1, every 2, 528921216 bytes',
        '20971520 122683392 262144 2621440 5898240, 3.3612 s, error 3.934e-6',
      ],
    ],
    [
      'tiny',
      { samples: 3, features: 2, classes: 2 },
      hyper({}),
      6,
      [
        'N16384QP385L7S45, 4096x2/1, 1.1.1, every 2, 473870976 bytes',
        '2621440 110100480 262144 524288 1048576, 2.4747 s, error 2.492e-6',
      ],
    ],
    [
      'many samples',
      { samples: 5000, features: 101, classes: 3 },
      hyper({}),
      6,
      [
        'N16384QP340L7S40, 1024x8/1, 7.5.1, every 2, 543601280 bytes',
        '119930880 110100480 262144 1048576 2097152, 5.1913 s, error 4.117e-6',
      ],
    ],
    [
      'many features',
      { samples: 100, features: 4097, classes: 2 },
      hyper({}),
      6,
      [
        'N16384QP340L7S40, 16x512/8, 5.1.1, every 2, 568242816 bytes',
        '123600896 95420416 262144 524288 1048576, 4.8451 s, error 3.917e-6',
      ],
    ],
    [
      'many classes',
      { samples: 500, features: 65, classes: 1000 },
      hyper({}),
      6,
      [
        'N16384QP340L7S40, 256x32/2, 3.1.1, every 2, 484881024 bytes',
        '468975616 110100480 2097152 262144000 524288000, 33.525 s, error 4.032e-6',
      ],
    ],
  ];
  for (const [name, shape, hyperparameters, levels, choices] of table) {
    it(`is secure, covers the data, and derives the same again: ${name}`, () => {
      assert.equal(levelsNeeded(hyperparameters, { refreshEvery: hyperparameters.iterations, modelLevel: 0 }), levels);
      const plan = choosePlan({ shape, hyperparameters });
      const { parameters, layout, grouping } = plan;
      assert.deepEqual(choicesOf(plan), choices);
      assert.ok(parameters.logQP <= maxLogQP(parameters.ring));
      assert.equal(parameters.maxLevel, levels);
      assert.equal(layout.rows * layout.columns, parameters.slots);
      assert.ok(
        layout.shards * layout.samplesPerShard >= shape.samples && layout.blocks * layout.columns >= shape.features,
      );
      assert.ok(grouping.blocksPerTask <= layout.blocks && grouping.shardsPerTask <= layout.shards);
      const again = derivePlan(parameters, layout, shape, hyperparameters, grouping);
      assert.deepEqual({ ...again }, { ...plan });
    });
  }

  it('cuts more and smaller tasks for more threads, and the same ones for the same request', () => {
    const shape = { samples: 2000, features: 401, classes: 10 };
    const few = choosePlan({ shape, hyperparameters: hyper({}), vcpus: 2 });
    const many = choosePlan({ shape, hyperparameters: hyper({}), vcpus: 64 });
    const tasks = ({ layout, grouping }: typeof few): number =>
      Math.ceil(layout.shards / grouping.shardsPerTask) * Math.ceil(layout.blocks / grouping.blocksPerTask);
    assert.ok(tasks(many) > tasks(few));
    assert.deepEqual({ ...choosePlan({ shape, hyperparameters: hyper({}), vcpus: 64 }) }, { ...many });
  });

  const refused: readonly [string, JobShape, Hyperparameters, RegExp][] = [
    ['one class', { ...PAPER_SHAPE, classes: 1 }, hyper({}), /classes: 1.*2 to 1000/],
    ['too many features', { ...PAPER_SHAPE, features: 5000 }, hyper({}), /features.*5000.*4097/],
    [
      'more data than a job may have',
      { samples: 1_000_000, features: 4097, classes: 2 },
      hyper({}),
      /1000000 x 4097 x 2 is too much for one job.*at most 1073741824/,
    ],
    ['a learning rate of 0', PAPER_SHAPE, hyper({ learningRate: 0 }), /learning rate 0/],
    ['NaN', PAPER_SHAPE, hyper({ initialWeight: Number.NaN }), /initial weight NaN/],
  ];
  for (const [name, shape, hyperparameters, message] of refused) {
    it(`refuses ${name}, and says what is allowed`, () => {
      assert.throws(
        () => choosePlan({ shape, hyperparameters }),
        (error) => error instanceof PlanError && message.test(messageWithHint(error)),
      );
    });
  }

  it('refreshes as often as it pays, or as it is told, and says how many iterations fit without', () => {
    const hyperparameters = hyper({ iterations: 50 });
    const plan = choosePlan({ shape: PAPER_SHAPE, hyperparameters });
    assert.equal(
      plan.parameters.ring,
      16384,
      'longer chains need larger rings, whose rotations cost more than refreshes',
    );
    assert.ok(plan.segments.length > 10);
    assert.equal(
      plan.segments.reduce((sum, { count }) => sum + count, 0),
      50,
    );
    assert.deepEqual(choicesOf(plan), [
      'N16384QP300L6S40, 32x256/4, 2.1.2, every 1, 419869312 bytes',
      '9699328 77070336 262144 786432 3145728, 29.262 s, error 9.865e-5',
    ]);
    assert.deepEqual(plan.iterations.map(({ gradient }) => gradient).at(-1), 0);
    const told = choosePlan({ shape: PAPER_SHAPE, hyperparameters, refreshEvery: 3 });
    assert.deepEqual(choicesOf(told), [
      'N32768QP790L16S45, 32x512/4, 1.1.2, every 3, 2439426688 bytes',
      '45088768 1069547520 524288 3145728 22020096, 93.430 s, error 9.902e-6',
    ]);
    assert.ok(told.parameters.maxLevel === 15 && told.parameters.logQP <= maxLogQP(told.parameters.ring));
    assert.throws(() => choosePlan({ shape: PAPER_SHAPE, hyperparameters, refreshEvery: 50 }), {
      message: /50 iterations without a refresh do not fit/,
      hint: /at most \d+ for 128 x 401 x 10/,
    });
    assert.throws(() => choosePlan({ shape: PAPER_SHAPE, hyperparameters, refreshEvery: 0 }), /refresh every 0/);
    const two = choosePlan({ shape: PAPER_SHAPE, hyperparameters: hyper({}) });
    assert.equal(two.segments.length, 1, 'what fits without a refresh needs nobody to wait for it');
  });

  it('stays far below 35,000 rotations for 1024 images of 512 features', (t) => {
    const plan = choosePlan({
      shape: { samples: 1024, features: 513, classes: 10 },
      hyperparameters: hyper({ iterations: 20, learningRate: 10 }),
    });
    t.diagnostic(`${plan.rotationEquivalents.toFixed(0)}: ${JSON.stringify(plan.operations)}`);
    assert.ok(plan.rotationEquivalents < 5_000);
    assert.ok(plan.bytes.refreshDown <= 1e6 && plan.bytes.refreshUp <= 12e6, 'what a refresh may cost the owner');
  });

  it('refreshes some chains while others compute, and takes larger errors for more iterations', () => {
    const layout = layoutOf({ rows: 64, columns: 16 }, 64, 16, 16);
    assert.deepEqual([chainSize(layout, true), chainSize(layout, false)], [2, 1]);
    assert.equal(chainSize(layoutOf({ rows: 64, columns: 16 }, 64, 16, 8), true), 1);
    assert.equal(chainSize(layoutOf({ rows: 2, columns: 16 }, 2, 16, 100), true), 2, 'as many as a model holds');
    const precisions = [1, 2, 4, 1000].map((iterations) => precisionOf({ hyperparameters: hyper({ iterations }) }));
    assert.deepEqual(precisions, [1e-5, 1e-5, 2e-5, 5e-3]);
    assert.equal(precisionOf({ hyperparameters: hyper({}), precision: 0.5 }), 0.5);
  });

  it('plans the largest jobs in seconds', () => {
    const started = performance.now();
    choosePlan({ shape: { samples: 4096, features: 4097, classes: 1000 }, hyperparameters: hyper({ iterations: 20 }) });
    choosePlan({
      shape: { samples: 1_000_000, features: 65, classes: 10 },
      hyperparameters: hyper({ iterations: 1000, batch: { size: 1024, seed: 1 } }),
    });
    assert.ok(performance.now() - started < 60_000);
  });

  it('refuses explicit choices that cannot carry the job', () => {
    const plan = choosePlan({ shape: PAPER_SHAPE, hyperparameters: DEFAULT_HYPERPARAMETERS });
    const { parameters, layout, grouping } = plan;
    assert.throws(
      () => derivePlan(parameters, { rows: 64, columns: 64 }, PAPER_SHAPE, DEFAULT_HYPERPARAMETERS, grouping),
      { message: 'a block of 64 x 64', hint: /8192 slots/ },
    );
    assert.throws(() => derivePlan(parameters, layout, PAPER_SHAPE, hyper({ iterations: 3 }), grouping), {
      message: /6 levels/,
      hint: /exactly 11/,
    });
    assert.throws(
      () =>
        derivePlan(parameters, { rows: 128, columns: 64 }, PAPER_SHAPE, DEFAULT_HYPERPARAMETERS, {
          ...grouping,
          blocksPerTask: 8,
        }),
      { message: /blocksPerTask: 8/, hint: /1 to 7/ },
    );
    assert.throws(
      () =>
        derivePlan(parameters, { rows: 128, columns: 64, turns: 3 }, PAPER_SHAPE, DEFAULT_HYPERPARAMETERS, grouping),
      /3 turns of 64 columns/,
    );
  });
});

describe('limits of a job', () => {
  const { parameters, layout } = choosePlan({
    shape: { samples: 64, features: 16, classes: 2 },
    hyperparameters: hyper({ iterations: 1 }),
    ring: 2048,
    security: 'none',
    precision: 10,
  });
  const block = { rows: layout.rows, columns: layout.columns };
  const derive = (
    shape: Partial<JobShape>,
    change: Partial<Hyperparameters> = {},
    grouping = { blocksPerTask: 1, shardsPerTask: 1, pairsPerChain: 1 },
  ) =>
    derivePlan(
      parameters,
      block,
      { samples: 64, features: 16, classes: 2, ...shape },
      hyper({ iterations: 1, ...change }),
      grouping,
    );

  it('are named, just outside and just inside', () => {
    derive({});
    const two = derivePlan(parameters, block, { samples: 128, features: 16, classes: 2 }, hyper({ iterations: 1 }), {
      blocksPerTask: layoutOf(block, 128, 16, 2).blocks,
      shardsPerTask: layoutOf(block, 128, 16, 2).shards,
      pairsPerChain: layoutOf(block, 128, 16, 2).pairsPerModel,
    });
    assert.equal(two.layout.samples, 128);
    for (const shape of [
      { samples: 1, features: 2, classes: 2 },
      { samples: 1_000_000, features: 4097, classes: 1000 },
    ])
      for (const change of [
        { iterations: 1, learningRate: 1e-4, initialWeight: -1, batch: { size: 1, seed: 0 }, decay: 0.99 },
        { iterations: 1000, learningRate: 1e3, initialWeight: 1, batch: { size: shape.samples, seed: 2 ** 32 - 1 } },
        { sigmoid: { degree: 1, range: 8, odd: [-9.99] }, decay: 0 } as const,
      ])
        checkShape(shape, hyper(change));
    const refused: readonly [RegExp, () => unknown][] = [
      [/^samples: 0; whole numbers from 1 to 1000000/, () => derive({ samples: 0 })],
      [/^samples: 1000001/, () => derive({ samples: 1_000_001 })],
      [/^features \(bias included\): 1; whole numbers from 2 to 4097/, () => derive({ features: 1 })],
      [/^features \(bias included\): 4098/, () => derive({ features: 4098 })],
      [/^classes: 1; whole numbers from 2 to 1000/, () => derive({ classes: 1 })],
      [/^classes: 1001/, () => derive({ classes: 1001 })],
      [/^iterations: 0; whole numbers from 1 to 1000/, () => derive({}, { iterations: 0 })],
      [/^iterations: 1001/, () => derive({}, { iterations: 1001 })],
      [/^batch size: 65; whole numbers from 1 to 64/, () => derive({}, { batch: { size: 65, seed: 0 } })],
      [/^seed of the batches: 4294967296/, () => derive({}, { batch: { size: 64, seed: 2 ** 32 } })],
      [/^learning rate 0.00009/, () => derive({}, { learningRate: 0.000_09 })],
      [/^learning rate 1001/, () => derive({}, { learningRate: 1001 })],
      [/^initial weight -1.01/, () => derive({}, { initialWeight: -1.01 })],
      [/^decay 1; from 0 to below 1 is allowed/, () => derive({}, { decay: 1 })],
      [/^decay -0.1/, () => derive({}, { decay: -0.1 })],
      [/^decay NaN/, () => derive({}, { decay: NaN })],
      [/^sigmoid coefficients 10/, () => derive({}, { sigmoid: { degree: 1, range: 8, odd: [10] } })],
      [/^sigmoid coefficients NaN/, () => derive({}, { sigmoid: { degree: 1, range: 8, odd: [NaN] } })],
      [/^sigmoid coefficients 0.1; 2 finite ones/, () => derive({}, { sigmoid: { degree: 3, range: 8, odd: [0.1] } })],
      [
        /^blocksPerTask: 2; whole numbers from 1 to 1/,
        () => derive({}, {}, { blocksPerTask: 2, shardsPerTask: 1, pairsPerChain: 1 }),
      ],
      [/^shardsPerTask: 0/, () => derive({}, {}, { blocksPerTask: 1, shardsPerTask: 0, pairsPerChain: 1 })],
      [
        /^pairsPerChain: 3; powers of two/,
        () => derive({}, {}, { blocksPerTask: 1, shardsPerTask: 1, pairsPerChain: 3 }),
      ],
      [
        new RegExp(`^pairsPerChain: ${2 * layout.pairsPerModel}; whole numbers from 1 to ${layout.pairsPerModel}`),
        () => derive({}, {}, { blocksPerTask: 1, shardsPerTask: 1, pairsPerChain: 2 * layout.pairsPerModel }),
      ],
    ];
    for (const [message, body] of refused)
      assert.throws(body, (error) => {
        assert.ok(error instanceof PlanError);
        assert.match(messageWithHint(error), message);
        return true;
      });
  });

  it('memory of a thread: keys, and what the largest task holds, turns included', () => {
    const shape = { samples: 4096, features: 64, classes: 2 };
    const hyperparameters = hyper({ iterations: 2, sigmoid: fitSigmoid(1, 8) });
    const request = { shape, hyperparameters, ring: 8192, precision: 1 } as const;
    const chosen = choosePlan(request);
    const derived = (turns: number, shardsPerTask: number) =>
      derivePlan(chosen.parameters, { rows: 32, columns: 128, turns }, shape, hyperparameters, {
        blocksPerTask: 1,
        shardsPerTask,
        pairsPerChain: 1,
      });
    const primes = chosen.parameters.dataBits.length;
    const keyBytes = 2 * primes * (primes + 1) * 8192 * 8;
    for (const [turns, shards] of [
      [1, 128],
      [4, 32],
    ] as const) {
      const plan = derived(turns, shards);
      const cells = shards * turns;
      // X~ and the turned errors of every cell, two polynomials each, and a quarter of a gigabyte for the rest.
      const task = cells * 2 * 2 * (plan.gradientFeatures.level + 1) * 8192 * 8;
      assert.equal(plan.threadMemoryBytes, (plan.steps.length + 1) * keyBytes + 250e6 + task);
    }
  });
});
