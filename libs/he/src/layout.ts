/**
 * The Volley Revolver encoding: where samples, features and weights sit in the slots.
 *
 * A ciphertext holds a block of `rows` samples by `columns` features, slot (i, c) = i * columns + c. Samples beyond one
 * block make *shards*, features beyond one block make *blocks*. Rotating left by a multiple of `columns` revolves the
 * rows, and because rows are the outer dimension that rotation is cyclic: a sum over the rows comes out replicated.
 *
 * Three placements follow from using left rotations only (which halves the rotation keys, see `circuits/`):
 * - features X: slot (i, c) holds x[i][c];
 * - weights: slot (i, c) holds w[c], the same in every row;
 * - errors, labels and gradient features X~ = X o b are *staggered*: slot (i, 0) holds sample i, slot (i, c > 0) sample i + 1.
 *   Replicating a value from column 0 by left rotations spreads it over the end of the row before; the owner, who lays
 *   out labels and X~, meets it there.
 */
import { PlanError } from './errors.ts';

export interface BlockShape {
  /** Samples per shard: a power of two. */
  readonly rows: number;
  /** Features per block: a power of two, at least 2. */
  readonly columns: number;
}

export interface Layout extends BlockShape {
  /** Samples in all. */
  readonly samples: number;
  /** Columns of X, the bias included. */
  readonly features: number;
  /** Samples of a batch: all of them, unless there are mini-batches. */
  readonly batchSize: number;
  readonly batches: number;
  readonly shardsPerBatch: number;
  /** Of all batches. No shard holds samples of two batches. */
  readonly shards: number;
  readonly blocks: number;
  /** Two classes travel in one ciphertext as real and imaginary part; in the last pair of an odd number the second one is void. */
  readonly classes: number;
  readonly pairs: number;
  /** log2 of the rows. */
  readonly rowBits: number;
  /** Merge stages that bring all blocks of a pair into one ciphertext: ceil(log2 blocks). */
  readonly blockBits: number;
  /** Pairs that fit in one model ciphertext. */
  readonly pairsPerModel: number;
  /** Ciphertexts of a packed model. */
  readonly models: number;
}

/**
 * @param batchSize samples of a mini-batch @default all
 * @throws PlanError when the blocks of one pair do not fit one packed ciphertext
 */
export function layoutOf(shape: BlockShape, samples: number, features: number, classes: number, batchSize = samples): Layout {
  const { rows, columns } = shape;
  const batches = Math.ceil(samples / batchSize);
  const shardsPerBatch = Math.ceil(batchSize / rows);
  const shards = (batches - 1) * shardsPerBatch + Math.ceil((samples - (batches - 1) * batchSize) / rows);
  const blocks = Math.ceil(features / columns);
  const rowBits = Math.log2(rows);
  const blockBits = Math.ceil(Math.log2(blocks));
  if (!Number.isInteger(rowBits) || !Number.isInteger(Math.log2(columns)) || columns < 2 || rows < 1) {
    throw new PlanError(`a block of ${rows} x ${columns}`, 'rows and columns must be powers of two, at least 1 x 2');
  }
  if (blockBits > rowBits) {
    throw new PlanError(`${blocks} blocks of ${columns} features do not fit ${rows} rows`, `at most ${rows * columns} features for this block shape`);
  }
  const pairs = Math.ceil(classes / 2);
  const pairsPerModel = 2 ** (rowBits - blockBits);
  return Object.freeze({
    rows,
    columns,
    samples,
    features,
    classes,
    batchSize,
    batches,
    shardsPerBatch,
    shards,
    blocks,
    pairs,
    rowBits,
    blockBits,
    pairsPerModel,
    models: Math.ceil(pairs / pairsPerModel),
  });
}

/** Whether a pair carries two classes. */
export function isFullPair(layout: Layout, pair: number): boolean {
  return 2 * pair + 1 < layout.classes;
}

