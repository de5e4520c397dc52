import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  blockExponent, decodeErrors, decodeFeatures, decodeModel, encodeFeatures, encodeGradientFeatures, encodeLabels, encodePair, layoutOf, monomialSlots, multiplySlots, packModelClear, pairExponent, PlanError,
} from '@blindfit/he';
import { randomVector } from './setup.ts';

const RING = 1024;

describe('Volley Revolver layout', () => {
  for (const [name, shape, samples, features, classes] of [
    ['one shard, several blocks', { rows: 64, columns: 8 }, 64, 33, 4],
    ['several shards, ragged at both ends', { rows: 16, columns: 32 }, 41, 45, 5],
    ['one block', { rows: 8, columns: 64 }, 3, 50, 2],
  ] as const) {
    it(`decodes what it encodes: ${name}`, () => {
      const layout = layoutOf(shape, samples, features, classes);
      const matrix = randomVector(samples * features, 1);
      const back = new Float64Array(matrix.length);
      const labels = Float64Array.from({ length: samples }, (_, i) => i % 2);
      const errors = new Float64Array(samples);
      for (let shard = 0; shard < layout.shards; shard++) {
        for (let block = 0; block < layout.blocks; block++) decodeFeatures(layout, encodeFeatures(layout, matrix, shard, block), shard, block, back);
        decodeErrors(layout, encodeLabels(layout, labels, shard), shard, errors);
      }
      assert.deepEqual(back, matrix);
      assert.deepEqual(errors, labels.map((y) => y - 0.5));
    });

    it(`packs and decodes a model: ${name}`, () => {
      const layout = layoutOf(shape, samples, features, classes);
      const weights = Array.from({ length: classes }, (_, k) => randomVector(features, 10 + k));
      const none = new Float64Array(features);
      const pairs = Array.from({ length: layout.pairs }, (_, p) => encodePair(layout, RING, weights[2 * p] ?? none, weights[2 * p + 1] ?? none));
      const decoded = decodeModel(layout, RING, packModelClear(layout, RING, pairs));
      weights.forEach((row, k) => row.forEach((value, j) => assert.ok(Math.abs(value - (decoded[k]?.[j] ?? NaN)) < 1e-9)));
    });
  }

  it('staggers gradient features by one row, except in column 0', () => {
    const layout = layoutOf({ rows: 4, columns: 4 }, 4, 4, 2);
    const matrix = Float64Array.from({ length: 16 }, (_, i) => i);
    assert.deepEqual([...encodeGradientFeatures(layout, matrix, 0, 0)], [0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12, 1, 2, 3]);
  });

  it('gives every block and pair a power of X of its own, below the rows', () => {
    const layout = layoutOf({ rows: 64, columns: 8 }, 64, 50, 12);
    const powers = new Set<number>();
    for (let pair = 0; pair < Math.min(layout.pairs, layout.pairsPerModel); pair++) {
      for (let block = 0; block < 2 ** layout.blockBits; block++) powers.add(blockExponent(layout, block) + pairExponent(layout, pair));
    }
    assert.equal(powers.size, Math.min(layout.pairs, layout.pairsPerModel) * 2 ** layout.blockBits);
    assert.ok(Math.max(...powers) < layout.rows);
  });

  it('knows J = X^(N/2) as i on even slots and -i on odd ones, and X^N as -1', () => {
    const j = monomialSlots(RING, RING / 2);
    const square = multiplySlots(j, j);
    const minusOne = monomialSlots(RING, RING);
    for (const slots of [square, minusOne]) {
      assert.ok(slots.first.every((value) => Math.abs(value + 1) < 1e-12));
      assert.ok(slots.second.every((value) => Math.abs(value) < 1e-12));
    }
    assert.ok(j.first.every((value) => Math.abs(value) < 1e-12) && j.second.every((value, slot) => Math.abs(value - (slot % 2 === 0 ? 1 : -1)) < 1e-12));
  });

  it('refuses shapes that do not fit', () => {
    assert.throws(() => layoutOf({ rows: 4, columns: 4 }, 4, 100, 2), (error) => error instanceof PlanError && /at most 16 features/.test(error.message));
    assert.throws(() => layoutOf({ rows: 3, columns: 4 }, 4, 4, 2), /powers of two/);
  });
});
