import { at } from '@blindfit/base';
import { FeatureError } from '../feature-error.ts';
import type { Inference } from './inference.ts';
import { requireFeatureShape, type ModelInterface } from './model-interface.ts';

/** Runs batches through the model. */
export class BatchRunner {
  /** Tensors that may be written to again. */
  readonly spare: Float32Array<ArrayBuffer>[] = [];
  readonly #name: string;
  readonly #model: ModelInterface;
  readonly #sessions: readonly Inference[];
  /** Number of batches so far; sessions take turns. */
  #batches = 0;
  /** Features of an image; 0 before the first batch. */
  #d = 0;

  /** @param name of the model, for messages */
  constructor(name: string, model: ModelInterface, sessions: readonly Inference[]) {
    this.#name = name;
    this.#model = model;
    this.#sessions = sessions;
  }

  /**
   * Computes the features of `count` images.
   * @param tensor holds them one after the other, and perhaps more; it goes to {@link spare} afterwards
   * @param nameOf names an image in errors
   * @throws FeatureError `bad-model`, `model-failed` or `not-finite`
   */
  async run(
    tensor: Float32Array<ArrayBuffer> | undefined,
    count: number,
    nameOf: (image: number) => string,
  ): Promise<Float32Array[]> {
    if (tensor === undefined) return [];
    const { fixedBatch, preprocessing, output } = this.#model;
    const { size, planes } = preprocessing;
    const session = at(this.#sessions, this.#batches++ % this.#sessions.length, 'sessions');
    if (fixedBatch === undefined) {
      const result = await session.run(tensor, [count, planes, size, size], output);
      this.spare.push(new Float32Array(result.input));
      return this.#features(result, count, count, nameOf);
    }
    const length = planes * size * size;
    const parts = await Promise.all(
      Array.from({ length: Math.ceil(count / fixedBatch) }, async (_, part) => {
        const start = part * fixedBatch;
        const images = Math.min(fixedBatch, count - start);
        // The last batch is filled up with zeros.
        const data = new Float32Array(fixedBatch * length);
        data.set(tensor.subarray(start * length, (start + images) * length));
        const result = await session.run(data, [fixedBatch, planes, size, size], output);
        return this.#features(result, fixedBatch, images, (image) => nameOf(start + image));
      }),
    );
    this.spare.push(tensor);
    return parts.flat();
  }

  /** Checks the result of a batch and averages over space. @returns the features of the first `count` images */
  #features(
    { data, dims }: { data: Float32Array; dims: readonly number[] },
    batch: number,
    count: number,
    nameOf: (image: number) => string,
  ): Float32Array[] {
    requireFeatureShape(this.#name, this.#model.output, dims);
    const [n, d = 0] = dims;
    const area = dims.slice(2).reduce((product, side) => product * side, 1);
    if (n !== batch || d < 1 || area < 1 || (this.#d !== 0 && d !== this.#d)) {
      throw new FeatureError(
        'bad-model',
        `${this.#name} made ${dims.join(' x ')} features of ${batch} images; ` +
          'it must make one row per image, always of the same length',
      );
    }
    this.#d = d;
    return Array.from({ length: count }, (_, image) => {
      const features = new Float32Array(d);
      for (let j = 0; j < d; j++) {
        const start = (image * d + j) * area;
        let sum = 0;
        for (let i = start; i < start + area; i++) sum += data[i]!;
        features[j] = sum / area;
        if (Number.isFinite(features[j])) continue;
        throw new FeatureError(
          'not-finite',
          `feature ${j} of ${nameOf(image)} is ${sum / area}: ${this.#name} cannot be used on it; ` +
            'check `mean` and `std`, and whether the model is damaged',
        );
      }
      return features;
    });
  }
}
