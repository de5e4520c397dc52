/**
 * Bilinear resizing of 8-bit images, bit for bit as Pillow does it (`Image.resize(size, BILINEAR)`, and so torchvision's
 * `Resize` on PIL images, which the paper uses).
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

/**
 * Resizes an image to `width` x `height` and returns the part of it inside `window`, without computing the rest.
 * @param window lies inside the resized image @default all of it
 */
export function resize(image: Pixels, width: number, height: number, window: Window = { left: 0, top: 0, width, height }): Pixels {
  const { channels } = image;
  const across = weightsOf(image.width, width, window.left, window.width);
  const down = weightsOf(image.height, height, window.top, window.height);
  // Only these input rows matter to the window.
  const firstRow = down.starts[0] ?? 0;
  const lastRow = (down.starts[window.height - 1] ?? 0) + (down.counts[window.height - 1] ?? 0);
  const rows = lastRow - firstRow;
  const stride = window.width * channels;

  let middle: Uint8Array;
  if (image.width === width && window.width === width) middle = image.data.subarray(firstRow * stride, lastRow * stride);
  else {
    middle = new Uint8Array(rows * stride);
    for (let y = 0, to = 0; y < rows; y++) {
      const row = (firstRow + y) * image.width * channels;
      for (let x = 0; x < window.width; x++) {
        const from = row + (across.starts[x] ?? 0) * channels;
        const count = across.counts[x] ?? 0;
        const base = x * across.taps;
        for (let c = 0; c < channels; c++) {
          let sum = HALF;
          for (let k = 0, at = from + c; k < count; k++, at += channels) sum += Math.imul(image.data[at] ?? 0, across.weights[base + k] ?? 0);
          middle[to++] = sum >> WEIGHT_BITS;
        }
      }
    }
  }
  if (image.height === height && window.height === height) return { width: window.width, height: window.height, channels, data: middle };

  const data = new Uint8Array(window.height * stride);
  const sums = new Int32Array(stride);
  for (let y = 0; y < window.height; y++) {
    const from = ((down.starts[y] ?? 0) - firstRow) * stride;
    const count = down.counts[y] ?? 0;
    const base = y * down.taps;
    const to = y * stride;
    if (count === 2) {
      // Enlarging: nearly all time goes here.
      const [first, second] = [down.weights[base] ?? 0, down.weights[base + 1] ?? 0];
      for (let x = 0; x < stride; x++) data[to + x] = (Math.imul(middle[from + x] ?? 0, first) + Math.imul(middle[from + stride + x] ?? 0, second) + HALF) >> WEIGHT_BITS;
      continue;
    }
    sums.fill(HALF);
    for (let k = 0; k < count; k++) {
      const weight = down.weights[base + k] ?? 0;
      const row = from + k * stride;
      for (let x = 0; x < stride; x++) sums[x] = (sums[x] ?? 0) + Math.imul(middle[row + x] ?? 0, weight);
    }
    for (let x = 0; x < stride; x++) data[to + x] = (sums[x] ?? 0) >> WEIGHT_BITS;
  }
  return { width: window.width, height: window.height, channels, data };
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
      sum += exact[k] ?? 0;
    }
    for (let k = 0; k < end - start; k++) weights[i * taps + k] = Math.trunc(0.5 + ((exact[k] ?? 0) / sum) * (1 << WEIGHT_BITS));
    starts[i] = start;
    counts[i] = end - start;
  }
  return { starts, counts, weights, taps };
}
