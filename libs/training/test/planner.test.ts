import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { messageWithHint } from '@blindfit/base';
import { maxLogQP } from '@blindfit/he';
import {
  choosePlan,
  DEFAULT_HYPERPARAMETERS,
  derivePlan,
  fitSigmoid,
  levelsNeeded,
  PAPER_HYPERPARAMETERS,
  PlanError,
  type Hyperparameters,
  type JobShape,
} from '@blindfit/training';

const PAPER_SHAPE: JobShape = { samples: 128, features: 401, classes: 10 };
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

  const table: readonly [string, JobShape, Hyperparameters, number][] = [
    ['zero start', PAPER_SHAPE, hyper({}), 6],
    ['constant start', PAPER_SHAPE, PAPER_HYPERPARAMETERS, 9],
    ['one iteration', PAPER_SHAPE, hyper({ iterations: 1 }), 1],
    ['degree 1', PAPER_SHAPE, hyper({ sigmoid: fitSigmoid(1, 8) }), 4],
    ['degree 7', PAPER_SHAPE, hyper({ sigmoid: fitSigmoid(7, 8) }), 7],
    ['tiny', { samples: 3, features: 2, classes: 2 }, hyper({}), 6],
    ['many samples', { samples: 5000, features: 101, classes: 3 }, hyper({}), 6],
    ['many features', { samples: 100, features: 4097, classes: 2 }, hyper({}), 6],
    ['many classes', { samples: 500, features: 65, classes: 1000 }, hyper({}), 6],
  ];
  for (const [name, shape, hyperparameters, levels] of table) {
    it(`is secure, covers the data, and derives the same again: ${name}`, () => {
      assert.equal(levelsNeeded(hyperparameters, { refreshEvery: hyperparameters.iterations, modelLevel: 0 }), levels);
      const plan = choosePlan({ shape, hyperparameters });
      const { parameters, layout, grouping } = plan;
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
    assert.deepEqual(plan.iterations.map(({ gradient }) => gradient).at(-1), 0);
    const told = choosePlan({ shape: PAPER_SHAPE, hyperparameters, refreshEvery: 3 });
    assert.equal(told.schedule.refreshEvery, 3);
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