/**
 * The power of X under which block `block` of a pair travels in the pair's packed ciphertext. Bit s of the block chooses
 * 2^(rowBits - 1 - s), the monomial whose sign the row rotation of stage s flips (see `circuits/pack.ts`).
 */
export function blockExponent(layout: Layout, block: number): number {
  let exponent = 0;
  for (let stage = 0; stage < layout.blockBits; stage++) {
    if ((block >> stage) & 1) exponent += 2 ** (layout.rowBits - 1 - stage);
  }
  return exponent;
}

/** The further power of X under which a pair travels in its chain's ciphertext, and in the model's. */
export function pairExponent(layout: Layout, pair: number): number {
  return pair % layout.pairsPerModel;
}

/** The shards that hold batch `batch`. */
export function shardsOfBatch(layout: Layout, batch: number): number[] {
  const from = batch * layout.shardsPerBatch;
  return Array.from({ length: Math.min(layout.shardsPerBatch, layout.shards - from) }, (_, i) => from + i);
}

/** The batch a shard belongs to. */
export function batchOfShard(layout: Layout, shard: number): number {
  return Math.floor(shard / layout.shardsPerBatch);
}

/** The number of a shard's sample, undefined for padding. @param row of the shard */
export function sampleAt(layout: Layout, shard: number, row: number): number | undefined {
  const batch = batchOfShard(layout, shard);
  const within = (shard - batch * layout.shardsPerBatch) * layout.rows + row;
  const sample = batch * layout.batchSize + within;
  return within < layout.batchSize && sample < layout.samples ? sample : undefined;
}

/** The sample of a shard at a staggered slot. */
function staggeredRow(layout: BlockShape, row: number, column: number): number {
  return column === 0 ? row : (row + 1) % layout.rows;
}

type RowOf = (shape: BlockShape, row: number, column: number) => number;
const alignedRow: RowOf = (_shape, row) => row;

function fill(layout: Layout, shard: number, block: number, rowOf: RowOf, value: (sample: number, feature: number) => number): Float64Array {
  const slots = new Float64Array(layout.rows * layout.columns);
  for (let row = 0; row < layout.rows; row++) {
    for (let column = 0; column < layout.columns; column++) {
      const sample = sampleAt(layout, shard, rowOf(layout, row, column));
      const feature = block * layout.columns + column;
      if (sample !== undefined && feature < layout.features) slots[row * layout.columns + column] = value(sample, feature);
    }
  }
  return slots;
}

/** Slots of one block of X. @param matrix samples x features, row-major */
export function encodeFeatures(layout: Layout, matrix: Float64Array, shard: number, block: number): Float64Array {
  return fill(layout, shard, block, alignedRow, (sample, feature) => matrix[sample * layout.features + feature] ?? 0);
}

/** Slots of one block of X~ = X o b, staggered. @param matrix samples x features, row-major */
export function encodeGradientFeatures(layout: Layout, matrix: Float64Array, shard: number, block: number): Float64Array {
  return fill(layout, shard, block, staggeredRow, (sample, feature) => matrix[sample * layout.features + feature] ?? 0);
}

