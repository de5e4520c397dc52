import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { at } from '@blindfit/base';
import * as he from '@blindfit/he';
import * as sealBackend from '@blindfit/he/seal';
import { randomVector } from '@blindfit/testkit';
import * as training from '@blindfit/training';
import { KeyHolder } from '../../he/test/key-holder.ts';
import * as reference from './reference/circuits.ts';
import { maxError, openBench, type Bench } from './setup.ts';

const SETS: readonly { name: string; literal: he.ParametersLiteral; security: he.SecurityLevel; tolerance: number }[] =
  [
    {
      name: 'N2048 (no security, unit test)',
      literal: { ring: 2048, dataBits: [55, 45, 45, 45, 45, 45, 45], specialBits: 55, scaleBits: 45 },
      security: 'none',
      tolerance: 1e-7,
    },
    {
      name: 'N16384QP380 (128 bit)',
      literal: { ring: 16384, dataBits: [55, 45, 45, 45, 45, 45, 45], specialBits: 55, scaleBits: 45 },
      security: '128',
      tolerance: 1e-6,
    },
  ];

for (const { name, literal, security, tolerance } of SETS) {
  describe(`circuits against their clear twins, ${name}`, () => {
    let bench: Bench;
    const slots = literal.ring / 2;
    const columns = literal.ring === 2048 ? 8 : 64;
    const layout = training.layoutOf({ rows: slots / columns, columns }, slots / columns - 3, 6 * columns + 1, 4);
    const turned = training.layoutOf(
      { rows: slots / columns, columns, turns: 4 },
      4 * (slots / columns) - 3,
      2 * columns + 1,
      4,
    );
    /** Most turns there can be. */
    const full = training.layoutOf({ rows: slots / columns, columns, turns: columns / 2 }, slots / 2, columns, 2);
    const variants = [
      ['', layout],
      [', four turns', turned],
      [', two slots a sample', full],
    ] as const;
    // The small ring runs every variant; the secure one runs every circuit, with turns and without.
    const isSecure = security === '128';
    const layouts = isSecure ? variants.slice(0, 2) : variants;
    const forwardDegrees = isSecure ? ([3] as const) : training.SIGMOID_DEGREES;
    const random = (seed: number): he.PairedSlots => ({
      first: randomVector(slots, seed),
      second: randomVector(slots, seed + 1),
    });
    const check = (t: TestContext, actual: he.PairedSlots, expected: he.PairedSlots, bound = tolerance): void => {
      const error = maxError(actual, expected);
      t.diagnostic(`largest error ${error.toExponential(2)}`);
      assert.ok(error < bound, `error ${error} is not below ${bound}`);
    };

    before(async () => {
      bench = await openBench(
        literal,
        [he.CONJUGATION, ...training.columnSteps(layout), ...training.rowSteps(layout)],
        security,
      );
    });
    after(() => bench[Symbol.dispose]());

    it('encrypts and decrypts pairs of vectors at every level', (t) => {
      const a = random(1);
      for (let level = 0; level <= bench.backend.parameters.maxLevel; level++) {
        using x = bench.encrypt(a.first, level, a.second);
        assert.equal(x.level, level);
        check(t, bench.decrypt(x), a);
      }
    });

    it('multiplies by monomials exactly and without scale', (t) => {
      const a = random(2);
      for (const power of [1, 5, literal.ring / 2, -3, literal.ring]) {
        using x = bench.encrypt(a.first, 2, a.second);
        using y = bench.evaluator.multiplyPlain(x, bench.evaluator.monomial(power, 2));
        assert.equal(y.scale, x.scale);
        check(t, bench.decrypt(y), he.multiplySlots(a, he.monomialSlots(literal.ring, power)));
      }
    });

    it('rotates and sums over columns and rows', (t) => {
      const a = random(3);
      for (const steps of [training.columnSteps(layout), training.rowSteps(layout)]) {
        using x = bench.encrypt(a.first, 1, a.second);
        bench.evaluator.rotateAndSumInPlace(x, steps);
        check(t, bench.decrypt(x), reference.rotateAndSumClear(a, steps));
      }
    });

    for (const [what, shape] of layouts) {
      it(`masks and replicates${what}`, (t) => {
        const a = random(4);
        using x = bench.encrypt(a.first, 2, a.second);
        using y = training.maskAndReplicate(bench.evaluator, shape, x, 0.25, 2 ** 40);
        assert.equal(y.level, 1);
        assert.equal(y.scale, 2 ** 40);
        check(t, bench.decrypt(y), reference.maskAndReplicateClear(shape, a, 0.25), tolerance * 16);
      });
    }

    for (const degree of training.SIGMOID_DEGREES) {
      it(`evaluates the sigmoid polynomial of degree ${degree}`, (t) => {
        const polynomial = degree === 3 ? training.PAPER_SIGMOID : training.fitSigmoid(degree, 8);
        const z: he.PairedSlots = { first: randomVector(slots, 5).map((v) => 8 * v), second: new Float64Array(slots) };
        const monic = training.monicOdd(polynomial);
        const level = 5;
        const scale = training.inputScale(bench.evaluator, degree, level, 2 ** 48);
        using u = bench.encrypt(
          z.first.map((v) => v * monic.inputFactor),
          level,
          undefined,
          scale,
        );
        using y = training.evaluateMonicOdd(bench.evaluator, monic, u);
        assert.equal(y.level, level - training.sigmoidLevels(degree));
        assert.ok(Math.abs(y.scale / 2 ** 48 - 1) < 1e-12, 'the scale that was asked for');
        if (monic.sign < 0) bench.evaluator.negateInPlace(y);
        check(t, bench.decrypt(y), reference.oddClear(polynomial, z));
      });
    }

    for (const [what, layout, degree] of [
      ...forwardDegrees.map((degree) => ['', variants[0][1], degree] as const),
      ...layouts.slice(1).map(([what, shape]) => [what, shape, 3] as const),
    ]) {
      it(`forward with a sigmoid of degree ${degree}${what}`, (t) => {
        const sigmoid = degree === 3 ? training.PAPER_SIGMOID : training.fitSigmoid(degree, 8);
        const features = Array.from({ length: layout.cells }, (_, f) => ({
          first: randomVector(slots, 20 + f),
          second: new Float64Array(slots),
        }));
        const weights = Array.from({ length: layout.blocks }, (_, f) => ({
          first: training.encodeWeights(
            layout,
            randomVector(layout.features, 40).map((v) => v * 0.2),
            f,
          ),
          second: training.encodeWeights(
            layout,
            randomVector(layout.features, 41).map((v) => v * 0.2),
            f,
          ),
        }));
        const labels = random(6);
        const level = 5;
        const encrypted = {
          layout,
          sigmoid,
          features: features.map((x) => bench.encrypt(x.first, level + 1)),
          weights: weights.map((w) => bench.encrypt(w.first, level, w.second, 2 ** 49)),
          labels: bench.encrypt(labels.first, level, labels.second),
        };
        const { rotations, relinearisations } = bench.evaluator.counts;
        using errors = training.forward(bench.evaluator, encrypted);
        assert.equal(errors.level, level - training.forwardLevels(degree));
        if (degree === 3) {
          assert.equal(
            bench.evaluator.counts.rotations - rotations,
            layout.turns - 1 + 2 * Math.log2(layout.width) + 1,
            'between turns, over the slots of a sample and back, the conjugation',
          );
          assert.equal(bench.evaluator.counts.relinearisations - relinearisations, layout.turns + 2);
        }
        check(
          t,
          bench.decrypt(errors),
          reference.forwardClear({ layout, sigmoid, features, weights, labels }),
          tolerance * 4,
        );
        for (const x of [...encrypted.features, ...encrypted.weights, encrypted.labels]) x[Symbol.dispose]();
      });
    }

    for (const [what, layout] of layouts) {
      it(`start scores and errors for constant weights${what}`, (t) => {
        const features = Array.from({ length: layout.cells }, (_, f) => ({
          first: randomVector(slots, 60 + f),
          second: new Float64Array(slots),
        }));
        const constant = new Float64Array(slots).fill(0.0128);
        const labels = random(7);
        using y = bench.encrypt(labels.first, 4, labels.second);
        const blocks = features.map((x) => bench.encrypt(x.first, 4));
        using scores = training.startScores(bench.evaluator, {
          layout,
          sigmoid: training.PAPER_SIGMOID,
          features: blocks,
          initialWeight: 0.0128,
          level: 4 - training.startLevels(3),
          scale: y.scale,
        });
        assert.equal(scores.level, 4 - training.startLevels(3));
        using errors = training.startErrors(bench.evaluator, training.PAPER_SIGMOID, y, scores);
        const weights = Array.from({ length: layout.blocks }, () => ({ first: constant, second: constant }));
        check(
          t,
          bench.decrypt(errors),
          reference.forwardClear({ layout, sigmoid: training.PAPER_SIGMOID, features, weights, labels }),
        );
        for (const x of blocks) x[Symbol.dispose]();
      });
    }

    for (const [what, layout] of layouts) {
      it(`backward over shards and all blocks, and over groups of blocks that add up${what}`, (t) => {
        const errors = [random(8), random(10)];
        const all = Array.from({ length: layout.blocks }, (_, f) => f);
        const cells = Array.from({ length: 2 * layout.turns }, (_, s) => s);
        const gradientFeatures = new Map(
          all.map((f) => [
            f,
            cells.map((s) => ({
              first: randomVector(slots, 80 + cells.length * f + s),
              second: new Float64Array(slots),
            })),
          ]),
        );
        const expected = reference.backwardClear({ layout, errors, gradientFeatures, ring: literal.ring });
        const groups =
          layout.blocks === 1 ? [all] : [all, all.slice(0, layout.blocks >> 1), all.slice(layout.blocks >> 1)];
        const results = groups.map((blocks) => {
          const e = errors.map((x) => bench.encrypt(x.first, 1, x.second));
          const x = new Map(
            blocks.map((f) => [f, (gradientFeatures.get(f) ?? []).map((v) => bench.encrypt(v.first, 2))]),
          );
          const packed = training.backward(bench.evaluator, { layout, errors: e, gradientFeatures: x });
          for (const c of [...e, ...[...x.values()].flat()]) c[Symbol.dispose]();
          return packed;
        });
        const [whole, left, right] = results;
        assert.ok(whole);
        assert.equal(whole.level, 0);
        check(t, bench.decrypt(whole), expected, tolerance * 100);
        if (left !== undefined && right !== undefined) {
          bench.evaluator.addInPlace(left, right);
          check(t, bench.decrypt(left), expected, tolerance * 100);
        }
        for (const c of results) c[Symbol.dispose]();
      });
    }

    for (const pairsPerChain of isSecure ? [2] : [1, 2, 4]) {
      it(`packs chains of ${pairsPerChain}, expands every pair again, and decodes the packed model`, (t) => {
        const weights = Array.from({ length: layout.classes }, (_, k) => randomVector(layout.features, 100 + k));
        const none = new Float64Array(layout.features);
        const pairs = Array.from({ length: layout.pairs }, (_, pair) => {
          const slotsOf = training.encodePair(
            layout,
            literal.ring,
            weights[2 * pair] ?? none,
            weights[2 * pair + 1] ?? none,
          );
          return { pair, ciphertext: bench.encrypt(slotsOf.first, 1, slotsOf.second) };
        });
        const chains = training
          .chainsOf({ layout, grouping: { blocksPerTask: 1, shardsPerTask: 1, pairsPerChain } })
          .map((members) =>
            training.packChain(
              bench.evaluator,
              layout,
              members.flatMap((pair) => pairs[pair] ?? []),
            ),
          );
        for (const pair of [0, layout.pairs - 1]) {
          const chain = chains[Math.floor(pair / pairsPerChain)];
          assert.ok(chain);
          const blocks = training.expand(bench.evaluator, layout, chain, pair, pairsPerChain);
          assert.equal(blocks.length, layout.blocks);
          blocks.forEach((block, f) => {
            assert.equal(block.level, 1);
            const expected = {
              first: training.encodeWeights(layout, weights[2 * pair] ?? none, f),
              second: training.encodeWeights(layout, weights[2 * pair + 1] ?? none, f),
            };
            check(t, bench.decrypt(block), expected);
            block[Symbol.dispose]();
          });
        }
        const models = training.packModel(bench.evaluator, layout, chains, pairsPerChain);
        assert.equal(models.length, layout.models);
        const opened = models.map((m) => bench.decrypt(m));
        const twins = reference.packModelClear(
          layout,
          literal.ring,
          pairs.map(({ pair }) =>
            training.encodePair(layout, literal.ring, weights[2 * pair] ?? none, weights[2 * pair + 1] ?? none),
          ),
        );
        opened.forEach((slotsOf, m) => check(t, slotsOf, twins[m] ?? random(0), tolerance * 16));
        const decoded = training.decodeModel(layout, literal.ring, opened);
        weights.forEach((row, k) =>
          row.forEach((value, j) =>
            assert.ok(Math.abs(value - at(at(decoded, k, 'classes'), j, 'weights')) < tolerance),
          ),
        );
        for (const c of [...models, ...chains, ...pairs.map(({ ciphertext }) => ciphertext)]) c[Symbol.dispose]();
      });
    }

    it('what the owner encodes for a chain is what packing it would give', () => {
      const weights = Array.from({ length: layout.classes }, (_, k) => randomVector(layout.features, 300 + k));
      const none = new Float64Array(layout.features);
      const encoded = training.encodeChain(layout, literal.ring, [0, 1], weights);
      const [packed] = reference.packModelClear(
        layout,
        literal.ring,
        [0, 1].map((pair) =>
          training.encodePair(layout, literal.ring, weights[2 * pair] ?? none, weights[2 * pair + 1] ?? none),
        ),
      );
      assert.ok(packed && maxError(encoded, packed) < 1e-9);
    });

    it('steps with momentum and a constant, without any key', (t) => {
      const vectors = [200, 201, 202, 203].map((seed) => randomVector(layout.features, seed));
      const [g1, g2, m1, m0] = vectors;
      assert.ok(g1 && g2 && m1 && m0);
      const none = new Float64Array(layout.features);
      const pair = (v: Float64Array, level: number, scale: number): he.Ciphertext => {
        const s = training.encodePair(layout, literal.ring, v, none);
        return bench.encrypt(s.first, level, s.second, scale);
      };
      const chain = (v: Float64Array, level: number, scale: number): he.Ciphertext => {
        using packed = pair(v, level, scale);
        return training.packChain(bench.evaluator, layout, [{ pair: 1, ciphertext: packed }]);
      };
      const keyless = new sealBackend.SealEvaluator(bench.backend);
      const encrypted = [pair(g1, 1, 2 ** 48), pair(g2, 1, 2 ** 48), chain(m1, 4, 2 ** 47.5), chain(m0, 6, 2 ** 46)];
      const [e1, e2, e3, e4] = encrypted;
      assert.ok(e1 && e2 && e3 && e4);
      const momentum = [
        { coefficient: 1.3, weights: m1 },
        { coefficient: -0.3, weights: m0 },
      ];
      using next = training.nesterovStep(keyless, {
        layout,
        pairs: [1],
        gradients: [
          { pair: 1, ciphertext: e1 },
          { pair: 1, ciphertext: e2 },
        ],
        factor: 10.07,
        constant: 0.0128,
        momentum: [
          { coefficient: 1.3, weights: e3 },
          { coefficient: -0.3, weights: e4 },
        ],
      });
      assert.equal(next.level, 1);
      const expected = reference.stepClear({
        gradient: g1.map((v, i) => v + at(g2, i, 'gradient')),
        factor: 10.07,
        momentum,
        constant: 0.0128,
      });
      const slotsOf = training.encodeChain(layout, literal.ring, [1], [none, none, expected, none.map(() => 0.0128)]);
      check(t, bench.decrypt(next), slotsOf, tolerance * 100);
      for (const c of encrypted) c[Symbol.dispose]();
    });

    it('refuses the key of another rotation, also for the conjugation', () => {
      using secret = new KeyHolder(bench.backend);
      const [one, conjugation] = [secret.galoisKey(1), secret.galoisKey(he.CONJUGATION)];
      assert.throws(
        () => bench.backend.loadGaloisKey(one, he.CONJUGATION),
        /what should be the conjugation key is a key for another rotation/,
      );
      assert.throws(
        () => bench.backend.loadGaloisKey(conjugation, 1),
        /what should be the rotation key for step 1 is a key for another rotation/,
      );
    });

    it('refuses mismatched levels and scales, and says which keys are missing', () => {
      using a = bench.encrypt(randomVector(slots, 1), 2);
      using b = bench.encrypt(randomVector(slots, 1), 1);
      using c = bench.encrypt(randomVector(slots, 1), 2, undefined, 2 ** 44.001);
      assert.throws(() => bench.evaluator.add(a, b), /levels 2 and 1/);
      assert.throws(() => bench.evaluator.add(a, c), /scales/);
      assert.throws(() => bench.evaluator.rotate(a, 3), {
        message: 'the keyset has no rotation key for step 3',
        hint: /steps/,
      });
      assert.throws(() => new sealBackend.SealEvaluator(bench.backend).conjugate(a), /no conjugation key/);
    });
  });
}
