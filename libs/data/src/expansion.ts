/** Features made of features, in the clear and at home: what one linear layer cannot say of the raw ones. */
import { seededUint32 } from '@blindfit/base';
import { normalQuantile } from './quantile.ts';

/** The most features that an expansion gives. */
export const MAX_EXPANDED = 4096;

/** Features of the degree-2 expansion of d: each of them, and all products of two, squares among them. */
export function degree2Features(d: number): number {
  return d + (d * (d + 1)) / 2;
}

/** @param row d features @param expanded is filled: the features, then x_0 x_0, x_0 x_1, ..., x_1 x_1, ... */
export function expandDegree2(row: Float64Array, expanded: Float64Array): void {
  expanded.set(row);
  let position = row.length;
  for (let a = 0; a < row.length; a++) for (let b = a; b < row.length; b++) expanded[position++] = row[a]! * row[b]!;
}

/** What random Fourier features are made from (Rahimi and Recht 2007, section 3). */
export interface FourierFeatures {
  /** Features that are added. */
  readonly k: number;
  readonly seed: number;
  /** Deviation of the frequencies: the inverse width of the Gaussian kernel. */
  readonly bandwidth: number;
}

/** Frequencies, k x d, row-major, and phases. They follow from the seed alone. */
export function fourierFrequencies(
  { k, seed, bandwidth }: FourierFeatures,
  d: number,
): { readonly frequencies: Float64Array; readonly phases: Float64Array } {
  const random = randomFrom(seed);
  const frequencies = Float64Array.from({ length: k * d }, () => bandwidth * normalQuantile(random()));
  const phases = Float64Array.from({ length: k }, () => 2 * Math.PI * random());
  return { frequencies, phases };
}

/** @param row d features @param expanded is filled: the features, then k cosines */
export function expandFourier(
  { frequencies, phases }: ReturnType<typeof fourierFrequencies>,
  row: Float64Array,
  expanded: Float64Array,
): void {
  expanded.set(row);
  const d = row.length;
  phases.forEach((phase, i) => {
    let angle = phase;
    for (let j = 0; j < d; j++) angle += frequencies[i * d + j]! * row[j]!;
    expanded[d + i] = Math.SQRT2 * Math.cos(angle);
  });
}

/** Uniform numbers above 0 and below 1, from a seed. */
export function randomFrom(seed: number): () => number {
  const random = seededUint32(seed);
  return () => (random() + 0.5) / 2 ** 32;
}
