import { fileURLToPath } from 'node:url';

/** The two parts of the demo data. */
export type Split = 'train' | 'heldout';

/** Number of images in each part. */
export const IMAGE_COUNT: Readonly<Record<Split, number>> = { train: 1024, heldout: 256 };

/** Absolute paths of one split's two gzip'd IDX files: images of 28 x 28 bytes (white on black), labels of one byte. */
export interface DigitFiles {
  images: string;
  labels: string;
}

/**
 * Paths of the demo's digits on this machine: 1024 images for training, of which the first 128 hold every class evenly,
 * and 256 held-out images that were drawn with other fonts. Nothing is opened or parsed.
 */
export function digitFiles(split: Split): DigitFiles {
  const at = (name: string) => fileURLToPath(new URL(`../data/${split}-${name}.gz`, import.meta.url));
  return { images: at('images-idx3-ubyte'), labels: at('labels-idx1-ubyte') };
}
