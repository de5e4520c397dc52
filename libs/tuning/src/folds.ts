/** Which samples a cross-validation trains on and which it asks. Everything follows from the seed. */
import { at } from '@blindfit/base';
import { permutation } from '@blindfit/training';

/** Rows to train on, and the held-out rest. */
export interface Fold {
  readonly training: Int32Array;
  readonly heldOut: Int32Array;
}

/**
 * Cuts samples into folds that have every class in nearly equal parts.
 * @param actual class indices by sample
 * @param count folds, at least 2
 */
export function stratifiedFolds(actual: ArrayLike<number>, count: number, seed: number): Fold[] {
  const order = permutation(actual.length, seed);
  // Sorted by class, then dealt out one by one: no fold differs from another by more than one sample of a class.
  order.sort((a, b) => actual[a]! - actual[b]!);
  const foldOf = new Int32Array(actual.length);
  order.forEach((sample, position) => (foldOf[sample] = position % count));
  return Array.from({ length: count }, (_, fold) => ({
    training: Int32Array.from(order.keys().filter((sample) => foldOf[sample] !== fold)),
    heldOut: Int32Array.from(order.keys().filter((sample) => foldOf[sample] === fold)),
  }));
}

/** Rows of a sample of the data that has every class in its part, but at least one row of each; in ascending order. */
export function stratifiedSample(actual: ArrayLike<number>, size: number, seed: number): Int32Array {
  if (size >= actual.length) return Int32Array.from({ length: actual.length }, (_, row) => row);
  const rows = new Map<number, number[]>();
  for (const row of permutation(actual.length, seed)) {
    const label = at(actual as ArrayLike<number> & readonly number[], row, 'labels');
    const of = rows.get(label) ?? [];
    of.push(row);
    rows.set(label, of);
  }
  const part = size / actual.length;
  const chosen = [...rows.values()].flatMap((of) => of.slice(0, Math.max(1, Math.round(part * of.length))));
  return Int32Array.from(chosen).sort();
}
