import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createDataset, type Dataset } from '@blindfit/data';
import { FeatureError } from '../feature-error.ts';
import type { FeatureModel } from './backbone.ts';
import { FeatureCache } from './feature-cache.ts';
import type { EncodedImage, ImageSource } from './image-source.ts';
import { Inference } from './inference.ts';
import { interfaceOf, requireFeatureShape, type ModelInterface } from './model-interface.ts';
import { TensorWriter } from './tensor.ts';

/** 20 MB of floats: large enough for onnxruntime's full speed, small enough for any machine. */
const BATCH_FLOATS = 5e6;
const MAX_BATCH = 128;
/**
 * Batches that onnxruntime works on side by side, each with its part of the threads. With one, all its threads wait
 * whenever one of them loses its core to the decoding of images: 8 % slower on two cores.
 */
const SESSIONS = 2;
/** Doubles in memory: 1 GiB, as a data set may hold. */
const MAX_VALUES = 2 ** 27;
/** Part of every cache key: to be raised when the same inputs are to give other features. */
const PIPELINE_VERSION = 1;

export interface ExtractOptions {
  readonly source: ImageSource;
  readonly backbone: FeatureModel;
  /** Which output of the model holds the features. @default its only one */
  readonly output?: string;
  /** Images a run of the model. @default as many as fit in 20 MB, at most 128; always the model's own if it has a fixed one */
  readonly batch?: number;
  /** Threads of onnxruntime. @default the cores of this machine */
  readonly threads?: number;
  /** Where features are kept, so that none is computed twice. @default nowhere */
  readonly cacheDirectory?: string;
  /** Pass over images that cannot be read, instead of failing. @default false */
  readonly skipBad?: boolean;
  /** Called when the model is loaded and images are about to be read. */
  readonly onStart?: () => void;
  /** Called for every image that is passed over, with the reason. */
  readonly onSkip?: (error: FeatureError) => void;
  readonly onProgress?: (progress: ExtractProgress) => void;
  readonly signal?: AbortSignal;
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
 * The features of every image, in order. Images are read, decoded and resized while onnxruntime works on the batch
 * before; memory is that of a few batches, for any number of images. Features depend on batch size and threads only by
 * rounding, well below 1e-4.
 *
 * @throws FeatureError `bad-argument`, `bad-model`, `unknown-output`, `bad-image`, `model-failed`, `not-finite` or `bad-cache`
 */
export async function* extractFeatures(options: ExtractOptions): AsyncGenerator<FeatureRow, void, void> {
  const { source, backbone, batch, threads = availableParallelism(), signal } = options;
  for (const [what, value] of [
    ['batch', batch],
    ['threads', threads],
  ] as const) {
    if (value !== undefined && (!Number.isSafeInteger(value) || value < 1))
      throw new FeatureError('bad-argument', `${what} must be a whole number of at least 1; got ${value}`);
  }
  signal?.throwIfAborted();
  const sessions = await loadSessions(backbone, Math.min(SESSIONS, threads, source.count), threads);
  let extractor: Extractor | undefined;
  try {
    const [{ inputs, outputs }] = sessions;
    const model = interfaceOf(backbone, inputs, outputs, options.output);
    const cache =
      options.cacheDirectory === undefined
        ? undefined
        : await FeatureCache.open(join(options.cacheDirectory, cacheKey(backbone, model)));
    extractor = new Extractor(options, model, sessions, cache);
    const size = extractor.capacity;
    options.onStart?.();
    const running: Promise<FeatureRow[]>[] = [];
    for (let start = 0; start < source.count; start += size) {
      signal?.throwIfAborted();
      const prepared = await extractor.prepare(start, Math.min(source.count, start + size));
      const after = extractor.finish(prepared);
      // It may fail while nobody waits for it yet; whoever does gets the error.
      after.catch(() => undefined);
      const before = running.length === sessions.length ? running.shift() : undefined;
      running.push(after);
      if (before !== undefined) yield* await before;
    }
    for (const rows of running) yield* await rows;
    signal?.throwIfAborted();
  } finally {
    await Promise.all(sessions.map((session) => session.close()));
    extractor?.close();
  }
}

type Sessions = readonly [Inference, ...Inference[]];

/** The model, `count` times, with `threads` threads in all. */
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

/** The features of all images as one data set, in memory. */
export interface ExtractedDataset {
  /** n x d; labels if the source has them. */
  readonly data: Dataset;
  /** By row, the number of the image in its source: not 0, 1, 2, ... only when images were passed over. */
  readonly indices: Int32Array;
}

/**
 * As {@link extractFeatures}, gathered.
 * @throws FeatureError as there, and `bad-image` when no image could be read
 * @throws DatasetError `too-large`
 */
export async function extractDataset(options: ExtractOptions): Promise<ExtractedDataset> {
  let features = new Float64Array(0);
  const indices: number[] = [];
  const labels: string[] = [];
  let d = 0;
  for await (const row of extractFeatures(options)) {
    if (d === 0) {
      d = row.features.length;
      if (options.source.count * d > MAX_VALUES) {
        throw new FeatureError(
          'bad-argument',
          `${options.source.count} images x ${d} features are more than the ${MAX_VALUES} numbers that fit in memory; take fewer images (--limit)`,
        );
      }
      features = new Float64Array(options.source.count * d);
    }
    features.set(row.features, indices.length * d);
    indices.push(row.index);
    if (row.label !== undefined) labels.push(row.label);
  }
  if (d === 0) throw new FeatureError('bad-image', `none of the images of ${options.source.description} can be read`);
  const used = features.subarray(0, indices.length * d);
  return {
    data: options.source.labelled ? createDataset(used, d, labels) : createDataset(used, d),
    indices: Int32Array.from(indices),
  };
}

/** What determines the features of an image, besides the image. */
function cacheKey(backbone: FeatureModel, { preprocessing, output }: ModelInterface): string {
  const { size, planes, order, mean, std } = preprocessing;
  return createHash('sha256')
    .update(JSON.stringify({ version: PIPELINE_VERSION, output, size, planes, order, mean, std }))
    .update(createHash('sha256').update(backbone.bytes).digest())
    .digest('hex');
}

interface Job {
  readonly index: number;
  readonly digest: Buffer;
  /** Where it is in the batch, if it has to be computed. */
  readonly place: number;
  readonly known: Float32Array | undefined;
}

interface Prepared {
  readonly jobs: readonly Job[];
  /** The images to compute, one after the other; longer than they are. Undefined if there are none. */
  readonly tensor: Float32Array<ArrayBuffer> | undefined;
  readonly count: number;
  readonly skipped: number;
}

class Extractor {
  readonly #options: ExtractOptions;
  readonly #model: ModelInterface;
  readonly #sessions: Sessions;
  readonly #cache: FeatureCache | undefined;
  readonly #writer: TensorWriter;
  readonly #progress = { done: 0, computed: 0, cached: 0, skipped: 0 };
  /** Images of a batch. */
  readonly #capacity: number;
  /** Batches that may be written to. */
  readonly #spare: Float32Array<ArrayBuffer>[] = [];
  /** Batches that went to a session, which take turns. */
  #batches = 0;
  /** Features of an image; 0 until known. */
  #d = 0;

