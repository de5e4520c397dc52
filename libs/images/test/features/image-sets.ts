/** Small sets of images and models for the tests of extraction. */
import { join } from 'node:path';
import { openIdxSource, type FeatureModel, type ImageSource } from '@blindfit/images';
import { echo } from './onnx.ts';
import { idx, noise, put } from './support.ts';

/** Images of 2 x 2 pixels in memory: the bytes of image i are 10 i, 10 i + 1, ... */
export async function ramps(folder: string, count: number): Promise<ImageSource> {
  const pixels = Uint8Array.from({ length: 4 * count }, (_, at) => (10 * Math.floor(at / 4) + (at % 4)) % 256);
  const images = await put(join(folder, 'images.idx'), idx([count, 2, 2], pixels));
  const labels = await put(
    join(folder, 'labels.idx'),
    idx(
      [count],
      Uint8Array.from({ length: count }, (_, i) => i % 10),
    ),
  );
  return await openIdxSource({ images, labels });
}

export async function noiseImages(folder: string, count: number, side = 28): Promise<ImageSource> {
  return await openIdxSource({
    images: await put(join(folder, `noise-${count}.idx`), idx([count, side, side], noise(count * side * side))),
  });
}

export const model = (bytes: Uint8Array, rest: Omit<FeatureModel, 'name' | 'bytes'> = {}): FeatureModel => ({
  name: 'test.onnx',
  bytes,
  ...rest,
});
export const ECHO = model(echo(['N', 1, 2, 2]));
export const echoed = (i: number): number[] => [0, 1, 2, 3].map((k) => Math.fround(((10 * i + k) % 256) / 255));
