/**
 * Bilinear resizing of 8-bit images, bit for bit as Pillow does it (`Image.resize(size, BILINEAR)`, and so
 * torchvision's `Resize` on PIL images, which the paper uses).
 *
 * Each output pixel is a weighted mean of input pixels around its centre, first along rows, then along columns. The
 * weights are a triangle: 1 pixel to either side when enlarging, which is plain bilinear interpolation with half-pixel
 * centres; as many input pixels as an output pixel covers when shrinking, which averages them instead of picking a few
 * (antialiasing). Weights are 22-bit fixed-point numbers, and each pass rounds to 8 bits.
 */
import type { Pixels } from './image-source.ts';

const WEIGHT_BITS = 22;
const HALF = 1 << (WEIGHT_BITS - 1);

/** The part of a resized image that is wanted, in its pixels. */
export interface Window {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Resizes one image after the other in the same memory: fresh memory for each took a fifth of the time. */
export class Resizer {
  #middle = new Uint8Array(0);
  #data = new Uint8Array(0);

  /**
   * Resizes an image to `width` x `height` and returns the part of it inside `window`, without computing the rest.
   * @param window lies inside the resized image @default all of it
   * @returns pixels that hold until the next call
   */
  resize(image: Pixels, width: number, height: number, window: Window = { left: 0, top: 0, width, height }): Pixels {
    const across = weightsOf(image.width, width, window.left, window.width);
    const down = weightsOf(image.height, height, window.top, window.height);
    // Only these input rows matter to the window.
    const firstRow = down.starts[0]!;
    const lastRow = down.starts[window.height - 1]! + down.counts[window.height - 1]!;
    const stride = window.width * image.channels;
    let middle = image.data.subarray(firstRow * stride, lastRow * stride);
    if (image.width !== width || window.width !== width) {
      middle = this.#middle = atLeast(this.#middle, (lastRow - firstRow) * stride);
      resizeRows(image, across, firstRow, lastRow, middle);
    }
    const { channels } = image;
    if (image.height === height && window.height === height)
      return { width: window.width, height, channels, data: middle.subarray(0, height * stride) };
    this.#data = atLeast(this.#data, window.height * stride);
    resizeColumns(middle, stride, down, this.#data);
    return {
      width: window.width,
      height: window.height,
      channels,
      data: this.#data.subarray(0, window.height * stride),
    };
  }
}

function atLeast(buffer: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  return buffer.length >= length ? buffer : new Uint8Array(length);
}

/** Input rows `firstRow` to `lastRow`, each resized along itself, into `middle`. */
function resizeRows(
  { data, width, channels }: Pixels,
  { starts, counts, weights, taps }: ResizeWeights,
  firstRow: number,
  lastRow: number,
  middle: Uint8Array,
): void {
  for (let y = firstRow, to = 0; y < lastRow; y++) {
    const row = y * width * channels;
    for (let x = 0; x < starts.length; x++) {
      const from = row + starts[x]! * channels;
      const count = counts[x]!;
      const base = x * taps;
      for (let c = 0; c < channels; c++) {
        let sum = HALF;
        for (let k = 0, at = from + c; k < count; k++, at += channels) sum += Math.imul(data[at]!, weights[base + k]!);
        middle[to++] = sum >> WEIGHT_BITS;
      }
    }
  }
}

/** Columns of `middle`, whose rows are `stride` bytes long, into `data`. */
function resizeColumns(
  middle: Uint8Array,
  stride: number,
  { starts, counts, weights, taps }: ResizeWeights,
  data: Uint8Array,
): void {
  const sums = new Int32Array(stride);
  for (let y = 0; y < starts.length; y++) {
    const from = (starts[y]! - starts[0]!) * stride;
    const count = counts[y]!;
    const base = y * taps;
    const to = y * stride;
    if (count === 2) {
      // Enlarging: nearly all time goes here.
      const [first, second] = [weights[base]!, weights[base + 1]!];
      for (let x = 0; x < stride; x++)
        data[to + x] =
          (Math.imul(middle[from + x]!, first) + Math.imul(middle[from + stride + x]!, second) + HALF) >> WEIGHT_BITS;
      continue;
    }
    sums.fill(HALF);
    for (let k = 0; k < count; k++) {
      const weight = weights[base + k]!;
      const row = from + k * stride;
      for (let x = 0; x < stride; x++) sums[x] = sums[x]! + Math.imul(middle[row + x]!, weight);
    }
    for (let x = 0; x < stride; x++) data[to + x] = sums[x]! >> WEIGHT_BITS;
  }
}

interface ResizeWeights {
  /** By output pixel: the first input pixel that counts, and how many do. */
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  /** By output pixel, `taps` apart: weights whose sum is 2^22, give or take rounding. */
  readonly weights: Int32Array;
  readonly taps: number;
}

/** For output pixels `first` to `first + count` of a line of `from` pixels that becomes one of `to`. */
function weightsOf(from: number, to: number, first: number, count: number): ResizeWeights {
  const scale = from / to;
  const reach = Math.max(1, scale);
  const taps = Math.ceil(reach) * 2 + 1;
  const starts = new Int32Array(count);
  const counts = new Int32Array(count);
  const weights = new Int32Array(count * taps);
  const exact = new Float64Array(taps);
  for (let i = 0; i < count; i++) {
    const centre = (first + i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(from, Math.trunc(centre + reach + 0.5));
    let sum = 0;
    for (let k = 0; k < end - start; k++) {
      exact[k] = Math.max(0, 1 - Math.abs((start + k - centre + 0.5) * (1 / reach)));
      sum += exact[k]!;
    }
    for (let k = 0; k < end - start; k++)
      weights[i * taps + k] = Math.trunc(0.5 + (exact[k]! / sum) * (1 << WEIGHT_BITS));
    starts[i] = start;
    counts[i] = end - start;
  }
  return { starts, counts, weights, taps };
}
