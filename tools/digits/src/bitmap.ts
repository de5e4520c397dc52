import { at } from '@blindfit/base';
import type { Contour } from './outline.ts';

/** A square black-and-white picture, row by row: 1 is ink. */
export interface Bitmap {
  size: number;
  ink: Uint8Array;
}

/** Fills polygons by the non-zero winding rule, testing the centre of every pixel. Parts outside are cut off. */
export function fill(contours: Contour[], size: number): Bitmap {
  const crossings: { x: number; turn: number }[][] = Array.from({ length: size }, () => []);
  for (const contour of contours) {
    let [x0, y0] = contour.at(-1) ?? [0, 0];
    for (const [x1, y1] of contour) {
      const turn = y1 > y0 ? 1 : -1;
      const first = Math.max(0, Math.ceil(Math.min(y0, y1) - 0.5));
      const last = Math.min(size - 1, Math.ceil(Math.max(y0, y1) - 0.5) - 1);
      for (let row = first; row <= last; row++) {
        crossings[row]?.push({ x: x0 + ((row + 0.5 - y0) / (y1 - y0)) * (x1 - x0), turn });
      }
      [x0, y0] = [x1, y1];
    }
  }
  const ink = new Uint8Array(size * size);
  crossings.forEach((onRow, row) => {
    onRow.sort((a, b) => a.x - b.x);
    let winding = 0;
    onRow.forEach(({ x, turn }, i) => {
      winding += turn;
      const next = onRow[i + 1];
      if (winding === 0 || !next) return;
      const from = Math.max(0, Math.ceil(x - 0.5));
      const to = Math.min(size, Math.ceil(next.x - 0.5));
      if (to > from) ink.fill(1, row * size + from, row * size + to);
    });
  });
  return { size, ink };
}

/** The usual width of the strokes in pixels: a stroke of length l and width w has area l w and an edge of about 2 l. */
export function strokeWidth({ size, ink }: Bitmap): number {
  let area = 0;
  let edge = 0;
  for (let i = 0; i < ink.length; i++) {
    if (ink[i] === 0) continue;
    area++;
    // Counting pixel sides makes slanted edges too long by up to sqrt(2), by 4 / pi over all directions.
    for (const j of [i - 1, i + 1, i - size, i + size]) if (ink[j] !== 1) edge++;
  }
  return edge === 0 ? 0 : (2 * area) / (edge * (Math.PI / 4));
}

/** Squared distance from every pixel to the nearest one whose ink is `value` (Felzenszwalb and Huttenlocher). */
function squaredDistance({ size, ink }: Bitmap, value: 0 | 1): Float64Array {
  const distance = Float64Array.from(ink, (v) => (v === value ? 0 : 1e9));
  const line = new Float64Array(size);
  const lowest = new Int32Array(size);
  const bounds = new Float64Array(size + 1);
  const pass = (start: number, stride: number) => {
    for (let q = 0; q < size; q++) line[q] = at(distance, start + q * stride, 'distance');
    let k = 0;
    lowest[0] = 0;
    bounds[0] = -Infinity;
    bounds[1] = Infinity;
    for (let q = 1; q < size; q++) {
      let meet: number;
      for (;;) {
        const p = at(lowest, k, 'lowest');
        meet = (at(line, q, 'line') + q * q - (at(line, p, 'line') + p * p)) / (2 * (q - p));
        if (meet > at(bounds, k, 'bounds')) break;
        k--;
      }
      k++;
      lowest[k] = q;
      bounds[k] = meet;
      bounds[k + 1] = Infinity;
    }
    k = 0;
    for (let q = 0; q < size; q++) {
      while (at(bounds, k + 1, 'bounds') < q) k++;
      const p = at(lowest, k, 'lowest');
      distance[start + q * stride] = (q - p) ** 2 + at(line, p, 'line');
    }
  };
  for (let column = 0; column < size; column++) pass(column, size);
  for (let row = 0; row < size; row++) pass(row * size, 1);
  return distance;
}

/** Makes strokes thicker (radius > 0) or thinner (radius < 0) by `radius` pixels on either side. */
export function thicken(bitmap: Bitmap, radius: number): Bitmap {
  const distance = squaredDistance(bitmap, radius >= 0 ? 1 : 0);
  const limit = radius * radius;
  const ink = Uint8Array.from(distance, (d) => (radius >= 0 ? Number(d <= limit) : Number(d > limit)));
  return { size: bitmap.size, ink };
}
