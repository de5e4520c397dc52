/**
 * The monotone transform of skewed features: a feature becomes the normal score of its rank among the training data.
 * Extreme values lose their weight; the order within a feature stays.
 */
import type { Dataset } from './dataset.ts';

/** One feature: piecewise linear through (x[i], y[i]), constant beyond both ends; x ascends strictly. */
export interface QuantileCurve {
  readonly x: readonly number[];
  readonly y: readonly number[];
}

/** Points of a curve: enough for a smooth one, few enough for a model file. */
const KNOTS = 65;

/** Fits one curve a feature; a constant feature has one point, of score 0. */
export function fitQuantiles({ features, n, d }: Dataset): QuantileCurve[] {
  return Array.from({ length: d }, (_, j) => {
    const sorted = Float64Array.from({ length: n }, (_, i) => features[i * d + j]!).sort();
    return Object.freeze(curveOf(sorted));
  });
}

/** The score of equal values is that of their middle rank. */
function curveOf(sorted: Float64Array): QuantileCurve {
  const n = sorted.length;
  const [x, y]: [number[], number[]] = [[], []];
  const knots = Math.min(KNOTS, n);
  for (let knot = 0; knot < knots; knot++) {
    const value = sorted[knots === 1 ? 0 : Math.round((knot * (n - 1)) / (knots - 1))]!;
    if (x.at(-1) === value) continue;
    x.push(value);
    const rank = (firstAtLeast(sorted, value) + firstAbove(sorted, value)) / 2 / n;
    y.push(normalQuantile(rank) + 0);
  }
  return { x: Object.freeze(x), y: Object.freeze(y) };
}

/** The score of a value. */
export function scoreAt({ x, y }: QuantileCurve, value: number): number {
  const last = x.length - 1;
  if (value <= x[0]!) return y[0]!;
  if (value >= x[last]!) return y[last]!;
  const right = firstAbove(x, value);
  const [x0, x1, y0, y1] = [x[right - 1]!, x[right]!, y[right - 1]!, y[right]!];
  // Halves, so that no difference leaves the range of a double.
  return y0 + ((value / 2 - x0 / 2) / (x1 / 2 - x0 / 2)) * (y1 - y0);
}

function firstAtLeast(sorted: ArrayLike<number>, value: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function firstAbove(sorted: ArrayLike<number>, value: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * The inverse of the normal distribution function, by Acklam's rational approximation (relative error below 1.2e-9).
 * @param p above 0, below 1
 */
export function normalQuantile(p: number): number {
  const a = [
    -3.969683028665376e1, 2.209460984245205e2, -2.759285104469687e2, 1.38357751867269e2, -3.066479806614716e1,
    2.506628277459239,
  ] as const;
  const b = [
    -5.447609879822406e1, 1.615858368580409e2, -1.556989798598866e2, 6.680131188771972e1, -1.328068155288572e1,
  ] as const;
  const c = [
    -7.784894002430293e-3, -3.223964580411365e-1, -2.400758277161838, -2.549732539343734, 4.374664141464968,
    2.938163982698783,
  ] as const;
  const e = [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416] as const;
  const tail = 0.02425;
  if (p < tail || p > 1 - tail) {
    const q = Math.sqrt(-2 * Math.log(Math.min(p, 1 - p)));
    const value =
      (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
      ((((e[0] * q + e[1]) * q + e[2]) * q + e[3]) * q + 1);
    return p < tail ? value : -value;
  }
  const q = p - 0.5;
  const r = q * q;
  return (
    ((((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q) /
    (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1)
  );
}
