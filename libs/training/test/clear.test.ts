/** The clear twin of a training against the method as the paper writes it, and against numbers that never change. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at, defined } from '@blindfit/base';
import { signedReals } from '@blindfit/testkit';
import { batchOf, batchRange, batchSize, fitSigmoid, PAPER_SIGMOID, permutation, trainClear } from '@blindfit/training';
import { trainByTheBook } from './reference/by-the-book.ts';

interface Case {
  readonly samples: number;
  readonly iterations: number;
  readonly start: number;
  readonly batch: { readonly size: number; readonly seed: number } | undefined;
  readonly decay?: number;
  readonly weighted?: boolean;
}

const SHORT = { size: 4, seed: 4294967295 };

const CASES: readonly (readonly [name: string, Case])[] = [
  ['all samples, one iteration', { samples: 12, iterations: 1, start: 0, batch: undefined }],
  ['all samples, a constant start', { samples: 12, iterations: 4, start: 0.02, batch: undefined }],
  ['batches that divide the samples', { samples: 12, iterations: 7, start: 0, batch: { size: 4, seed: 5 } }],
  ['a last batch that is short', { samples: 13, iterations: 9, start: 0.01, batch: SHORT }],
  ['a batch of all samples', { samples: 9, iterations: 3, start: 0, batch: { size: 9, seed: 1 } }],
  ['batches of one sample', { samples: 5, iterations: 11, start: 0, batch: { size: 1, seed: 3 } }],
  ['decay', { samples: 12, iterations: 5, start: 0.02, batch: undefined, decay: 0.3 }],
  ['weights of rows', { samples: 12, iterations: 3, start: 0, batch: undefined, weighted: true }],
  [
    'decay, weights of rows, batches',
    { samples: 13, iterations: 9, start: 0, batch: SHORT, decay: 0.1, weighted: true },
  ],
];

describe('trainClear is the method of the paper', () => {
  for (const [name, { samples, iterations, start, batch, decay, weighted = false }] of CASES) {
    for (const sigmoid of [PAPER_SIGMOID, fitSigmoid(5, 6)]) {
      it(`${name}, degree ${sigmoid.degree}`, () => {
        const random = signedReals(17);
        const features = 4;
        const rows = Array.from({ length: samples }, () => [1, random(), random(), random()]);
        const labels = rows.map((_, i) => i % 3);
        const rowWeights = weighted ? rows.map((_, i) => 0.1 + (i % 5)) : undefined;
        const expected = trainByTheBook({
          rows,
          labels,
          classes: 3,
          iterations,
          learningRate: 0.7,
          start,
          odd: sigmoid.odd,
          batch,
          decay,
          rowWeights,
        });
        const oneHot = [0, 1, 2].map((k) => Float64Array.from(labels, (label) => (label === k ? 1 : 0)));
        const hyperparameters = { iterations, learningRate: 0.7, initialWeight: start, sigmoid, ...defined({ decay }) };
        const { weights } = trainClear(
          Float64Array.from(rows.flat()),
          samples,
          features,
          oneHot,
          batch === undefined ? hyperparameters : { ...hyperparameters, batch },
          { rowWeights: rowWeights && Float64Array.from(rowWeights) },
        );
        for (const [k, row] of expected.entries())
          for (const [j, value] of row.entries())
            assert.ok(
              Math.abs(at(at(weights, k, 'classes'), j, 'weights') - value) < 1e-12,
              `class ${k}, feature ${j}`,
            );
      });
    }
  }
});

it('trainClear tells the largest logit and the largest entry of any M or W', () => {
  const x = Float64Array.from([1, 3, 1, -2]);
  const labels = [Float64Array.from([1, 0]), Float64Array.from([0, 1])];
  const run = (initialWeight: number, iterations = 1) =>
    trainClear(x, 2, 2, labels, { iterations, learningRate: 1, initialWeight, sigmoid: PAPER_SIGMOID });
  // W_1 is about a hundredth of M_1, as eta_1 is 0.99 (a_1 = 1.0001).
  const { weights, maxWeight, maxLogit, history } = run(0);
  const largest = Math.max(...weights.flatMap((row) => [...row].map((value) => Math.abs(value))));
  const a1 = (1 + Math.sqrt(1 + 4 * 0.01 ** 2)) / 2;
  assert.ok(Math.abs(maxWeight - largest / (1 - 0.99 / a1)) < 1e-12);
  assert.equal(maxLogit, 0);
  assert.deepEqual(history, [weights]);
  // 0.5 (1 + 3) and 0.5 (1 - 2)
  assert.equal(run(0.5).maxLogit, 2);
  assert.equal(run(-1).maxLogit, 4);
  assert.ok(run(-1).maxWeight >= 1);
  assert.equal(run(0, 3).history.length, 3);
});

describe('batches', () => {
  it('come in an order that follows from the seed, for ever', () => {
    assert.deepEqual(permutation(8, 7), [4, 6, 1, 2, 3, 5, 7, 0]);
    const order = (seed: number): number[] =>
      Array.from({ length: 8 }, (_, i) => batchOf(4, { batch: { size: 1, seed } }, i + 1));
    assert.deepEqual(order(7), [0, 3, 1, 2, 0, 3, 2, 1]);
    // Asked for out of turn.
    assert.equal(batchOf(4, { batch: { size: 1, seed: 7 } }, 6), 3);
    assert.equal(batchOf(4, { batch: { size: 1, seed: 8 } }, 2), order(8)[1]);
    assert.equal(batchOf(4, { batch: { size: 1, seed: 7 } }, 1), 0);
  });

  it('depend on their number, also with one seed, and are not larger than the samples', () => {
    for (const batches of [4, 5, 3, 4]) {
      const met = Array.from({ length: batches }, (_, i) => batchOf(batches, { batch: { size: 1, seed: 7 } }, i + 1));
      assert.deepEqual(
        met.toSorted((a, b) => a - b),
        Array.from({ length: batches }, (_, i) => i),
      );
    }
    assert.deepEqual([batchSize({}, 9), batchSize({ batch: { size: 4, seed: 1 } }, 9)], [9, 4]);
    assert.equal(batchSize({ batch: { size: 10, seed: 1 } }, 9), 9);
  });

  it('visit every batch once an epoch', () => {
    for (const seed of [0, 1, 4294967295])
      for (const epoch of [0, 1, 2]) {
        const met = Array.from({ length: 5 }, (_, i) => batchOf(5, { batch: { size: 2, seed } }, epoch * 5 + i + 1));
        assert.deepEqual(met.toSorted(), [0, 1, 2, 3, 4]);
      }
  });

  it('are runs of samples, the last one shorter', () => {
    assert.deepEqual(
      [0, 1, 2].map((batch) => batchRange(10, 4, batch)),
      [
        { from: 0, to: 4 },
        { from: 4, to: 8 },
        { from: 8, to: 10 },
      ],
    );
  });
});
