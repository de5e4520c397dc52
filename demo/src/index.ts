import { fileURLToPath } from 'node:url';
import type { Split } from './fonts.ts';

export type { Split } from './fonts.ts';
export { IMAGE_COUNT } from './fonts.ts';

/** Absolute paths of one split's two gzip'd IDX files: images of 28 x 28 bytes (white on black), labels of one byte. */
export interface DigitFiles {
  images: string;
  labels: string;
}

/**
 * Where the demo's digits lie on this machine: 1024 images for training, of which the first 128 already hold every class evenly,
 * and 256 held-out images drawn with other fonts. Nothing is opened or parsed.
 */
export function digitFiles(split: Split): DigitFiles {
  const at = (name: string) => fileURLToPath(new URL(`../data/${split}-${name}.gz`, import.meta.url));
  return { images: at('images-idx3-ubyte'), labels: at('labels-idx1-ubyte') };
}
