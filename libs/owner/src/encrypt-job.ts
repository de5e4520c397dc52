/** Encrypts the training data of a job, ciphertext by ciphertext, so that any amount of it fits in memory. */
import { at, type Digest, digestOf } from '@blindfit/base';
import { wrap } from '@blindfit/he';
import type { TrainingManifest } from '@blindfit/protocol';
import {
  batchOfShard,
  batchRange,
  cellAt,
  encodeFeatures,
  encodeGradientFeatures,
  encodeLabels,
  isFullPair,
  quadraticGradientRow,
  type Plan,
} from '@blindfit/training';
import { JobDataError } from './errors.ts';
import { assertPlanned, assertRowsFit } from './fits-plan.ts';
import type { Keyset } from './keyset.ts';
import { nextTurn } from './next-turn.ts';

/** Preprocessed training data in the clear. It never leaves the owner's machine. */
export interface TrainingSet {
  /** samples x features, row-major, the bias column included. */
  readonly x: Float64Array;
  readonly samples: number;
  readonly features: number;
  /** By class: one 0 or 1 per sample. */
  readonly labels: readonly Float64Array[];
  /**
   * How much each sample counts, of mean 1. Rows of X~ are multiplied by them: the servers see nothing of it.
   * @default 1 each
   */
  readonly rowWeights?: Float64Array | undefined;
}

/** The quadratic gradient's row b of every batch. @param size of a batch */
export function gradientRows({ x, samples, features, rowWeights }: TrainingSet, size: number): Float64Array[] {
  return Array.from({ length: Math.ceil(samples / size) }, (_, batch) => {
    const { from, to } = batchRange(samples, size, batch);
    const rows = x.subarray(from * features, to * features);
    return quadraticGradientRow(rows, to - from, features, rowWeights?.subarray(from, to));
  });
}

/** The parts of a manifest's blobs that hold data: digests by shard, then by cell or by pair of classes. */
export type DataBlobs = Pick<TrainingManifest['blobs'], 'features' | 'gradientFeatures' | 'labels'>;

export interface EncryptedBlob {
  readonly name: keyof DataBlobs;
  readonly shard: number;
  /** The cell, or the pair of classes. */
  readonly index: number;
  /** As error messages about manifests name it, e.g. `blobs.features[0][3]`. */
  readonly place: string;
  readonly digest: Digest;
  /** Header and ciphertext, ready for upload. */
  readonly bytes: Uint8Array;
}

export interface EncryptOptions {
  /** Takes each ciphertext as it comes, in the manifest's order; the next one is made when the promise resolves. */
  readonly store: (blob: EncryptedBlob) => Promise<void>;
  /** Called before the first and after every ciphertext. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Ciphertexts that {@link encryptJob} makes for a plan. */
export function countBlobs({ layout }: Plan): number {
  return layout.shards * (2 * layout.cells + layout.pairs);
}

/**
 * Encrypts X, X~ = diag(w) X o b and the labels under the owner's key. Each ciphertext blocks the event loop for some
 * 10 to 50 ms; it is free in between.
 * @returns the digests, in the places the manifest has for them
 * @throws JobDataError when the data do not fit the plan; whatever `store` throws
 */
export async function encryptJob(
  keyset: Keyset,
  plan: Plan,
  data: TrainingSet,
  options: EncryptOptions,
): Promise<DataBlobs> {
  assertFits(keyset, plan, data);
  const { layout, parameters } = plan;
  const rows = gradientRows(data, layout.batchSize);
  const total = countBlobs(plan);
  let done = 0;

  const encrypt = async (
    name: keyof DataBlobs,
    shard: number,
    index: number,
    first: Float64Array,
    second?: Float64Array,
  ): Promise<Digest> => {
    const { level, scale } = plan[name];
    const bytes = wrap(
      parameters,
      { kind: 'ciphertext', level, scale },
      keyset.secret.encryptToBytes(first, level, scale, second),
    );
    const digest = digestOf(bytes);
    await options.store({ name, shard, index, place: `blobs.${name}[${shard}][${index}]`, digest, bytes });
    options.onProgress?.(++done, total);
    await nextTurn();
    return digest;
  };
  const grid = async (
    columns: number,
    cell: (shard: number, index: number) => Promise<Digest>,
  ): Promise<Digest[][]> => {
    const rows: Digest[][] = [];
    for (let shard = 0; shard < layout.shards; shard++) {
      const row: Digest[] = [];
      for (let index = 0; index < columns; index++) row.push(await cell(shard, index));
      rows.push(row);
    }
    return rows;
  };

  options.onProgress?.(0, total);
  const features = await grid(layout.cells, (shard, cell) =>
    encrypt('features', shard, cell, encodeFeatures(layout, data.x, shard, cell)),
  );
  const gradientFeatures = await grid(layout.cells, (shard, cell) => {
    // Staggering moves samples, never columns: b can be multiplied in slot by slot, and no second matrix is needed.
    const slots = encodeGradientFeatures(layout, data.x, shard, cell, data.rowWeights);
    const { block } = cellAt(layout, cell);
    const b = at(rows, batchOfShard(layout, shard), 'batches');
    return encrypt(
      'gradientFeatures',
      shard,
      cell,
      slots.map((value, slot) => {
        const column = block * layout.columns + (slot % layout.columns);
        return column < b.length ? value * at(b, column, 'features') : 0;
      }),
    );
  });
  const labels = await grid(layout.pairs, (shard, pair) => {
    const labelsOf = (label: number): Float64Array =>
      encodeLabels(layout, data.labels[label] ?? new Float64Array(), shard);
    return encrypt(
      'labels',
      shard,
      pair,
      labelsOf(2 * pair),
      isFullPair(layout, pair) ? labelsOf(2 * pair + 1) : undefined,
    );
  });
  return { features, gradientFeatures, labels };
}

/** Beyond it the mean of the weights of rows is not 1, but what rounding makes of 1. */
const MEAN_TOLERANCE = 1e-6;

function assertRowWeights({ rowWeights, samples }: TrainingSet): void {
  if (rowWeights === undefined) return;
  assertPlanned('weights of rows', rowWeights.length, samples);
  const sample = rowWeights.findIndex((weight) => !(weight >= 0 && Number.isFinite(weight)));
  if (sample >= 0)
    throw new JobDataError(`the weight of sample ${sample} is ${rowWeights[sample]}`, 'allowed: finite, 0 or more');
  const mean = rowWeights.reduce((sum, weight) => sum + weight, 0) / samples;
  if (Math.abs(mean - 1) > MEAN_TOLERANCE)
    throw new JobDataError(`the weights of the rows have mean ${mean}`, 'divide them by it: the mean is 1');
}

function assertFits(keyset: Keyset, plan: Plan, data: TrainingSet): void {
  assertPlanned('classes', data.labels.length, plan.layout.classes);
  assertRowsFit(keyset, plan, data);
  assertRowWeights(data);
  data.labels.forEach((column, label) => {
    assertPlanned(`labels of class ${label}`, column.length, data.samples);
    const sample = column.findIndex((value) => value !== 0 && value !== 1);
    if (sample >= 0)
      throw new JobDataError(
        `the label of class ${label} for sample ${sample} is ${column[sample] ?? 'missing'}`,
        'allowed: 0 and 1',
      );
  });
}
