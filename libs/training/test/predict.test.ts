import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { at } from '@blindfit/base';
import * as he from '@blindfit/he';
import { randomVector } from '@blindfit/testkit';
import * as training from '@blindfit/training';
import * as reference from './reference/circuits.ts';
import { openBench, type Bench } from './setup.ts';

const SETS: readonly { name: string; literal: he.ParametersLiteral; security: he.SecurityLevel; tolerance: number }[] =
  [
    {
      name: 'N2048 (no security, unit test)',
      literal: { ring: 2048, dataBits: [55, 45, 45], specialBits: 60, scaleBits: 45 },
      security: 'none',
      tolerance: 1e-6,
    },
    {
      name: 'N8192, small scale (128 bit)',
      literal: { ring: 8192, dataBits: [40, 30, 30, 30], specialBits: 60, scaleBits: 30 },
      security: '128',
      tolerance: 2e-3,
    },
    {
      name: 'N16384 (128 bit)',
      literal: { ring: 16384, dataBits: [55, 45, 45, 45], specialBits: 60, scaleBits: 45 },
      security: '128',
      tolerance: 1e-6,
    },
  ];

for (const { name, literal, security, tolerance } of SETS) {
  describe(`prediction against its clear twin, ${name}`, () => {
    let bench: Bench;
    const parameters = he.Parameters.of(literal, security);
    const columns = literal.ring === 2048 ? 8 : 64;
    const block = { rows: parameters.slots / columns, columns };
    // Two shards, three blocks, and three pairs in one model ciphertext, the last one half empty.
    const plan = training.derivePredictionPlan(
      parameters,
      block,
      { samples: block.rows + 5, features: 2 * columns + 3, classes: 5 },
      { shardsPerTask: 2 },
    );
    const { layout } = plan;
    // The same model for more samples, in turns.
    const turned = training.derivePredictionPlan(
      parameters,
      { ...block, turns: 4 },
      { ...plan.layout, samples: 4 * block.rows + 5 },
      { shardsPerTask: 2 },
    );
    // Four pairs fill one model ciphertext, the other two share the next one.
    const two = training.derivePredictionPlan(
      parameters,
      { rows: 8, columns: parameters.slots / 8 },
      { samples: 8, features: parameters.slots / 8 + 1, classes: 12 },
      { shardsPerTask: 1 },
    );

    before(async () => {
      bench = await openBench(literal, [...new Set([...plan.steps, ...turned.steps, ...two.steps])], security);
    });
    after(() => bench[Symbol.dispose]());

    for (const [what, tested, scaleBits] of [
      ['', plan, literal.scaleBits - 1],
      ['', plan, literal.scaleBits + 4.5],
      [' in turns', turned, literal.scaleBits + 4],
      [' in two ciphertexts', two, literal.scaleBits + 4],
    ] as const) {
      it(`scores of all pairs of a model of scale 2^${scaleBits}${what}`, (t) => {
        const { layout } = tested;
        const { samples } = layout;
        const x = randomVector(samples * layout.features, 1);
        // Scores up to 64, the most there is room for.
        const weights = Array.from({ length: layout.classes }, (_, k) => randomVector(layout.features, 10 + k));
        const largest = Math.max(
          ...weights.flatMap((row) =>
            Array.from({ length: samples }, (_, i) =>
              Math.abs(row.reduce((sum, w, j) => sum + w * at(x, i * layout.features + j, 'samples'), 0)),
            ),
          ),
        );
        const scaled = weights.map((row) => row.map((w) => (w * tested.maxScore) / largest));
        const none = new Float64Array(layout.features);
        const pairs = Array.from({ length: layout.pairs }, (_, pair) => {
          const slots = training.encodePair(
            layout,
            literal.ring,
            scaled[2 * pair] ?? none,
            scaled[2 * pair + 1] ?? none,
          );
          return { pair, ciphertext: bench.encrypt(slots.first, 1, slots.second, 2 ** scaleBits) };
        });
        const models = training.packModel(
          bench.evaluator,
          layout,
          pairs.map((pair) => training.packChain(bench.evaluator, layout, [pair])),
          1,
          1,
        );
        assert.equal(models.length, tested === two ? 2 : 1);
        let error = 0;
        for (let pair = 0; pair < layout.pairs; pair++) {
          const model = models[Math.floor(pair / layout.pairsPerModel)];
          assert.ok(model);
          const expanded = training.expandModel(bench.evaluator, layout, model, pair);
          const clear = Array.from({ length: layout.blocks }, (_, b) => ({
            first: training.encodeWeights(layout, scaled[2 * pair] ?? none, b),
            second: training.encodeWeights(layout, scaled[2 * pair + 1] ?? none, b),
          }));
          for (let shard = 0; shard < layout.shards; shard++) {
            const slots = Array.from({ length: layout.cells }, (_, cell) =>
              training.encodeFeatures(layout, x, shard, cell),
            );
            const features = slots.map((values) =>
              bench.encrypt(values, tested.features.level, undefined, tested.features.scale),
            );
            using scores = training.predictScores(bench.evaluator, { layout, features, weights: expanded });
            assert.equal(scores.level, 0);
            const decrypted = bench.decrypt(scores);
            const expected = reference.predictScoresClear({
              layout,
              features: slots.map((first) => ({ first, second: first })),
              weights: clear,
            });
            for (let place = 0; place < layout.samplesPerShard; place++) {
              const slot = place * layout.width;
              error = Math.max(
                error,
                Math.abs(at(decrypted.first, slot, 'slots') - at(expected.first, place, 'slots')),
                Math.abs(at(decrypted.second, slot, 'slots') - at(expected.second, place, 'slots')),
              );
            }
            for (const c of features) c[Symbol.dispose]();
          }
          for (const c of expanded) c[Symbol.dispose]();
        }
        t.diagnostic(`largest error ${error.toExponential(2)} of scores up to ${tested.maxScore}`);
        assert.ok(error < tolerance, `error ${error} is not below ${tolerance}`);
        for (const c of [...models, ...pairs.map(({ ciphertext }) => ciphertext)]) c[Symbol.dispose]();
      });
    }

    it('counts the operations it takes', () => {
      assert.equal(plan.operations.relinearisations, layout.shards * layout.pairs);
      // Two halvings and three blocks of a model of three pairs, then the columns.
      assert.equal(plan.operations.rotations, layout.pairs * (2 + 2 + layout.shards * Math.log2(columns)));
      assert.equal(turned.operations.relinearisations, 4 * turned.layout.shards * layout.pairs);
      assert.equal(
        turned.operations.rotations,
        layout.pairs * (2 + 2 + turned.layout.shards * (3 + Math.log2(columns / 4))),
      );
      // Two or one halvings, two blocks.
      assert.equal(two.operations.rotations, 4 * 2 + 2 * 1 + 6 * (1 + Math.log2(two.layout.columns)));
    });
  });
}

