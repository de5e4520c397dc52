import type { Dataset } from './dataset.ts';

/**
 * The design matrix X: every sample with a leading 1, the column that the bias weight multiplies.
 * @returns n x (d + 1), row-major
 */
export function withBias(data: Dataset): Float64Array {
  const { features, n, d } = data;
  const x = new Float64Array(n * (d + 1));
  for (let i = 0; i < n; i++) {
    x[i * (d + 1)] = 1;
    x.set(features.subarray(i * d, (i + 1) * d), i * (d + 1) + 1);
  }
  return x;
}
