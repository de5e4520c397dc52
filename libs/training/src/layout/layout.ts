/**
 * The Volley Revolver encoding: where samples, features and weights sit in the slots.
 *
 * A ciphertext holds `rows` rows by `columns` features, slot (i, c) = i * columns + c. Features beyond one block make
 * *blocks*. Weights are the same in every row: slot (i, c) holds w[c]. Rotating left by a multiple of `columns` revolves the
 * rows, and because rows are the outer dimension that rotation is cyclic: a sum over the rows comes out replicated.
 *
 * With one *turn* a row is a sample: X has x[i][c] in slot (i, c). With K turns a row is K samples, of `width` = columns / K
 * slots each, and X takes K ciphertexts a block: as weights repeat after `columns` slots, sample m (of width slots, from
 * slot m * width on) meets all of them in K turns. Turn t of X holds at slot m * width + e the sample m - t, feature
 * ((m mod K) * width + e); its products with the weights, rotated left by t * width, are those of sample m with a K-th of
 * its features. The sum over the turns thus holds the scores of rows * K samples in one ciphertext, still spread over
 * width slots each; and everything after it is done once, where K ciphertexts of whole rows would have it done K times.
 * (With a width of 1 these would be Halevi and Shoup's diagonals.) Samples beyond rows * K make further *shards*.
 *
 * Errors, labels and gradient features X~ = X o b are *staggered*, which follows from using left rotations only (which
 * halves the rotation keys, see `circuits/`): slot m * width holds sample m, the slots from there to the next hold sample m + 1.
 * Replicating a value by left rotations spreads it over the slots before its own; the owner, who lays out labels and X~, meets it
 * there. Turn t of X~ meets the errors rotated left by t * width: it holds sample m + t where errors hold sample m.
 */
import { unitRoots, type PairedSlots } from '@blindfit/he';
import { PlanError } from '../plan-error.ts';

export interface BlockShape {
  /** A power of two. */
  readonly rows: number;
  /** Features per block: a power of two, at least 2. */
  readonly columns: number;
  /** Samples per row: a power of two, at most half the columns (start scores work on pairs of slots). @default 1 */
  readonly turns?: number;
}

