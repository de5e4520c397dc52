/** Slots of the owner's data: samples, samples for the gradient, labels. */
import { cellAt, sampleAt, type Layout } from './shape.ts';

/** The number within its shard of the sample that a slot of X belongs to. */
function rowOf({ width, samplesPerShard }: Layout, turn: number, slot: number): number {
  return (Math.floor(slot / width) - turn + samplesPerShard) % samplesPerShard;
}

/** {@link rowOf} for errors, labels and X~. */
function staggeredRowOf({ width, samplesPerShard }: Layout, turn: number, slot: number): number {
  return (Math.ceil(slot / width) + turn) % samplesPerShard;
}

function fill(
  layout: Layout,
  shard: number,
  cell: number,
  rowAt: typeof rowOf,
  value: (sample: number, feature: number) => number,
): Float64Array {
  const slots = new Float64Array(layout.rows * layout.columns);
  const { turn, block } = cellAt(layout, cell);
  for (let slot = 0; slot < slots.length; slot++) {
    const sample = sampleAt(layout, shard, rowAt(layout, turn, slot));
    const feature = block * layout.columns + (slot % layout.columns);
    if (sample !== undefined && feature < layout.features) slots[slot] = value(sample, feature);
  }
  return slots;
}

/** Slots of one cell of X. @param matrix samples x features, row-major */
export function encodeFeatures(layout: Layout, matrix: Float64Array, shard: number, cell: number): Float64Array {
  return fill(layout, shard, cell, rowOf, (sample, feature) => matrix[sample * layout.features + feature] ?? 0);
}

/**
 * Slots of one cell of X~ = diag(w) X o b without b, staggered.
 * @param matrix samples x features, row-major
 * @param rowWeights w @default 1 for every sample
 */
export function encodeGradientFeatures(
  layout: Layout,
  matrix: Float64Array,
  shard: number,
  cell: number,
  rowWeights?: Float64Array,
): Float64Array {
  return fill(layout, shard, cell, staggeredRowOf, (sample, feature) => {
    const value = matrix[sample * layout.features + feature]!;
    return rowWeights === undefined ? value : value * rowWeights[sample]!;
  });
}

/** Slots of the labels of one class, staggered and centred: y - 0.5. @param labels one 0 or 1 per sample */
export function encodeLabels(layout: Layout, labels: Float64Array, shard: number): Float64Array {
  // All slots of a sample carry the label, also beyond the last feature, so the block does not matter.
  const wide = { ...layout, features: layout.columns };
  return fill(wide, shard, 0, staggeredRowOf, (sample) => (labels[sample] ?? 0) - 0.5);
}

/** Slots of one block of a weight vector, replicated over the rows. */
export function encodeWeights(layout: Layout, weights: Float64Array, block: number): Float64Array {
  const slots = new Float64Array(layout.rows * layout.columns);
  for (let row = 0; row < layout.rows; row++) {
    for (let column = 0; column < layout.columns; column++) {
      const feature = block * layout.columns + column;
      if (feature < layout.features) slots[row * layout.columns + column] = weights[feature] ?? 0;
    }
  }
  return slots;
}

/** Inverse of {@link encodeFeatures}: writes one cell back into `matrix` (samples x features). */
export function decodeFeatures(
  layout: Layout,
  slots: Float64Array,
  shard: number,
  cell: number,
  matrix: Float64Array,
): void {
  const { turn, block } = cellAt(layout, cell);
  for (const [slot, value] of slots.entries()) {
    const sample = sampleAt(layout, shard, rowOf(layout, turn, slot));
    const feature = block * layout.columns + (slot % layout.columns);
    if (sample !== undefined && feature < layout.features) matrix[sample * layout.features + feature] = value;
  }
}

/**
 * Inverse of {@link encodeLabels}, read from each sample's first slot: y - 0.5 per sample of the shard, written into
 * `labels`.
 */
export function decodeErrors(layout: Layout, slots: Float64Array, shard: number, labels: Float64Array): void {
  for (let place = 0; place < layout.samplesPerShard; place++) {
    const sample = sampleAt(layout, shard, place);
    if (sample !== undefined) labels[sample] = slots[place * layout.width] ?? 0;
  }
}
