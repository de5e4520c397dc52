import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { at, errnoOf, required, valueOf } from '@blindfit/base';
import { asFileError, DatasetError } from './dataset-error.ts';
import { createDataset, type Dataset } from './dataset.ts';
import { LIMITS, type DataLimits } from './limits.ts';

const IMAGES_MAGIC = 0x00000803;
const LABELS_MAGIC = 0x00000801;
const KINDS: ReadonlyMap<number, string> = new Map([
  [IMAGES_MAGIC, 'an IDX images file'],
  [LABELS_MAGIC, 'an IDX labels file'],
]);
/** Longest side of an image; a larger number means a damaged header. */
const MAX_SIDE = 4096;

/** Grey images as MNIST stores them. */
export interface IdxImages {
  /** Number of images, at least 1. */
  readonly count: number;
  /** Height and width in pixels. */
  readonly rows: number;
  readonly columns: number;
  /** count x rows x columns bytes, row-major; 0 is background, 255 is ink. */
  readonly pixels: Uint8Array;
}

/**
 * Reads an IDX images file (MNIST's `*-images-idx3-ubyte`), plain or gzip-compressed (told apart by their first bytes).
 * @throws DatasetError `file-not-found`, `unreadable`, `bad-idx`, `empty` or `too-large`
 */
export async function readIdxImages(path: string, limits: DataLimits = LIMITS): Promise<IdxImages> {
  const { dimensions, bytes } = await readIdx(path, IMAGES_MAGIC, limits);
  const [count, rows, columns] = [0, 1, 2].map((i) => at(dimensions, i, 'dimensions')) as [number, number, number];
  return Object.freeze({ count, rows, columns, pixels: bytes });
}

/**
 * Reads an IDX labels file (MNIST's `*-labels-idx1-ubyte`), plain or gzip-compressed.
 * @returns one label per sample, `0` to `255` in digits
 * @throws DatasetError `file-not-found`, `unreadable`, `bad-idx`, `empty` or `too-large`
 */
export async function readIdxLabels(path: string, limits: DataLimits = LIMITS): Promise<readonly string[]> {
  const { bytes } = await readIdx(path, LABELS_MAGIC, limits);
  return Object.freeze(Array.from(bytes, String));
}

/**
 * The `size` x `size` pixels in the middle of each image, scaled from 0..255 to [0, 1]: the simplest
 * features. Where the middle falls between two pixels, the upper left one is taken.
 * @param size 1 to the shorter side of the images, in pixels
 * @returns unlabelled dataset of `size * size` features
 * @throws DatasetError `bad-argument` or `too-large`
 */
export function centrePixels(images: IdxImages, size: number, limits: DataLimits = LIMITS): Dataset {
  const { count, rows, columns, pixels } = images;
  if (!Number.isSafeInteger(size) || size < 1 || size > Math.min(rows, columns)) {
    throw new DatasetError(
      'bad-argument',
      `the centre size must be a whole number from 1 to ${Math.min(rows, columns)} ` +
        `for images of ${rows} x ${columns} pixels; got ${size}`,
    );
  }
  const d = size * size;
  if (count * d > limits.values) {
    throw new DatasetError(
      'too-large',
      `${count} images x ${d} pixels are more than ${limits.values} values; use fewer images or a smaller centre`,
    );
  }
  const top = Math.floor((rows - size) / 2);
  const left = Math.floor((columns - size) / 2);
  const features = new Float64Array(count * d);
  for (let i = 0, to = 0; i < count; i++) {
    for (let row = top; row < top + size; row++) {
      const from = (i * rows + row) * columns + left;
      for (let column = 0; column < size; column++) features[to++] = pixels[from + column]! / 255;
    }
  }
  return createDataset(features, d);
}

interface IdxContent {
  readonly dimensions: readonly number[];
  readonly bytes: Uint8Array;
}