export interface Layout extends Required<BlockShape> {
  /** Slots of a sample: columns / turns, at least 2. */
  readonly width: number;
  readonly samplesPerShard: number;
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
  /** Ciphertexts of X, and of X~, that a shard takes: cell `turn * blocks + block`. */
  readonly cells: number;
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
export function layoutOf(
  shape: BlockShape,
  samples: number,
  features: number,
  classes: number,
  batchSize = samples,
): Layout {
  const { rows, columns, turns = 1 } = shape;
  const samplesPerShard = rows * turns;
  const batches = Math.ceil(samples / batchSize);
  const shardsPerBatch = Math.ceil(batchSize / samplesPerShard);
  const shards = (batches - 1) * shardsPerBatch + Math.ceil((samples - (batches - 1) * batchSize) / samplesPerShard);
  const blocks = Math.ceil(features / columns);
  const rowBits = Math.log2(rows);
  const blockBits = Math.ceil(Math.log2(blocks));
  if (!Number.isInteger(rowBits) || !Number.isInteger(Math.log2(columns)) || columns < 2 || rows < 1) {
    throw new PlanError(`a block of ${rows} x ${columns}`, 'rows and columns must be powers of two, at least 1 x 2');
  }
  if (!Number.isInteger(Math.log2(turns)) || turns < 1 || 2 * turns > columns) {
    throw new PlanError(
      `${turns} turns of ${columns} columns`,
      'turns must be a power of two, at most half the columns',
    );
  }
  if (blockBits > rowBits) {
    throw new PlanError(
      `${blocks} blocks of ${columns} features do not fit ${rows} rows`,
      `at most ${rows * columns} features for this block shape`,
    );
  }
  const pairs = Math.ceil(classes / 2);
  const pairsPerModel = 2 ** (rowBits - blockBits);
  return Object.freeze({
    rows,
    columns,
    turns,
    width: columns / turns,
    samplesPerShard,
    samples,
    features,
    classes,
    batchSize,
    batches,
    shardsPerBatch,
    shards,
    blocks,
    cells: turns * blocks,
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

/** The number of a shard's sample, undefined for padding. @param place of the sample in the shard */
export function sampleAt(layout: Layout, shard: number, place: number): number | undefined {
  const batch = batchOfShard(layout, shard);
  const within = (shard - batch * layout.shardsPerBatch) * layout.samplesPerShard + place;
  const sample = batch * layout.batchSize + within;
  return within < layout.batchSize && sample < layout.samples ? sample : undefined;
}

/** The cells of a shard that hold a block, by turn. */
export function cellsOf({ turns, blocks }: Pick<Layout, 'turns' | 'blocks'>, block: number): number[] {
  return Array.from({ length: turns }, (_, turn) => turn * blocks + block);
}

/** Inverse of {@link cellsOf}: turn and block of a cell. */
export function cellAt(
  { blocks }: Pick<Layout, 'blocks'>,
  cell: number,
): { readonly turn: number; readonly block: number } {
  return { turn: Math.floor(cell / blocks), block: cell % blocks };
}

/** The place in its shard of the sample that a slot of X belongs to. */
function placeOf({ width, samplesPerShard }: Layout, turn: number, slot: number): number {
  return (Math.floor(slot / width) - turn + samplesPerShard) % samplesPerShard;
}

/** As {@link placeOf}, of errors and labels, and of X~. */
function staggeredPlaceOf({ width, samplesPerShard }: Layout, turn: number, slot: number): number {
  return (Math.ceil(slot / width) + turn) % samplesPerShard;
}

function fill(
  layout: Layout,
  shard: number,
  cell: number,
  placeAt: typeof placeOf,
  value: (sample: number, feature: number) => number,
): Float64Array {
  const slots = new Float64Array(layout.rows * layout.columns);
  const { turn, block } = cellAt(layout, cell);
  for (let slot = 0; slot < slots.length; slot++) {
    const sample = sampleAt(layout, shard, placeAt(layout, turn, slot));
    const feature = block * layout.columns + (slot % layout.columns);
    if (sample !== undefined && feature < layout.features) slots[slot] = value(sample, feature);
  }
  return slots;
}

/** Slots of one cell of X. @param matrix samples x features, row-major */
export function encodeFeatures(layout: Layout, matrix: Float64Array, shard: number, cell: number): Float64Array {
  return fill(layout, shard, cell, placeOf, (sample, feature) => matrix[sample * layout.features + feature] ?? 0);
}

/** Slots of one cell of X~ = X o b, staggered. @param matrix samples x features, row-major */
export function encodeGradientFeatures(
  layout: Layout,
  matrix: Float64Array,
  shard: number,
  cell: number,
): Float64Array {
  return fill(
    layout,
    shard,
    cell,
    staggeredPlaceOf,
    (sample, feature) => matrix[sample * layout.features + feature] ?? 0,
  );
}

/** Slots of the labels of one class, staggered and centred: y - 0.5. @param labels one 0 or 1 per sample */
export function encodeLabels(layout: Layout, labels: Float64Array, shard: number): Float64Array {
  // All slots of a sample carry the label, also beyond the last feature, so the block does not matter.
  const wide = { ...layout, features: layout.columns };
  return fill(wide, shard, 0, staggeredPlaceOf, (sample) => (labels[sample] ?? 0) - 0.5);
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
    const sample = sampleAt(layout, shard, placeOf(layout, turn, slot));
    const feature = block * layout.columns + (slot % layout.columns);
    if (sample !== undefined && feature < layout.features) matrix[sample * layout.features + feature] = value;
  }
}

/** Inverse of {@link encodeLabels}, read from each sample's first slot: y - 0.5 per sample of the shard, written into `labels`. */
export function decodeErrors(layout: Layout, slots: Float64Array, shard: number, labels: Float64Array): void {
  for (let place = 0; place < layout.samplesPerShard; place++) {
    const sample = sampleAt(layout, shard, place);
    if (sample !== undefined) labels[sample] = slots[place * layout.width] ?? 0;
  }
}

/**
 * Slots of a chain's packed vectors: every pair under its own power of X.
 * @param weights by class: one number per feature; missing classes are zero
 */
export function encodeChain(
  layout: Layout,
  ring: number,
  pairs: readonly number[],
  weights: readonly (Float64Array | undefined)[],
): PairedSlots {
  const none = new Float64Array(layout.features);
  const sum = emptySlots(ring);
  for (const pair of pairs)
    addPair(sum, layout, ring, pairExponent(layout, pair), weights[2 * pair] ?? none, weights[2 * pair + 1] ?? none);
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
function addPair(
  sum: PairedSlots,
  layout: Layout,
  ring: number,
  power: number,
  first: Float64Array,
  second: Float64Array,
): void {
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
export function decodePair(
  layout: Layout,
  ring: number,
  model: PairedSlots,
  pair: number,
  weights: readonly Float64Array[],
): void {
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
