/**
 * Clear twins of the circuits: the same inputs with slots in place of ciphertexts, the same outputs, computed straight
 * from the formulas (no rotations, no masks, no packing tricks). They are the oracles of the circuits' tests.
 */
import { at } from '@blindfit/base';
import { addSlots, monomialSlots, multiplySlots, type PairedSlots } from '@blindfit/he';
import { blockExponent, cellAt, pairExponent, type Layout, type SigmoidPolynomial } from '@blindfit/training';

/** s(z) - 0.5 by its coefficients. */
function evaluateOdd({ odd }: SigmoidPolynomial, z: number): number {
  return odd.reduce((sum, coefficient, power) => sum + coefficient * z ** (2 * power + 1), 0);
}

function zeros(length: number): PairedSlots {
  return { first: new Float64Array(length), second: new Float64Array(length) };
}

function map(a: PairedSlots, body: (value: Float64Array) => Float64Array): PairedSlots {
  return { first: body(a.first), second: body(a.second) };
}

/** Twin of `rotateAndSumInPlace`: slot s gets the sum of a[s + every subset sum of the steps]. */
export function rotateAndSumClear(a: PairedSlots, steps: readonly number[]): PairedSlots {
  let offsets = [0];
  for (const step of steps) offsets = [...offsets, ...offsets.map((offset) => offset + step)];
  return map(a, (values) =>
    values.map((_, slot) =>
      offsets.reduce((sum, offset) => sum + at(values, (slot + offset) % values.length, 'slots'), 0),
    ),
  );
}

/** Twin of `maskAndReplicate`. */
export function maskAndReplicateClear({ width }: Pick<Layout, 'width'>, a: PairedSlots, factor: number): PairedSlots {
  return map(a, (values) =>
    values.map((_, slot) => factor * at(values, (Math.ceil(slot / width) * width) % values.length, 'slots')),
  );
}

function rotated(a: PairedSlots, step: number): PairedSlots {
  return map(a, (values) => values.map((_, slot) => at(values, (slot + step) % values.length, 'slots')));
}

/** Twin of `evaluateMonicOdd`, sign included: s(z) - 0.5 at every slot, for both parts. */
export function oddClear(polynomial: SigmoidPolynomial, z: PairedSlots): PairedSlots {
  return map(z, (values) => values.map((value) => evaluateOdd(polynomial, value)));
}

/** Twin of `forward`: E = Y - s(X v), staggered. */
export function forwardClear(input: {
  readonly layout: Layout;
  readonly sigmoid: SigmoidPolynomial;
  readonly features: readonly PairedSlots[];
  readonly weights: readonly PairedSlots[];
  readonly labels: PairedSlots;
}): PairedSlots {
  const { layout, sigmoid, features, weights, labels } = input;
  const part = (of: (slots: PairedSlots) => Float64Array): Float64Array => {
    const scores = productsOf(
      layout,
      features.map(({ first }) => first),
      weights.map(of),
    );
    return of(labels).map(
      (label, slot) =>
        label - evaluateOdd(sigmoid, at(scores, Math.ceil(slot / layout.width) % layout.samplesPerShard, 'scores')),
    );
  };
  return { first: part((slots) => slots.first), second: part((slots) => slots.second) };
}

/** Twin of `predictScores`, of the samples' first slots: z_a and z_b of every sample of one shard. */
export function predictScoresClear(input: {
  readonly layout: Layout;
  readonly features: readonly PairedSlots[];
  readonly weights: readonly PairedSlots[];
}): PairedSlots {
  const { layout, features, weights } = input;
  const part = (of: (slots: PairedSlots) => Float64Array): Float64Array =>
    productsOf(
      layout,
      features.map(({ first }) => first),
      weights.map(of),
    );
  return { first: part((slots) => slots.first), second: part((slots) => slots.second) };
}

/** By sample: the sum over all turns, blocks and slots of feature times weight. */
function productsOf(
  { samplesPerShard, width, blocks }: Layout,
  features: readonly Float64Array[],
  weights: readonly Float64Array[],
): Float64Array {
  return Float64Array.from({ length: samplesPerShard }, (_, place) => {
    let sum = 0;
    for (const [cell, slots] of features.entries()) {
      const { turn, block } = cellAt({ blocks }, cell);
      const from = ((place + turn) % samplesPerShard) * width;
      for (let slot = from; slot < from + width; slot++)
        sum += at(slots, slot, 'slots') * at(at(weights, block, 'blocks'), slot, 'slots');
    }
    return sum;
  });
}

/** Twin of `sumRowsAndPack` and of `backward` without the shards: row sums of every block under its monomial. */
export function sumRowsAndPackClear(
  layout: Layout,
  ring: number,
  products: ReadonlyMap<number, PairedSlots>,
): PairedSlots {
  let packed = zeros(ring / 2);
  for (const [block, slots] of products) {
    const summed = map(slots, (values) => {
      const sums = new Float64Array(layout.columns);
      values.forEach((value, slot) => {
        sums[slot % layout.columns] = at(sums, slot % layout.columns, 'sums') + value;
      });
      return values.map((_, slot) => at(sums, slot % layout.columns, 'sums'));
    });
    packed = addSlots(packed, multiplySlots(monomialSlots(ring, blockExponent(layout, block)), summed));
  }
  return packed;
}

/** Twin of `backward`: E^T X~ over shards and turns, summed over the rows, packed. */
export function backwardClear(input: {
  readonly layout: Layout;
  readonly errors: readonly PairedSlots[];
  readonly gradientFeatures: ReadonlyMap<number, readonly PairedSlots[]>;
  readonly ring: number;
}): PairedSlots {
  const products = new Map<number, PairedSlots>();
  const { turns, width } = input.layout;
  for (const [block, cells] of input.gradientFeatures) {
    products.set(
      block,
      cells.reduce(
        (sum, cell, index) =>
          addSlots(
            sum,
            multiplySlots(
              rotated(input.errors[Math.floor(index / turns)] ?? zeros(input.ring / 2), (index % turns) * width),
              cell,
            ),
          ),
        zeros(input.ring / 2),
      ),
    );
  }
  return sumRowsAndPackClear(input.layout, input.ring, products);
}

/** Twin of `packModel`. */
export function packModelClear(layout: Layout, ring: number, pairs: readonly PairedSlots[]): PairedSlots[] {
  const models = Array.from({ length: layout.models }, () => zeros(ring / 2));
  pairs.forEach((pair, index) => {
    const model = Math.floor(index / layout.pairsPerModel);
    models[model] = addSlots(
      models[model] ?? zeros(ring / 2),
      multiplySlots(pair, monomialSlots(ring, pairExponent(layout, index))),
    );
  });
  return models;
}

/**
 * Twin of `nesterovStep` and `finalWeights`, on weight vectors: factor * gradient + sum of coefficient * weights +
 * constant.
 */
export function stepClear(input: {
  readonly gradient: Float64Array;
  readonly factor: number;
  readonly momentum: readonly { readonly coefficient: number; readonly weights: Float64Array }[];
  readonly constant: number;
}): Float64Array {
  return input.gradient.map((value, i) =>
    input.momentum.reduce(
      (sum, term) => sum + term.coefficient * at(term.weights, i, 'weights'),
      input.factor * value + input.constant,
    ),
  );
}
