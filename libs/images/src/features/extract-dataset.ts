import { createDataset, type Dataset } from '@blindfit/data';
import { FeatureError } from '../feature-error.ts';
import { extractFeatures, type ExtractOptions } from './extract.ts';

/** Most doubles in memory: 1 GiB, the limit of a data set. */
export const MAX_VALUES = 2 ** 27;

/** The features of all images as one data set, in memory. */
export interface ExtractedDataset {
  /** n x d; labels if the source has them. */
  readonly data: Dataset;
  /** By row, the number of the image in its source: 0, 1, 2, ... unless images were skipped. */
  readonly indices: Int32Array;
}

/**
 * Computes the features of all images.
 * @param maxValues most images x features
 * @throws FeatureError as {@link extractFeatures}, and `bad-image` when no image could be read
 */
export async function extractDataset(options: ExtractOptions, maxValues = MAX_VALUES): Promise<ExtractedDataset> {
  const { source } = options;
  let features = new Float64Array(0);
  const indices: number[] = [];
  const labels: string[] = [];
  let d = 0;
  for await (const row of extractFeatures(options)) {
    if (d === 0) {
      d = row.features.length;
      if (source.count * d > maxValues) {
        throw new FeatureError(
          'bad-argument',
          `${source.count} images x ${d} features are more than the ${maxValues} numbers that fit in memory; ` +
            'take fewer images (`limit`)',
        );
      }
      features = new Float64Array(source.count * d);
    }
    features.set(row.features, indices.length * d);
    indices.push(row.index);
    if (row.label !== undefined) labels.push(row.label);
  }
  if (d === 0) throw new FeatureError('bad-image', `none of the images of ${source.description} can be read`);
  const filled = features.subarray(0, indices.length * d);
  return {
    data: source.labelled ? createDataset(filled, d, labels) : createDataset(filled, d),
    indices: Int32Array.from(indices),
  };
}
