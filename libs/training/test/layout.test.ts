import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at } from '@blindfit/base';
import { monomialSlots, multiplySlots } from '@blindfit/he';
import { randomVector } from '@blindfit/testkit';
import {
  blockExponent,
  decodeErrors,
  decodeFeatures,
  decodeModel,
  encodeFeatures,
  encodeGradientFeatures,
  encodeLabels,
  encodePair,
  layoutOf,
  pairExponent,
  PlanError,
} from '@blindfit/training';
import { packModelClear } from './reference/circuits.ts';

const RING = 1024;

describe('Volley Revolver layout', () => {
  for (const [name, shape, samples, features, classes] of [
    ['one shard, several blocks', { rows: 64, columns: 8 }, 64, 33, 4],
    ['several shards, ragged at both ends', { rows: 16, columns: 32 }, 41, 45, 5],
    ['one block', { rows: 8, columns: 64 }, 3, 50, 2],
    ['turns', { rows: 16, columns: 32, turns: 4 }, 64, 45, 5],
    ['turns of several shards, ragged at both ends', { rows: 8, columns: 64, turns: 8 }, 83, 70, 3],
    ['turns of two slots', { rows: 128, columns: 4, turns: 2 }, 300, 9, 2],
  ] as const) {
    it(`decodes what it encodes: ${name}`, () => {
      const layout = layoutOf(shape, samples, features, classes);
      const matrix = randomVector(samples * features, 1);
      const back = new Float64Array(matrix.length);
      const labels = Float64Array.from({ length: samples }, (_, i) => i % 2);
      const errors = new Float64Array(samples);
      for (let shard = 0; shard < layout.shards; shard++) {
        for (let cell = 0; cell < layout.cells; cell++)
          decodeFeatures(layout, encodeFeatures(layout, matrix, shard, cell), shard, cell, back);
        decodeErrors(layout, encodeLabels(layout, labels, shard), shard, errors);
      }
      assert.deepEqual(back, matrix);
      assert.deepEqual(
        errors,
        labels.map((y) => y - 0.5),
      );
    });

    it(`packs and decodes a model: ${name}`, () => {
      const layout = layoutOf(shape, samples, features, classes);
      const weights = Array.from({ length: classes }, (_, k) => randomVector(features, 10 + k));
      const none = new Float64Array(features);
      const pairs = Array.from({ length: layout.pairs }, (_, p) =>
        encodePair(layout, RING, weights[2 * p] ?? none, weights[2 * p + 1] ?? none),
      );
      const decoded = decodeModel(layout, RING, packModelClear(layout, RING, pairs));
      weights.forEach((row, k) =>
        row.forEach((value, j) => assert.ok(Math.abs(value - at(at(decoded, k, 'classes'), j, 'weights')) < 1e-9)),
      );
    });
  }

  it('staggers gradient features by one row, except in column 0', () => {
    const layout = layoutOf({ rows: 4, columns: 4 }, 4, 4, 2);
    const matrix = Float64Array.from({ length: 16 }, (_, i) => i);
    assert.deepEqual(
      [...encodeGradientFeatures(layout, matrix, 0, 0)],
      [0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12, 1, 2, 3],
    );
  });

  it('has a row hold several samples, which each turn moves on by one', () => {
    const layout = layoutOf({ rows: 2, columns: 4, turns: 2 }, 4, 4, 2);
    // Sample i has the features 10 i to 10 i + 3.
    const matrix = Float64Array.from({ length: 16 }, (_, at) => 10 * Math.floor(at / 4) + (at % 4));
    assert.deepEqual([...encodeFeatures(layout, matrix, 0, 0)], [0, 1, 12, 13, 20, 21, 32, 33]);
    assert.deepEqual([...encodeFeatures(layout, matrix, 0, 1)], [30, 31, 2, 3, 10, 11, 22, 23]);
    assert.deepEqual([...encodeGradientFeatures(layout, matrix, 0, 0)], [0, 11, 12, 23, 20, 31, 32, 3]);
    assert.deepEqual([...encodeGradientFeatures(layout, matrix, 0, 1)], [10, 21, 22, 33, 30, 1, 2, 13]);
    assert.deepEqual(
      [...encodeLabels(layout, Float64Array.of(1, 0, 0, 1), 0)],
      [0.5, -0.5, -0.5, -0.5, -0.5, 0.5, 0.5, 0.5],
    );
  });

  it('gives every block and pair a power of X of its own, below the rows', () => {
    const layout = layoutOf({ rows: 64, columns: 8 }, 64, 50, 12);
    const powers = new Set<number>();
    for (let pair = 0; pair < Math.min(layout.pairs, layout.pairsPerModel); pair++) {
      for (let block = 0; block < 2 ** layout.blockBits; block++)
        powers.add(blockExponent(layout, block) + pairExponent(layout, pair));
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
    assert.ok(
      j.first.every((value) => Math.abs(value) < 1e-12) &&
        j.second.every((value, slot) => Math.abs(value - (slot % 2 === 0 ? 1 : -1)) < 1e-12),
    );
  });

  it('refuses shapes that do not fit', () => {
    assert.throws(
      () => layoutOf({ rows: 4, columns: 4 }, 4, 100, 2),
      (error) => error instanceof PlanError && /at most 16 features/.test(error.hint ?? ''),
    );
    assert.throws(() => layoutOf({ rows: 3, columns: 4 }, 4, 4, 2), { hint: /powers of two/ });
    for (const turns of [0, 3, 4])
      assert.throws(() => layoutOf({ rows: 4, columns: 4, turns }, 4, 4, 2), {
        message: /turns of 4 columns/,
        hint: 'turns must be a power of two, at most half the columns',
      });
  });
});