/** For 1, 50, 1000 and 200,000 samples on one vCPU, then on two. */
const GOLDEN: readonly string[] = [
  '1 turns, 1 a task, 2^(37 45 6), 262144 113246208 1310720 426492416',
  '2 turns, 1 a task, 2^(37 45 6), 524288 113246208 1310720 426492416',
  '32 turns, 1 a task, 2^(37 45 6), 8388608 75497472 1310720 350994944',
  '128 turns, 2 a task, 2^(37 45 6), 1644167168 56623104 64225280 313246208',
  '1 turns, 1 a task, 2^(37 45 6), 262144 113246208 1310720 426492416',
  '2 turns, 1 a task, 2^(37 45 6), 524288 113246208 1310720 426492416',
  '32 turns, 1 a task, 2^(37 45 6), 8388608 75497472 1310720 350994944',
  '128 turns, 2 a task, 2^(37 45 6), 1644167168 56623104 64225280 313246208',
];

describe('prediction plans', () => {
  const hyperparameters = training.DEFAULT_HYPERPARAMETERS;
  const trained = training.choosePlan({
    shape: { samples: 128, features: 64, classes: 10 },
    hyperparameters,
    modelLevel: 1,
  });

  it('take the keys, block and parameters of the training', () => {
    const plan = training.predictionPlan(trained, 1000);
    const alike = training.derivePredictionPlan(
      trained.parameters,
      trained.layout,
      { samples: 1000, features: 64, classes: 10 },
      plan.grouping,
    );
    assert.deepEqual(
      alike.steps.filter((step) => !trained.steps.includes(step)),
      [],
    );
    assert.equal(plan.parameters, trained.parameters);
    assert.deepEqual(
      [plan.layout.rows, plan.layout.columns, plan.layout.samples],
      [trained.layout.rows, trained.layout.columns, 1000],
    );
    assert.deepEqual(
      plan,
      training.derivePredictionPlan(
        plan.parameters,
        plan.layout,
        { samples: 1000, features: 64, classes: 10 },
        plan.grouping,
      ),
    );
    assert.deepEqual(
      training.predictionSteps(plan, [0]).flatMap(({ shards }) => shards),
      Array.from({ length: plan.layout.shards }, (_, shard) => shard),
    );
  });

  it('counts whole jobs as the sum of their tasks, however they are cut', () => {
    const { parameters, layout } = trained;
    const { rows, columns } = layout;
    const shape = { samples: 7 * rows - 1, features: 64, classes: 10 };
    const rotations = (shardsPerTask: number): number =>
      training.derivePredictionPlan(parameters, { rows, columns }, shape, { shardsPerTask }).operations.rotations;
    const [perTask, perShard] = [3, Math.log2(layout.columns)];
    assert.equal(rotations(7), 5 * (perTask + 7 * perShard));
    assert.equal(rotations(3), 5 * (3 * perTask + 7 * perShard));
  });

  it('revolve many samples, and not a few', () => {
    const { rows } = trained.layout;
    assert.equal(training.predictionPlan(trained, rows).layout.turns, 1);
    const many = training.predictionPlan(trained, 16 * rows);
    assert.ok(many.layout.turns > 1 && many.layout.turns <= 16);
    const { columns } = many.layout;
    const whole = training.derivePredictionPlan(
      many.parameters,
      { rows, columns },
      { samples: 16 * rows, features: 64, classes: 10 },
      { shardsPerTask: 1 },
    );
    assert.ok(many.operations.rotations < whole.operations.rotations);
  });

  it('choose turns and tasks, and have scales and sizes, as they were looked at once', () => {
    const choices = ([1, 2] as const).flatMap((vcpus) =>
      [1, 50, 1000, 200_000].map((samples) => {
        const { layout, grouping, features, model, bytes, ...rest } = training.predictionPlan(trained, samples, vcpus);
        const { data, keys, scores } = bytes;
        const scales = [features.scale, model.maxScale, rest.maxScore].map((scale) => Math.log2(scale)).join(' ');
        const sizes = [data, keys, scores, rest.threadMemoryBytes].join(' ');
        return `${layout.turns} turns, ${grouping.shardsPerTask} a task, 2^(${scales}), ${sizes}`;
      }),
    );
    assert.deepEqual(choices, GOLDEN);
  });

  it('cut large jobs into tasks for all threads', () => {
    assert.equal(training.predictionPlan(trained, 100, 16).grouping.shardsPerTask, 1);
    const large = training.predictionPlan(trained, 100_000, 16);
    const tasks = large.tasks;
    assert.ok(tasks >= 16 && tasks <= 200, `${tasks} tasks`);
  });

  it('refuse what cannot be', () => {
    const lowered = training.choosePlan({ shape: { samples: 128, features: 64, classes: 10 }, hyperparameters });
    assert.throws(() => training.predictionPlan(lowered, 10), { message: /model at level 0/, hint: /`servable`/ });
    assert.throws(() => training.predictionPlan(trained, 0), { message: /samples: 0/, hint: /whole numbers from 1/ });
    const { parameters, layout } = trained;
    const shape = { samples: 10, features: 64, classes: 10 };
    assert.throws(() => training.derivePredictionPlan(parameters, layout, shape, { shardsPerTask: 2 }), {
      message: /shardsPerTask: 2/,
      hint: /whole numbers from 1 to 1/,
    });
    assert.throws(
      () => training.derivePredictionPlan(parameters, { rows: 1, columns: 64 }, shape, { shardsPerTask: 1 }),
      { hint: /rows x columns must be the/ },
    );
    const flat = he.Parameters.of({ ring: 8192, dataBits: [55], specialBits: 60, scaleBits: 45 });
    assert.throws(
      () => training.derivePredictionPlan(flat, { rows: 64, columns: 64 }, shape, { shardsPerTask: 1 }),
      /no level to predict with/,
    );
  });
});