/** Slots of the labels of one class, staggered and centred: y - 0.5. @param labels one 0 or 1 per sample */
export function encodeLabels(layout: Layout, labels: Float64Array, shard: number): Float64Array {
  // Every column of a row carries the label, also beyond the last feature, so the block does not matter.
  const wide = { ...layout, features: layout.columns };
  return fill(wide, shard, 0, staggeredRow, (sample) => (labels[sample] ?? 0) - 0.5);
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

/** Inverse of {@link encodeFeatures}: writes one block back into `matrix` (samples x features). */
export function decodeFeatures(layout: Layout, slots: Float64Array, shard: number, block: number, matrix: Float64Array): void {
  for (let row = 0; row < layout.rows; row++) {
    for (let column = 0; column < layout.columns; column++) {
      const sample = sampleAt(layout, shard, row);
      const feature = block * layout.columns + column;
      if (sample !== undefined && feature < layout.features) {
        matrix[sample * layout.features + feature] = slots[row * layout.columns + column] ?? 0;
      }
    }
  }
}

/** Inverse of {@link encodeLabels}, read from column 0: y - 0.5 per sample of the shard, written into `labels`. */
export function decodeErrors(layout: Layout, slots: Float64Array, shard: number, labels: Float64Array): void {
  for (let row = 0; row < layout.rows; row++) {
    const sample = sampleAt(layout, shard, row);
    if (sample !== undefined) labels[sample] = slots[row * layout.columns] ?? 0;
  }
}

/** Complex slots, `first + i second`. */
export interface PairedSlots {
  readonly first: Float64Array;
  readonly second: Float64Array;
}

/**
 * The value of X^power at every slot: exp(i pi power 3^s / N), because SEAL orders the slots by powers of 3.
 * @param ring polynomial degree N
 */
export function monomialSlots(ring: number, power: number): PairedSlots {
  const { cosines, sines, exponents } = unitRoots(ring);
  const order = 2 * ring;
  const reduced = power % order;
  const first = new Float64Array(ring / 2);
  const second = new Float64Array(ring / 2);
  for (let slot = 0; slot < first.length; slot++) {
    // The exponent is reduced exactly before it becomes an angle.
    const at = Math.imul(exponents[slot] ?? 0, reduced) & (order - 1);
    first[slot] = cosines[at] ?? 0;
    second[slot] = sines[at] ?? 0;
  }
  return { first, second };
}

interface UnitRoots {
  /** Of exp(i pi k / N), by k from 0 to 2N - 1. */
  readonly cosines: Float64Array;
  readonly sines: Float64Array;
  /** 3^s modulo 2N, by slot s. */
  readonly exponents: Uint32Array;
}

/** By ring, of which there are few: an owner looks up thousands of monomials at every refresh. */
const knownRoots = new Map<number, UnitRoots>();

function unitRoots(ring: number): UnitRoots {
  const known = knownRoots.get(ring);
  if (known !== undefined) return known;
  const order = 2 * ring;
  const angles = Float64Array.from({ length: order }, (_, k) => (Math.PI * k) / ring);
  const exponents = new Uint32Array(ring / 2).fill(1);
  for (let slot = 1; slot < exponents.length; slot++) exponents[slot] = ((exponents[slot - 1] ?? 0) * 3) % order;
  const roots = { cosines: angles.map(Math.cos), sines: angles.map(Math.sin), exponents };
  knownRoots.set(ring, roots);
  return roots;
}

/** Slot by slot product. */
export function multiplySlots(a: PairedSlots, b: PairedSlots): PairedSlots {
  const first = new Float64Array(a.first.length);
  const second = new Float64Array(a.first.length);
  for (let slot = 0; slot < first.length; slot++) {
    const ar = a.first[slot] ?? 0;
    const ai = a.second[slot] ?? 0;
    const br = b.first[slot] ?? 0;
    const bi = b.second[slot] ?? 0;
    first[slot] = ar * br - ai * bi;
    second[slot] = ar * bi + ai * br;
  }
  return { first, second };
}

export function addSlots(a: PairedSlots, b: PairedSlots): PairedSlots {
  return { first: a.first.map((value, slot) => value + (b.first[slot] ?? 0)), second: a.second.map((value, slot) => value + (b.second[slot] ?? 0)) };
}

/**
 * Slots of a chain's packed vectors: every pair under its own power of X.
 * @param weights by class: one number per feature; missing classes are zero
 */
export function encodeChain(layout: Layout, ring: number, pairs: readonly number[], weights: readonly (Float64Array | undefined)[]): PairedSlots {
  const none = new Float64Array(layout.features);
  const sum = emptySlots(ring);
  for (const pair of pairs) addPair(sum, layout, ring, pairExponent(layout, pair), weights[2 * pair] ?? none, weights[2 * pair + 1] ?? none);
  return sum;
}

/**
 * Slots of a packed pair: sum over blocks of X^e_block (first + i second).
 * @param first, second one weight per feature
 */
export function encodePair(layout: Layout, ring: number, first: Float64Array, second: Float64Array): PairedSlots {
  const sum = emptySlots(ring);
  addPair(sum, layout, ring, 0, first, second);
  return sum;
}

function emptySlots(ring: number): PairedSlots {
  return { first: new Float64Array(ring / 2), second: new Float64Array(ring / 2) };
}

/** sum += X^power times the packed pair. */
function addPair(sum: PairedSlots, layout: Layout, ring: number, power: number, first: Float64Array, second: Float64Array): void {
  const { cosines, sines, exponents } = unitRoots(ring);
  const { columns } = layout;
  const order = 2 * ring;
  for (let block = 0; block < layout.blocks; block++) {
    const exponent = power + blockExponent(layout, block);
    // Each row of the block is the same. Beyond the last feature there is nothing.
    const from = block * columns;
    for (let slot = 0; slot < exponents.length; slot++) {
      const feature = from + (slot & (columns - 1));
      if (feature >= first.length) continue;
      const at = Math.imul(exponents[slot] ?? 0, exponent) & (order - 1);
      const ar = cosines[at] ?? 0;
      const ai = sines[at] ?? 0;
      const br = first[feature] ?? 0;
      const bi = second[feature] ?? 0;
      sum.first[slot] = (sum.first[slot] ?? 0) + (ar * br - ai * bi);
      sum.second[slot] = (sum.second[slot] ?? 0) + (ar * bi + ai * br);
    }
  }
}

/**
 * Inverse of the packing: the weights of every class from the slots of the model ciphertexts. Blocks share a ciphertext
 * under different powers of X; dividing by one power and averaging over the rows removes all others exactly.
 * @returns classes x features
 */
export function decodeModel(layout: Layout, ring: number, models: readonly PairedSlots[]): Float64Array[] {
  const weights = Array.from({ length: layout.classes }, () => new Float64Array(layout.features));
  for (let pair = 0; pair < layout.pairs; pair++) {
    const model = models[Math.floor(pair / layout.pairsPerModel)];
    if (model === undefined) throw new PlanError(`${models.length} model ciphertexts`, `${layout.models} are needed`);
    decodePair(layout, ring, model, pair, weights);
  }
  return weights;
}

/** The weights of one pair from the slots of a ciphertext that holds it, written into `weights` by class. */
export function decodePair(layout: Layout, ring: number, model: PairedSlots, pair: number, weights: readonly Float64Array[]): void {
  const { first, second } = model;
  const { columns } = layout;
  const { cosines, sines, exponents } = unitRoots(ring);
  const order = 2 * ring;
  const rows = first.length / columns;
  const a = new Float64Array(columns);
  const b = new Float64Array(columns);
  for (let block = 0; block < layout.blocks; block++) {
    const exponent = -(pairExponent(layout, pair) + blockExponent(layout, block));
    a.fill(0);
    b.fill(0);
    for (let slot = 0; slot < first.length; slot++) {
      const at = Math.imul(exponents[slot] ?? 0, exponent) & (order - 1);
      const ar = first[slot] ?? 0;
      const ai = second[slot] ?? 0;
      const br = cosines[at] ?? 0;
      const bi = sines[at] ?? 0;
      const column = slot & (columns - 1);
      a[column] = (a[column] ?? 0) + (ar * br - ai * bi);
      b[column] = (b[column] ?? 0) + (ar * bi + ai * br);
    }
    const from = block * columns;
    const count = Math.min(columns, layout.features - from);
    const classA = weights[2 * pair];
    const classB = weights[2 * pair + 1];
    for (let column = 0; column < count; column++) {
      if (classA) classA[from + column] = (a[column] ?? 0) / rows;
      if (classB) classB[from + column] = (b[column] ?? 0) / rows;
    }
  }
}