  constructor(options: ExtractOptions, model: ModelInterface, sessions: Sessions, cache: FeatureCache | undefined) {
    this.#options = options;
    this.#model = model;
    this.#sessions = sessions;
    this.#cache = cache;
    this.#writer = new TensorWriter(model.preprocessing);
    const share = Math.ceil(options.source.count / sessions.length);
    this.#capacity =
      options.batch ?? Math.max(1, Math.min(MAX_BATCH, share, Math.floor(BATCH_FLOATS / this.#writer.imageLength)));
  }

  /** Images of a batch, but for the last one. */
  get capacity(): number {
    return this.#capacity;
  }

  close(): void {
    this.#cache?.close();
  }

  /** Reads images `from` to `to`, and decodes those whose features are not in the cache, a few at a time. */
  async prepare(from: number, to: number): Promise<Prepared> {
    const { source, signal } = this.#options;
    const length = this.#writer.imageLength;
    const found: (Omit<Job, 'place'> | undefined)[] = Array.from({ length: to - from }, () => undefined);
    let tensor: Float32Array<ArrayBuffer> | undefined;
    let [next, skipped] = [from, 0];
    const work = async (): Promise<void> => {
      while (next < to) {
        signal?.throwIfAborted();
        const index = next++;
        try {
          const image: EncodedImage = await source.read(index);
          const known = this.#cache?.get(image.digest);
          if (known === undefined) {
            const pixels = await image.decode();
            tensor ??= this.#spare.pop() ?? new Float32Array(this.#capacity * length);
            this.#writer.write(pixels, tensor, index - from);
          }
          found[index - from] = { index, digest: image.digest, known };
        } catch (error) {
          if (!(error instanceof FeatureError) || error.code !== 'bad-image' || this.#options.skipBad !== true)
            throw error;
          skipped++;
          this.#options.onSkip?.(error);
        }
      }
    };
    // A large photograph takes hundreds of MB while it is decoded.
    await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, work));
    let count = 0;
    const jobs = found.flatMap((job, at): Job[] => {
      if (job === undefined) return [];
      if (job.known !== undefined) return [{ ...job, place: -1 }];
      // Closes the gaps that known and skipped images left, in order: the order of decoding must not show.
      if (count < at) tensor?.copyWithin(count * length, at * length, (at + 1) * length);
      return [{ ...job, place: count++ }];
    });
    return { jobs, tensor, count, skipped };
  }

  /** Runs the model on what was prepared, keeps what is new, and tells the progress. */
  async finish({ jobs, tensor, count, skipped }: Prepared): Promise<FeatureRow[]> {
    const { source } = this.#options;
    const computed = await this.#compute(tensor, count, (place) =>
      source.name(jobs.find((job) => job.place === place)?.index ?? -1),
    );
    const rows: FeatureRow[] = [];
    const fresh: { key: Buffer; features: Float32Array }[] = [];
    for (const { index, digest, place, known } of jobs) {
      const features = known ?? computed.subarray(place * this.#d, (place + 1) * this.#d).slice();
      if (known === undefined) fresh.push({ key: digest, features });
      rows.push({ index, label: source.label(index), features });
    }
    this.#cache?.append(fresh);
    const progress = this.#progress;
    progress.computed += count;
    progress.cached += rows.length - count;
    progress.skipped += skipped;
    progress.done += rows.length + skipped;
    this.#options.onProgress?.({ total: source.count, ...progress });
    return rows;
  }

  /** @returns count x d */
  async #compute(
    tensor: Float32Array<ArrayBuffer> | undefined,
    count: number,
    nameOf: (place: number) => string,
  ): Promise<Float32Array> {
    const { fixedBatch, preprocessing } = this.#model;
    const { size, planes } = preprocessing;
    const length = this.#writer.imageLength;
    if (tensor === undefined) return new Float32Array(0);
    const session = this.#sessions[this.#batches++ % this.#sessions.length] ?? this.#sessions[0];
    if (fixedBatch === undefined) {
      const result = await session.run(tensor, [count, planes, size, size], this.#model.output);
      // Fresh memory for every batch would cost as much as decoding it.
      this.#spare.push(new Float32Array(result.input));
      return this.#features(result, count, count, nameOf);
    }
    const step = fixedBatch;
    const parts = await Promise.all(
      Array.from({ length: Math.ceil(count / step) }, async (_, part) => {
        const from = part * step;
        const used = Math.min(step, count - from);
        // A model of a fixed batch gets its last one filled up with black images.
        const data = new Float32Array(step * length);
        data.set(tensor.subarray(from * length, (from + used) * length));
        const result = await session.run(data, [step, planes, size, size], this.#model.output);
        return this.#features(result, step, used, (place) => nameOf(from + place));
      }),
    );
    this.#spare.push(tensor);
    const all = new Float32Array(count * this.#d);
    parts.forEach((part, p) => all.set(part, p * step * this.#d));
    return all;
  }

  /** Averages over space, and checks what came out. @returns used x d */
  #features(
    { data, dims }: { data: Float32Array; dims: readonly number[] },
    batch: number,
    used: number,
    nameOf: (place: number) => string,
  ): Float32Array {
    const { backbone } = this.#options;
    const { output } = this.#model;
    requireFeatureShape(backbone.name, output, dims);
    const [n, d = 0] = dims;
    const area = dims.slice(2).reduce((product, side) => product * side, 1);
    if (n !== batch || d < 1 || area < 1 || (this.#d !== 0 && d !== this.#d)) {
      throw new FeatureError(
        'bad-model',
        `${backbone.name} made ${dims.join(' x ')} features of ${batch} images; it must make one row per image, always of the same length`,
      );
    }
    this.#d = d;
    const features = new Float32Array(used * d);
    for (let at = 0; at < features.length; at++) {
      let sum = 0;
      for (let p = at * area; p < (at + 1) * area; p++) sum += data[p] ?? NaN;
      const value = sum / area;
      if (!Number.isFinite(value)) {
        throw new FeatureError(
          'not-finite',
          `feature ${at % d} of ${nameOf(Math.floor(at / d))} is ${value}: ${backbone.name} cannot be used on it; check --mean and --std, and whether the model is damaged`,
        );
      }
      features[at] = value;
    }
    return features;
  }
}
