/** Where images come from: the same for IDX files and for folders. */

/** A decoded image. */
export interface Pixels {
  /** In pixels, at least 1. */
  readonly width: number;
  readonly height: number;
  /** 1 is grey, 3 is red, green, blue. */
  readonly channels: 1 | 3;
  /** height x width x channels bytes, row-major, channels innermost; 0 is black. */
  readonly data: Uint8Array;
}

/** An image that has been read but not decoded: decoding is not needed if its features are in the cache. */
export interface EncodedImage {
  /** 32 bytes that identify the image by its content. */
  readonly digest: Buffer;
  /** @throws FeatureError `bad-image` naming the image */
  decode(): Promise<Pixels>;
}

/** A list of images, read one at a time, so that any number of them takes the same memory. */
export interface ImageSource {
  /** Names the set of images in messages. */
  readonly description: string;
  /** Number of images, at least 1. */
  readonly count: number;
  /** Whether every image has a label. */
  readonly labelled: boolean;
  /** Names image `index`, counted from 0, in messages. */
  name(index: number): string;
  /** Undefined for all images, or for none. */
  label(index: number): string | undefined;
  /** @throws FeatureError `bad-image` naming the image */
  read(index: number): Promise<EncodedImage>;
}

/**
 * Checks how many images to take.
 * @throws RangeError unless `limit` is undefined or a whole number of at least 1
 */
export function requireLimit(limit: number | undefined): void {
  if (limit !== undefined && (!Number.isSafeInteger(limit) || limit < 1)) {
    throw new RangeError(`the limit must be a whole number of images, at least 1; got ${limit}`);
  }
}
