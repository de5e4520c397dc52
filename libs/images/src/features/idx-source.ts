import { createHash } from 'node:crypto';
import { readIdxImages, readIdxLabels } from '@blindfit/data';
import { FeatureError } from '../feature-error.ts';
import { requireLimit, type ImageSource } from './image-source.ts';

export interface IdxSourceOptions {
  /** IDX images file, plain or gzip. */
  readonly images: string;
  /** IDX labels file, plain or gzip; without it the images have no labels. */
  readonly labels?: string | undefined;
  /** Number of images, from the first on. @default all */
  readonly limit?: number | undefined;
}

/**
 * Opens the images of an IDX file, such as MNIST's. Their bytes are held in memory (784 an image for MNIST) and become
 * floats batch by batch.
 *
 * @throws DatasetError for files that are missing, damaged or of the wrong kind
 * @throws FeatureError `bad-labels` when there is not one label per image
 */
export async function openIdxSource({
  images: path,
  labels: labelsPath,
  limit,
}: IdxSourceOptions): Promise<ImageSource> {
  requireLimit(limit);
  const images = await readIdxImages(path);
  const labels = labelsPath === undefined ? undefined : await readIdxLabels(labelsPath);
  if (labels !== undefined && labels.length !== images.count) {
    throw new FeatureError(
      'bad-labels',
      `${path} holds ${images.count} images and ${String(labelsPath)} ${labels.length} labels; ` +
        'name the labels file that belongs to these images',
    );
  }
  const { rows: height, columns: width } = images;
  const bytes = width * height;
  return Object.freeze({
    description: path,
    count: Math.min(images.count, limit ?? images.count),
    labelled: labels !== undefined,
    name: (index: number) => `image ${index} of ${path}`,
    label: (index: number) => labels?.[index],
    read: (index: number) => {
      const data = images.pixels.subarray(index * bytes, (index + 1) * bytes);
      return Promise.resolve({
        digest: createHash('sha256').update(`grey ${width} x ${height}\n`).update(data).digest(),
        decode: () => Promise.resolve({ width, height, channels: 1 as const, data }),
      });
    },
  });
}
