import type { Ciphertext, Evaluator } from '@blindfit/he';

/** From this scale on, the noise of the cheaper order stays far below what a weight's precision needs. */
export const CHEAP_ORDER_SCALE_BITS = 42;

/**
 * Brings a product of size 3 back to size 2, one level lower. One key switch, one rescale.
 *
 * Rescaling first makes the key switch one prime cheaper (some 6 % of a job), but the rounding of the third polynomial
 * is multiplied by s^2 instead of s: about 2^7 times the noise of the usual order. Small scales cannot afford that.
 */
export function reduceProductInPlace(evaluator: Evaluator, product: Ciphertext): void {
  reduceProductsInPlace(evaluator, [product]);
}

/** {@link reduceProductInPlace} of products of one level. One key switch, one rescale each. */
export function reduceProductsInPlace(evaluator: Evaluator, products: readonly Ciphertext[]): void {
  const rescaleFirst = evaluator.parameters.scaleBits >= CHEAP_ORDER_SCALE_BITS;
  if (!rescaleFirst) evaluator.relineariseAllInPlace(products);
  for (const product of products) evaluator.rescaleInPlace(product);
  if (rescaleFirst) evaluator.relineariseAllInPlace(products);
}
