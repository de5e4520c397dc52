import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { at } from '@blindfit/base';
import { FeatureError } from '../feature-error.ts';
import type { FeatureModel } from './backbone.ts';
import { BatchReader, type Batch } from './batch-reader.ts';
import { BatchRunner } from './batch-runner.ts';
import { FeatureCache } from './feature-cache.ts';
import type { ImageSource } from './image-source.ts';
import { Inference } from './inference.ts';
import { interfaceOf, type ModelInterface } from './model-interface.ts';

/** 20 MB of floats: large enough for onnxruntime's full speed, small enough for any machine. */
const BATCH_FLOATS = 5e6;
const MAX_BATCH = 128;
/**
 * Batches that onnxruntime works on at the same time, each with its part of the threads. With one batch, all threads
 * wait whenever one of them loses its core to the decoding of images: 8 % slower on two cores.
 */
const SESSIONS = 2;
/** Part of every cache key. Raise it when the same inputs give other features than before. */
const PIPELINE_VERSION = 1;

export interface ExtractOptions {
  readonly source: ImageSource;
  readonly backbone: FeatureModel;
  /** Which output of the model holds the features. @default its only one */
  readonly output?: string | undefined;
  /** Images in one run of the model, unless its file fixes them. @default as many as fit in 20 MB, at most 128 */
  readonly batch?: number | undefined;
  /** Threads of onnxruntime. @default the cores of this machine */
  readonly threads?: number | undefined;
  /** Where features are stored for later runs. @default nowhere */
  readonly cacheDirectory?: string | undefined;
  /** Whether images that cannot be read are skipped instead of ending the extraction. @default false */
  readonly skipBad?: boolean | undefined;
  /** Called after the model is loaded, before the first image is read. */
  readonly onStart?: (() => void) | undefined;
  /** Called for every skipped image, with the reason. */
  readonly onSkip?: ((error: FeatureError) => void) | undefined;
  readonly onProgress?: ((progress: ExtractProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Numbers of images. `done` is the sum of the other three. */
export interface ExtractProgress {
  readonly total: number;
  readonly done: number;
  readonly computed: number;
  readonly cached: number;
  readonly skipped: number;
}

export interface FeatureRow {
  /** Number of the image in its source. */
  readonly index: number;
  readonly label: string | undefined;
  readonly features: Float32Array;
}

/**
 * Computes the features of every image, in order. Images are read, decoded and resized while onnxruntime works on the
 * batch before; memory is that of a few batches, for any number of images. Features depend on the size of the batches
 * and the number of threads only by rounding, well below 1e-4.
 *
 * @throws FeatureError `bad-argument`, `bad-model`, `unknown-output`, `bad-image`, `model-failed`, `not-finite` or
 * `bad-cache`
 */
export async function* extractFeatures(options: ExtractOptions): AsyncGenerator<FeatureRow, void, void> {
  const { source, backbone, batch, threads = availableParallelism(), cacheDirectory, signal } = options;
  for (const [what, value] of Object.entries({ batch, threads })) {
    if (value !== undefined && (!Number.isSafeInteger(value) || value < 1))
      throw new FeatureError('bad-argument', `${what} must be a whole number of at least 1; got ${value}`);
  }
  signal?.throwIfAborted();
  const sessions = await loadSessions(backbone, Math.min(SESSIONS, threads, source.count), threads);
  let cache: FeatureCache | undefined;
  try {
    const model = interfaceOf(backbone, sessions[0].inputs, sessions[0].outputs, options.output);
    if (cacheDirectory !== undefined) cache = await FeatureCache.open(join(cacheDirectory, cacheKey(backbone, model)));
    const capacity = batch ?? batchSize(model, source.count, sessions.length);
    const runner = new BatchRunner(backbone.name, model, sessions);
    const reader = new BatchReader({ ...options, preprocessing: model.preprocessing, cache, capacity, runner });
    const progress = new Progress(options);
    const finish = async (prepared: Batch): Promise<FeatureRow[]> => {
      const rows = await featuresOf(prepared, source, runner, cache);
      progress.add(prepared, rows.length);
      return rows;
    };
    options.onStart?.();
    const running: Promise<FeatureRow[]>[] = [];
    for (let start = 0; start < source.count; start += capacity) {
      signal?.throwIfAborted();
      const prepared = await reader.read(start, Math.min(source.count, start + capacity));
      const rows = finish(prepared);
      // It may fail before it is awaited; the error is reported there.
      rows.catch(() => undefined);
      const before = running.length === sessions.length ? running.shift() : undefined;
      running.push(rows);
      if (before !== undefined) yield* await before;
    }
    for (const rows of running) yield* await rows;
    signal?.throwIfAborted();
  } finally {
    await Promise.all(sessions.map((session) => session.close()));
    cache?.close();
  }
}

/** Runs the model on the images of a batch that are not in the cache, and stores their features there. */
async function featuresOf(
  { images, tensor, count }: Batch,
  source: ImageSource,
  runner: BatchRunner,
  cache: FeatureCache | undefined,
): Promise<FeatureRow[]> {
  const fresh = images.filter(({ cached }) => cached === undefined);
  const computed = await runner.run(tensor, count, (row) => source.name(at(fresh, row, 'images of the batch').index));
  cache?.append(fresh.map(({ digest }, row) => ({ key: digest, features: at(computed, row, 'computed features') })));
  let next = 0;
  return images.map(({ index, cached }) => ({
    index,
    label: source.label(index),
    features: cached ?? at(computed, next++, 'computed features'),
  }));
}

class Progress {
  readonly #options: ExtractOptions;
  readonly #numbers = { done: 0, computed: 0, cached: 0, skipped: 0 };

  constructor(options: ExtractOptions) {
    this.#options = options;
  }

  add({ count, skipped }: Batch, rows: number): void {
    const numbers = this.#numbers;
    numbers.computed += count;
    numbers.cached += rows - count;
    numbers.skipped += skipped;
    numbers.done += rows + skipped;
    this.#options.onProgress?.({ total: this.#options.source.count, ...numbers });
  }
}

function batchSize({ preprocessing: { planes, size } }: ModelInterface, images: number, sessions: number): number {
  const fitting = Math.floor(BATCH_FLOATS / (planes * size ** 2));
  return Math.max(1, Math.min(MAX_BATCH, Math.ceil(images / sessions), fitting));
}

type Sessions = readonly [Inference, ...Inference[]];

/** Loads the model `count` times, with `threads` threads in all. */
async function loadSessions({ name, bytes }: FeatureModel, count: number, threads: number): Promise<Sessions> {
  const first = await Inference.load(name, bytes, Math.ceil(threads / Math.max(1, count)));
  if (count < 2) return [first];
  try {
    return [first, await Inference.load(name, bytes, Math.floor(threads / count))];
  } catch (error) {
    await first.close();
    throw error;
  }
}

/** A digest of all that determines the features of an image, besides the image. */
function cacheKey(backbone: FeatureModel, { preprocessing, output }: ModelInterface): string {
  const { size, planes, order, mean, std } = preprocessing;
  return createHash('sha256')
    .update(JSON.stringify({ version: PIPELINE_VERSION, output, size, planes, order, mean, std }))
    .update(createHash('sha256').update(backbone.bytes).digest())
    .digest('hex');
}
