import sharp from 'sharp';
import { messageOf } from '@blindfit/base';
import { FeatureError } from '../feature-error.ts';
import type { Pixels } from './image-source.ts';

/** A photograph of 100 megapixels takes 300 MB when decoded; more than that is a decompression bomb. */
const MAX_PIXELS = 1e8;
const FORMATS: ReadonlySet<string> = new Set(['jpeg', 'png', 'webp']);

// Images are decoded several at a time and never twice: libvips's own threads and cache would only take memory.
sharp.cache(false);
sharp.concurrency(1);

/**
 * Decodes a PNG, JPEG or WebP file to 8-bit sRGB or grey: turned upright as its EXIF orientation says, what is
 * transparent laid on white, colour profiles and 16-bit samples converted, the first picture of an animation.
 *
 * @param name for messages
 * @throws FeatureError `bad-image`
 */
export async function decodeImage(name: string, bytes: Uint8Array): Promise<Pixels> {
  try {
    const image = sharp(bytes, { failOn: 'error', limitInputPixels: MAX_PIXELS });
    const { format } = await image.metadata();
    if (!FORMATS.has(format)) throw new Error(`its format is ${format}`);
    const { data, info } = await image
      .autoOrient()
      .flatten({ background: '#ffffff' })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    const { width, height, channels } = info;
    if (channels !== 1 && channels !== 3) throw new Error(`it decodes to ${channels} channels`);
    return { width, height, channels, data };
  } catch (error) {
    throw new FeatureError(
      'bad-image',
      `${name} is no image that can be read (${messageOf(error).trim()}); PNG, JPEG and WebP are allowed`,
      { cause: error },
    );
  }
}