async function readIdx(path: string, magic: number, limits: DataLimits): Promise<IdxContent> {
  const body = new IdxBody(path, magic, limits);
  try {
    const collect = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
      for await (const chunk of chunks) body.add(chunk);
    };
    if (await isGzip(path)) await pipeline(createReadStream(path), createGunzip(), collect);
    else await pipeline(createReadStream(path), collect);
  } catch (error) {
    if (errnoOf(error)?.startsWith('Z_') === true) {
      throw new DatasetError(
        'bad-idx',
        'the gzip data is damaged or cut short; fetch the file again',
        { file: path },
        { cause: error },
      );
    }
    throw asFileError(error, path);
  }
  return body.finish();
}

async function isGzip(path: string): Promise<boolean> {
  const handle = await open(path);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await handle.close();
  }
}

/**
 * Collects the decompressed bytes. It never allocates memory because of the header alone: only bytes that have arrived
 * are held, and one byte more than the header announces ends the reading, so a small file cannot grow without bound.
 */
class IdxBody {
  readonly #file: string;
  readonly #magic: number;
  readonly #limits: DataLimits;
  readonly #headerLength: number;
  #chunks: Buffer[] = [];
  #length = 0;
  #dimensions: readonly number[] | undefined;
  #expected = 0;

  constructor(file: string, magic: number, limits: DataLimits) {
    this.#file = file;
    this.#magic = magic;
    this.#limits = limits;
    this.#headerLength = 4 + 4 * (magic & 0xff);
  }

  add(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    if (this.#dimensions === undefined && this.#length >= this.#headerLength) {
      const all = Buffer.concat(this.#chunks);
      this.#dimensions = this.#readHeader(all);
      this.#expected = this.#dimensions.reduce((product, size) => product * size, 1);
      this.#chunks = [all.subarray(this.#headerLength)];
    }
    if (this.#dimensions !== undefined && this.#length > this.#headerLength + this.#expected) {
      throw this.#error('bad-idx', `there is more data than the ${this.#announced()}; the file is damaged`);
    }
  }

  finish(): IdxContent {
    if (this.#length === 0) throw this.#error('empty', 'the file is empty');
    if (this.#dimensions === undefined) {
      throw this.#error(
        'bad-idx',
        `${this.#length} bytes are too few for the header of ${this.#headerLength}; the file is cut short`,
      );
    }
    const found = this.#length - this.#headerLength;
    if (found < this.#expected) {
      throw this.#error(
        'bad-idx',
        `only ${found} bytes of data follow, not the ${this.#announced()}; the file is cut short`,
      );
    }
    const bytes = new Uint8Array(this.#expected);
    let length = 0;
    for (const chunk of this.#chunks) {
      bytes.set(chunk, length);
      length += chunk.length;
    }
    return { dimensions: this.#dimensions, bytes };
  }

  #readHeader(bytes: Buffer): readonly number[] {
    const wanted = valueOf(KINDS, this.#magic, 'kinds of IDX files');
    const found = bytes.readUInt32BE(0);
    if (found !== this.#magic) {
      const what = KINDS.get(found) ?? 'no IDX file of unsigned bytes';
      throw this.#error(
        'bad-idx',
        `this is ${what} (it starts with 0x${hex(found)}); expected ${wanted} (0x${hex(this.#magic)})`,
      );
    }
    const dimensions = Array.from({ length: this.#magic & 0xff }, (_, i) => bytes.readUInt32BE(4 + 4 * i));
    const [count, ...sides] = dimensions;
    if (count === undefined || count === 0) throw this.#error('empty', 'the file holds no samples');
    if (sides.some((side) => side < 1 || side > MAX_SIDE)) {
      throw this.#error('bad-idx', `images of ${sides.join(' x ')} pixels; each side must be 1 to ${MAX_SIDE}`);
    }
    const total = dimensions.reduce((product, size) => product * size, 1);
    const { samples, idxBytes } = this.#limits;
    if (count > samples || total > idxBytes) {
      throw this.#error(
        'too-large',
        `the header announces ${dimensions.join(' x ')} bytes; ` +
          `at most ${samples} samples and ${idxBytes} bytes are allowed`,
      );
    }
    return dimensions;
  }

  #announced(): string {
    return `${required(this.#dimensions, 'header').join(' x ')} bytes the header announces`;
  }

  #error(code: 'bad-idx' | 'empty' | 'too-large', message: string): DatasetError {
    return new DatasetError(code, message, { file: this.#file });
  }
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}
