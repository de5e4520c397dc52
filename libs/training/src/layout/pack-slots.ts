/** Slots of packed weights: blocks and pairs under different powers of X. */
import { unitRoots, type PairedSlots } from '@blindfit/he';
import { PlanError } from '../plan-error.ts';
import { blockExponent, pairExponent, type Layout } from './shape.ts';

/**
 * Slots of a chain's packed vectors: every pair under its own power of X.
 * @param weights by class: one number per feature; missing classes are zero
 */
export function encodeChain(
  layout: Layout,
  ring: number,
  pairs: readonly number[],
  weights: readonly (Float64Array | undefined)[],
): PairedSlots {
  const none = new Float64Array(layout.features);
  const sum = emptySlots(ring);
  for (const pair of pairs)
    addPair(sum, layout, ring, pairExponent(layout, pair), weights[2 * pair] ?? none, weights[2 * pair + 1] ?? none);
  return sum;
}

/**
 * Slots of a packed pair: sum over blocks of X^e_block (first + i second).
 * @param first, second one weight per feature
 */
export function encodePair(layout: Layout, ring: number, first: Float64Array, second: Float64Array): PairedSlots {
  const sum = emptySlots(ring);
  addPair(sum, layout, ring, 0, first, second);
  return sum;
}

function emptySlots(ring: number): PairedSlots {
  return { first: new Float64Array(ring / 2), second: new Float64Array(ring / 2) };
}

/** sum += X^power times the packed pair. */
function addPair(
  sum: PairedSlots,
  layout: Layout,
  ring: number,
  power: number,
  first: Float64Array,
  second: Float64Array,
): void {
  const { cosines, sines, exponents } = unitRoots(ring);
  const { columns } = layout;
  const order = 2 * ring;
  for (let block = 0; block < layout.blocks; block++) {
    const exponent = power + blockExponent(layout, block);
    // Each row of the block is the same. Beyond the last feature there is nothing.
    const from = block * columns;
    for (let slot = 0; slot < exponents.length; slot++) {
      const feature = from + (slot & (columns - 1));
      if (feature >= first.length) continue;
      const at = Math.imul(exponents[slot] ?? 0, exponent) & (order - 1);
      const ar = cosines[at] ?? 0;
      const ai = sines[at] ?? 0;
      const br = first[feature] ?? 0;
      const bi = second[feature] ?? 0;
      sum.first[slot] = (sum.first[slot] ?? 0) + (ar * br - ai * bi);
      sum.second[slot] = (sum.second[slot] ?? 0) + (ar * bi + ai * br);
    }
  }
}

/**
 * Inverse of the packing: the weights of every class from the slots of the model ciphertexts. Blocks share a ciphertext
 * under different powers of X; dividing by one power and averaging over the rows removes all others exactly.
 * @returns classes x features
 */
export function decodeModel(layout: Layout, ring: number, models: readonly PairedSlots[]): Float64Array[] {
  const weights = Array.from({ length: layout.classes }, () => new Float64Array(layout.features));
  for (let pair = 0; pair < layout.pairs; pair++) {
    const model = models[Math.floor(pair / layout.pairsPerModel)];
    if (model === undefined) throw new PlanError(`${models.length} model ciphertexts`, `${layout.models} are needed`);
    decodePair(layout, ring, model, pair, weights);
  }
  return weights;
}

/** The weights of one pair from the slots of a ciphertext that holds it, written into `weights` by class. */
export function decodePair(
  layout: Layout,
  ring: number,
  model: PairedSlots,
  pair: number,
  weights: readonly Float64Array[],
): void {
  const { first, second } = model;
  const { columns } = layout;
  const { cosines, sines, exponents } = unitRoots(ring);
  const order = 2 * ring;
  const rows = first.length / columns;
  const a = new Float64Array(columns);
  const b = new Float64Array(columns);
  for (let block = 0; block < layout.blocks; block++) {
    const exponent = -(pairExponent(layout, pair) + blockExponent(layout, block));
    a.fill(0);
    b.fill(0);
    for (let slot = 0; slot < first.length; slot++) {
      const at = Math.imul(exponents[slot] ?? 0, exponent) & (order - 1);
      const ar = first[slot] ?? 0;
      const ai = second[slot] ?? 0;
      const br = cosines[at] ?? 0;
      const bi = sines[at] ?? 0;
      const column = slot & (columns - 1);
      a[column] = (a[column] ?? 0) + (ar * br - ai * bi);
      b[column] = (b[column] ?? 0) + (ar * bi + ai * br);
    }
    const from = block * columns;
    const count = Math.min(columns, layout.features - from);
    const classA = weights[2 * pair];
    const classB = weights[2 * pair + 1];
    for (let column = 0; column < count; column++) {
      if (classA) classA[from + column] = (a[column] ?? 0) / rows;
      if (classB) classB[from + column] = (b[column] ?? 0) / rows;
    }
  }
}
