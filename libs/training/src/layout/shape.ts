/**
 * The Volley Revolver encoding: where samples, features and weights sit in the slots.
 *
 * A ciphertext holds `rows` rows by `columns` features, slot (i, c) = i * columns + c. Features beyond one block make
 * *blocks*. Weights are the same in every row: slot (i, c) holds w[c]. Rotating left by a multiple of `columns`
 * revolves the rows, and because rows are the outer dimension that rotation is cyclic: a sum over the rows comes out
 * replicated.
 *
 * With one *turn* a row is a sample: X has x[i][c] in slot (i, c). With K turns a row is K samples, of `width` =
 * columns / K slots each, and X takes K ciphertexts a block: as weights repeat after `columns` slots, sample m (of
 * width slots, from slot m * width on) meets all of them in K turns. Turn t of X holds at slot m * width + e the sample
 * m - t, feature ((m mod K) * width + e); its products with the weights, rotated left by t * width, are those of sample
 * m with a K-th of its features. The sum over the turns thus holds the scores of rows * K samples in one ciphertext,
 * still spread over width slots each; and everything after it is done once, where K ciphertexts of whole rows would
 * have it done K times. (With a width of 1 these would be Halevi and Shoup's diagonals.) Samples beyond rows * K make
 * further *shards*.
 *
 * Errors, labels and gradient features X~ = X o b are *staggered*, which follows from using left rotations only (which
 * halves the rotation keys, see `circuits/`): slot m * width holds sample m, the slots from there to the next hold
 * sample m + 1. Replicating a value by left rotations spreads it over the slots before its own; the owner, who lays out
 * labels and X~, meets it there. Turn t of X~ meets the errors rotated left by t * width: it holds sample m + t where
 * errors hold sample m.
 */
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
  /**
   * Two classes travel in one ciphertext as real and imaginary part; in the last pair of an odd number the second one
   * is void.
   */
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
 * The power of X under which block `block` of a pair travels in the pair's packed ciphertext. Bit s of the block
 * chooses 2^(rowBits - 1 - s), the monomial whose sign the row rotation of stage s flips (see `circuits/pack.ts`).
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
