import { availableParallelism } from 'node:os';
import { FeatureError } from '../feature-error.ts';
import type { FeatureCache } from './feature-cache.ts';
import type { ImageSource } from './image-source.ts';
import { TensorWriter, type ImagePreprocessing } from './tensor.ts';

/** A large photograph takes hundreds of MB while it is decoded. */
const MAX_DECODERS = 4;

/** An image of a batch, in the order of the source. */
interface BatchImage {
  readonly index: number;
  readonly digest: Buffer;
  /** Its features, if the cache has them. */
  readonly cached: Float32Array | undefined;
}

/** Images that were read, without the skipped ones. */
export interface Batch {
  readonly images: readonly BatchImage[];
  /** The images to compute, one after the other; longer than they are. Undefined if there are none. */
  readonly tensor: Float32Array<ArrayBuffer> | undefined;
  /** Number of images to compute. */
  readonly count: number;
  readonly skipped: number;
}

interface ReaderOptions {
  readonly source: ImageSource;
  readonly preprocessing: ImagePreprocessing;
  readonly cache: FeatureCache | undefined;
  /** Most images of a batch. */
  readonly capacity: number;
  /** Where tensors come back to after use: fresh memory for every batch would cost as much as decoding it. */
  readonly runner: { readonly spare: Float32Array<ArrayBuffer>[] };
  readonly skipBad?: boolean | undefined;
  readonly onSkip?: ((error: FeatureError) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Reads images, and decodes those whose features are not in the cache, a few at a time. */
export class BatchReader {
  readonly #options: ReaderOptions;
  readonly #writer: TensorWriter;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#writer = new TensorWriter(options.preprocessing);
  }

  /** Reads the images from number `start` up to, but without, number `end`. */
  async read(start: number, end: number): Promise<Batch> {
    const { source, cache, capacity, runner, skipBad = false, onSkip, signal } = this.#options;
    const length = this.#writer.imageLength;
    const images = new Array<BatchImage | undefined>(end - start).fill(undefined);
    let tensor: Float32Array<ArrayBuffer> | undefined;
    let [next, skipped] = [start, 0];
    const work = async (): Promise<void> => {
      while (next < end) {
        signal?.throwIfAborted();
        const index = next++;
        try {
          const image = await source.read(index);
          const cached = cache?.get(image.digest);
          if (cached === undefined) {
            const pixels = await image.decode();
            tensor ??= runner.spare.pop() ?? new Float32Array(capacity * length);
            this.#writer.write(pixels, tensor, index - start);
          }
          images[index - start] = { index, digest: image.digest, cached };
        } catch (error) {
          if (!skipBad || !(error instanceof FeatureError) || error.code !== 'bad-image') throw error;
          skipped++;
          onSkip?.(error);
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(MAX_DECODERS, availableParallelism()) }, work));
    let count = 0;
    images.forEach((image, position) => {
      if (image === undefined || image.cached !== undefined) return;
      // Closes the gaps that cached and skipped images left, in the order of the source.
      if (count < position) tensor?.copyWithin(count * length, position * length, (position + 1) * length);
      count++;
    });
    return { images: images.filter((image) => image !== undefined), tensor, count, skipped };
  }
}
