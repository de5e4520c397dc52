import { at } from '@blindfit/base';
import { fill, strokeWidth, thicken, type Bitmap } from './bitmap.ts';
import { digitOutline, type Contour } from './outline.ts';
import type { Random } from './random.ts';

/** Width and height of a finished image in pixels. */
export const IMAGE_SIZE = 28;

// Digits are drawn 8 times as large and then averaged down, which is where the grey edges come from.
const FINE = 8;
const CANVAS = 30 * FINE;
// MNIST: the longer side of a digit is 20 pixels, its centre of mass lies in the middle of the picture.
const BOX = 20 * FINE;

interface Range {
  low: number;
  high: number;
}

/** How much the digits differ. Lengths are in pixels of the finished image, angles in radians. */
const VARIATION = {
  slant: { low: -0.15, high: 0.2 },
  rotation: { low: -0.1, high: 0.1 },
  /** Width over height. */
  proportion: { low: 0.6, high: 1 },
  scale: { low: 0.9, high: 1 },
  stroke: { low: 2.3, high: 3.6 },
  shift: { low: -0.5, high: 0.5 },
  wave: { low: 0, high: 0.045 },
} satisfies Record<string, Range>;

/** Smooth random bending: a few plane waves added to the coordinates. Contours are about 1 unit tall here. */
function bend(contours: Contour[], random: Random): Contour[] {
  const waves = Array.from({ length: 3 }, () => ({
    fx: random.between(-7, 7),
    fy: random.between(-7, 7),
    phase: random.between(0, 2 * Math.PI),
    dx: random.between(-1, 1) * random.between(VARIATION.wave.low, VARIATION.wave.high),
    dy: random.between(-1, 1) * random.between(VARIATION.wave.low, VARIATION.wave.high),
  }));
  return contours.map((contour) =>
    contour.map(([x, y]): [number, number] => {
      let [bx, by] = [x, y];
      for (const { fx, fy, phase, dx, dy } of waves) {
        const swing = Math.sin(fx * x + fy * y + phase);
        bx += dx * swing;
        by += dy * swing;
      }
      return [bx, by];
    }),
  );
}

function boundingBox(contours: Contour[]): { width: number; height: number; cx: number; cy: number } {
  let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const [x, y] of contours.flat()) {
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
  return { width: right - left, height: bottom - top, cx: (left + right) / 2, cy: (top + bottom) / 2 };
}

/** Moves and scales the contours: the longer side of their bounding box is `longest`, centred on (middle, middle). */
function fit(contours: Contour[], longest: number, middle: number): Contour[] {
  const { width, height, cx, cy } = boundingBox(contours);
  const factor = longest / Math.max(width, height);
  return contours.map((contour) =>
    contour.map(([x, y]): [number, number] => [middle + (x - cx) * factor, middle + (y - cy) * factor]),
  );
}

/** Averages a fine bitmap down to the finished image, its centre of mass moved to the middle plus the given shift. */
function settle({ size, ink }: Bitmap, shiftX: number, shiftY: number): Uint8Array {
  let [mass, sumX, sumY] = [0, 0, 0];
  let [left, right, top, bottom] = [size, -1, size, -1];
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      if (ink[y * size + x] === 0) continue;
      mass++;
      sumX += x + 0.5;
      sumY += y + 0.5;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
    }
  }
  if (mass === 0) throw new Error('Nothing was drawn: the glyph is empty or its strokes were thinned away.');
  const full = IMAGE_SIZE * FINE;
  // No ink may fall off the picture: a 20-pixel digit always fits into 28, so the bounds below never cross.
  const place = (centre: number, shift: number, low: number, high: number) =>
    Math.max(-low, Math.min(full - 1 - high, Math.round(full / 2 - centre + shift * FINE)));
  const offsetX = place(sumX / mass, shiftX, left, right);
  const offsetY = place(sumY / mass, shiftY, top, bottom);
  const counts = new Uint16Array(IMAGE_SIZE * IMAGE_SIZE);
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      if (ink[y * size + x] === 0) continue;
      const pixel = Math.floor((y + offsetY) / FINE) * IMAGE_SIZE + Math.floor((x + offsetX) / FINE);
      counts[pixel] = at(counts, pixel, 'pixels') + 1;
    }
  }
  return Uint8Array.from(counts, (count) => Math.round((count * 255) / (FINE * FINE)));
}

/**
 * Draws one digit with random slant, rotation, proportions, bending, stroke width, size and position.
 * @returns 28 x 28 bytes, row by row, 0 is black and 255 is white ink.
 */
export function drawDigit(fontName: string, digit: number, random: Random): Uint8Array {
  const pick = ({ low, high }: Range) => random.between(low, high);
  const glyph = fit(digitOutline(fontName, digit), 1, 0);
  const { width, height } = boundingBox(glyph);
  const outline = bend(glyph, random);

  const slant = Math.tan(pick(VARIATION.slant));
  const rotation = pick(VARIATION.rotation);
  const [cos, sin] = [Math.cos(rotation), Math.sin(rotation)];
  // Narrow fonts are brought to the proportions of handwriting, or a 7 could not be told from a 1. A 1 stays narrow.
  const widening = digit === 1 ? 1 : (pick(VARIATION.proportion) * height) / width;
  const turned = outline.map((contour) =>
    contour.map(([x, y]): [number, number] => {
      const u = x * widening - y * slant;
      return [cos * u - sin * y, sin * u + cos * y];
    }),
  );

  const longest = BOX * pick(VARIATION.scale);
  const natural = strokeWidth(fill(fit(turned, longest, CANVAS / 2), CANVAS));
  // Thinning beyond this would break strokes whose width varies.
  const radius = Math.max((pick(VARIATION.stroke) * FINE - natural) / 2, -0.3 * natural);
  // Fitted again with room for the added width, so that the digit still fills its box and no more.
  const drawn = thicken(fill(fit(turned, longest - 2 * radius, CANVAS / 2), CANVAS), radius);
  return settle(drawn, pick(VARIATION.shift), pick(VARIATION.shift));
}
