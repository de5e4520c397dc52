/** The {@link Evaluator} on the native addon: node-seal's results, bit for bit. */
import { CircuitError, MissingKeyError } from '../errors.ts';
import {
  CONJUGATION,
  noOperations,
  type Ciphertext,
  type Evaluator,
  type FusedOperations,
  type OperationCounts,
  type Plaintext,
} from '../evaluator.ts';
import { assertRoom, assertSame } from '../exact-scales.ts';
import { galoisElement } from '../galois.ts';
import type { Parameters } from '../parameters.ts';
import type { NativeKey, NativeRing, Words } from './addon.ts';
import {
  nativeCiphertext,
  nativePlaintext,
  NativeCiphertext,
  type NativePlaintext,
  type NativeScheme,
} from './native-scheme.ts';

/** The keys an evaluator works with. Galois keys by rotation step, 0 for the conjugation. */
export interface NativeKeys {
  readonly relinearisation: NativeKey | undefined;
  readonly galois: ReadonlyMap<number, NativeKey>;
}

export const NO_NATIVE_KEYS: NativeKeys = { relinearisation: undefined, galois: new Map() };

/** Products the addon adds up in one call. */
const MAX_PRODUCTS = 64;
/** Key switches in one call: as many as it does in one pass over a key, and few enough that a task can be cancelled between calls. */
const TOGETHER = 8;

export class NativeEvaluator implements Evaluator, FusedOperations {
  readonly parameters: Parameters;
  readonly counts: OperationCounts = noOperations();
  readonly fused: FusedOperations = this;
  readonly #scheme: NativeScheme;
  readonly #ring: NativeRing;
  readonly #keys: NativeKeys;
  readonly #beforeCostly: () => void;

  /** @param beforeCostly called before every key switch and product: throwing there abandons the computation */
  constructor(scheme: NativeScheme, keys: NativeKeys = NO_NATIVE_KEYS, beforeCostly: () => void = () => undefined) {
    this.#scheme = scheme;
    this.#ring = scheme.ring;
    this.parameters = scheme.parameters;
    this.#keys = keys;
    this.#beforeCostly = beforeCostly;
  }

  prime(level: number): bigint {
    return this.#scheme.prime(level);
  }

  encode(first: Float64Array, level: number, scale: number, second?: Float64Array): Plaintext {
    return this.#scheme.encode(first, level, scale, second);
  }

  encodeConstant(value: number, level: number, scale: number): Plaintext {
    return this.#scheme.encodeConstant(value, level, scale);
  }

  monomial(power: number, level: number): Plaintext {
    return this.#scheme.monomial(power, level);
  }

  copy(a: Ciphertext): Ciphertext {
    const from = nativeCiphertext(a);
    return this.#make(from.size, from.level, from.scale, (out) => out.set(from.data));
  }

  add(a: Ciphertext, b: Ciphertext): Ciphertext {
    assertSame('combine', a, b);
    const [left, right] = sameSize(a, b);
    return this.#make(left.size, left.level, left.scale, (out) =>
      this.#ring.add(out, left.data, right.data, left.size, left.level),
    );
  }

  subtract(a: Ciphertext, b: Ciphertext): Ciphertext {
    assertSame('combine', a, b);
    const [left, right] = sameSize(a, b);
    return this.#make(left.size, left.level, left.scale, (out) =>
      this.#ring.subtract(out, left.data, right.data, left.size, left.level),
    );
  }

  addInPlace(a: Ciphertext, b: Ciphertext): void {
    assertSame('combine', a, b);
    const [left, right] = sameSize(a, b);
    this.#ring.add(left.data, left.data, right.data, left.size, left.level);
  }

  addPlainInPlace(a: Ciphertext, b: Plaintext): void {
    assertSame('add a plaintext', a, b);
    const { data, size, level } = nativeCiphertext(a);
    this.#ring.addPlain(data, data, nativePlaintext(b).data, size, level);
  }

  negateInPlace(a: Ciphertext): void {
    const { data, size, level } = nativeCiphertext(a);
    this.#ring.negate(data, data, size, level);
  }

  multiply(a: Ciphertext, b: Ciphertext): Ciphertext {
    const left = nativeCiphertext(a);
    const right = nativeCiphertext(b);
    if (left.level !== right.level) throw new CircuitError(`cannot multiply: levels ${left.level} and ${right.level}`);
    if (left.size !== 2 || right.size !== 2)
      throw new CircuitError(`cannot multiply: sizes ${left.size} and ${right.size}`, 'relinearise first');
    this.#beforeCostly();
    this.counts.multiplications++;
    const scale = left.scale * right.scale;
    assertRoom(this.parameters, scale, left.level);
    return this.#make(3, left.level, scale, (out) => this.#ring.multiply(out, left.data, right.data, left.level));
  }

  square(a: Ciphertext): Ciphertext {
    const { data, size, level, scale } = nativeCiphertext(a);
    if (size !== 2) throw new CircuitError(`cannot square: size ${size}`, 'relinearise first');
    this.#beforeCostly();
    this.counts.multiplications++;
    assertRoom(this.parameters, scale * scale, level);
    return this.#make(3, level, scale * scale, (out) => this.#ring.square(out, data, level));
  }

  multiplyPlain(a: Ciphertext, b: Plaintext): Ciphertext {
    const { data, size, level, scale } = nativeCiphertext(a);
    const plain = this.#factor(level, scale, b);
    return this.#make(size, level, scale * plain.scale, (out) =>
      this.#ring.multiplyPlain(out, data, plain.data, size, level),
    );
  }

  relineariseInPlace(a: Ciphertext): void {
    this.relineariseAllInPlace([a]);
  }

  relineariseAllInPlace(a: readonly Ciphertext[]): void {
    const key = this.#keys.relinearisation;
    if (key === undefined) throw new MissingKeyError('relinearisation key', 'rotation keys only');
    const unfinished = a.map(nativeCiphertext).filter(({ size }) => size !== 2);
    const level = sameLevel(unfinished);
    for (const some of inParts(unfinished)) {
      this.#beforeCostly();
      this.counts.relinearisations += some.length;
      const outs = some.map(() => this.#scheme.take(2, level));
      this.#ring.relinearise(
        outs,
        some.map(({ data }) => data),
        level,
        key,
      );
      some.forEach((of, index) => of.replace(outs[index] ?? of.data, 2, level));
    }
  }

  rescaleInPlace(a: Ciphertext): void {
    const of = nativeCiphertext(a);
    if (of.level === 0) throw new CircuitError('no level left to rescale', 'plan fewer iterations');
    this.counts.rescales++;
    const out = this.#scheme.take(of.size, of.level - 1);
    this.#ring.rescale(out, of.data, of.size, of.level);
    of.scale /= Number(this.prime(of.level));
    of.replace(out, of.size, of.level - 1);
  }

  dropTo(a: Ciphertext, level: number): Ciphertext {
    const from = nativeCiphertext(a);
    if (level > from.level) throw new CircuitError(`a ciphertext at level ${from.level} cannot rise to level ${level}`);
    if (level === from.level) return this.copy(from);
    return this.#make(from.size, level, from.scale, (out) =>
      this.#ring.dropTo(out, from.data, from.size, from.level, level),
    );
  }

  rotate(a: Ciphertext, step: number): Ciphertext {
    return this.#turn(a, step, `rotation key for step ${step}`);
  }

  rotateAll(a: readonly Ciphertext[], step: number): Ciphertext[] {
    const key = this.#galoisKey(step, `rotation key for step ${step}`);
    const from = a.map(nativeCiphertext);
    const level = sameLevel(from);
    const unfinished = from.find(({ size }) => size !== 2);
    if (unfinished !== undefined) throw new CircuitError(`cannot rotate: size ${unfinished.size}`, 'relinearise first');
    const results: NativeCiphertext[] = [];
    try {
      for (const some of inParts(from)) {
        this.#beforeCostly();
        this.counts.rotations += some.length;
        const made = some.map(
          ({ scale }) =>
            new NativeCiphertext(this.#scheme.pool.give, this.#scheme.take(2, level), { size: 2, level, scale }),
        );
        results.push(...made);
        this.#ring.rotate(
          made.map(({ data }) => data),
          some.map(({ data }) => data),
          level,
          galoisElement(step, this.parameters.ring),
          key,
        );
      }
      return results;
    } catch (error) {
      for (const each of results) each[Symbol.dispose]();
      throw error;
    }
  }

  conjugate(a: Ciphertext): Ciphertext {
    return this.#turn(a, CONJUGATION, 'conjugation key');
  }

  sumOfProducts(a: readonly Ciphertext[], b: readonly Ciphertext[]): Ciphertext {
    const level = Math.min(...a.map((each) => each.level), ...b.map((each) => each.level));
    const lowered: Ciphertext[] = [];
    try {
      const dataOf = (each: Ciphertext): Words => {
        if (each.level === level) return nativeCiphertext(each).data;
        const low = this.dropTo(each, level);
        lowered.push(low);
        return nativeCiphertext(low).data;
      };
      let sum: Ciphertext | undefined;
      for (let from = 0; from < a.length; from += MAX_PRODUCTS) {
        const part = this.#productsOf(
          a.slice(from, from + MAX_PRODUCTS),
          b.slice(from, from + MAX_PRODUCTS),
          level,
          dataOf,
        );
        if (sum === undefined) {
          sum = part;
          continue;
        }
        using added = part;
        this.addInPlace(sum, added);
      }
      if (sum === undefined) throw new CircuitError('nothing to add');
      return sum;
    } finally {
      for (const each of lowered) each[Symbol.dispose]();
    }
  }

  splitInPlace(a: Ciphertext, b: Ciphertext, plain: Plaintext): void {
    assertSame('combine', a, b);
    const [left, right] = sameSize(a, b);
    if (left.size !== 2) throw new CircuitError(`cannot split: size ${left.size}`, 'relinearise first');
    const { data, scale } = this.#factor(left.level, right.scale, plain);
    this.#ring.split(left.data, right.data, data, left.level);
    right.scale *= scale;
  }

  rotateAndSumInPlace(a: Ciphertext, steps: readonly number[]): void {
    if (steps.length === 0) return;
    const of = nativeCiphertext(a);
    const keys = steps.map((step) => this.#galoisKey(step, `rotation key for step ${step}`));
    this.#beforeCostly();
    this.counts.rotations += steps.length;
    const out = this.#scheme.take(2, of.level);
    this.#ring.rotateAndSum(
      out,
      of.data,
      of.level,
      steps.map((step) => galoisElement(step, this.parameters.ring)),
      keys,
    );
    of.replace(out, 2, of.level);
  }

  multiplyValueInPlace(a: Ciphertext, factor: number): void {
    if (!(factor > 0 && Number.isFinite(factor)))
      throw new CircuitError(`a scale cannot carry the factor ${factor}`, 'positive finite factors only');
    nativeCiphertext(a).scale /= factor;
  }

  #productsOf(
    a: readonly Ciphertext[],
    b: readonly Ciphertext[],
    level: number,
    dataOf: (each: Ciphertext) => Words,
  ): Ciphertext {
    const scales = a.map((left, index) => left.scale * (b[index]?.scale ?? NaN));
    const [scale = NaN] = scales;
    for (const other of scales) assertSame('add products', { level, scale }, { level, scale: other });
    assertRoom(this.parameters, scale, level);
    if ([...a, ...b].some(({ size }) => size !== 2))
      throw new CircuitError('a product of unreduced ciphertexts', 'relinearise first');
    this.#beforeCostly();
    this.counts.multiplications += a.length;
    return this.#make(3, level, scale, (out) => this.#ring.sumOfProducts(out, a.map(dataOf), b.map(dataOf), level));
  }

  /** The plaintext that a ciphertext of that level and scale is to be multiplied by: checked and counted. */
  #factor(level: number, scale: number, by: Plaintext): NativePlaintext {
    const plain = nativePlaintext(by);
    if (level !== plain.level)
      throw new CircuitError(`cannot multiply by a plaintext: levels ${level} and ${plain.level}`);
    this.#beforeCostly();
    this.counts.plainMultiplications++;
    assertRoom(this.parameters, scale * plain.scale, level);
    return plain;
  }

  #turn(a: Ciphertext, step: number, what: string): Ciphertext {
    const key = this.#galoisKey(step, what);
    const { data, size, level, scale } = nativeCiphertext(a);
    if (size !== 2) throw new CircuitError(`cannot rotate: size ${size}`, 'relinearise first');
    this.#beforeCostly();
    this.counts.rotations++;
    return this.#make(2, level, scale, (out) =>
      this.#ring.rotate([out], [data], level, galoisElement(step, this.parameters.ring), key),
    );
  }

  #galoisKey(step: number, what: string): NativeKey {
    const key = this.#keys.galois.get(step);
    if (key === undefined)
      throw new MissingKeyError(what, `steps ${[...this.#keys.galois.keys()].join(', ') || 'none'}`);
    return key;
  }

  #make(size: number, level: number, scale: number, fill: (out: Words) => void): NativeCiphertext {
    const { pool } = this.#scheme;
    const out = this.#scheme.take(size, level);
    try {
      fill(out);
    } catch (error) {
      pool.give(out);
      throw error;
    }
    return new NativeCiphertext(pool.give, out, { size, level, scale });
  }
}

/** @returns the level of all of them; 0 for none */
function sameLevel(all: readonly NativeCiphertext[]): number {
  const [{ level } = { level: 0 }] = all;
  const other = all.find((each) => each.level !== level);
  if (other !== undefined) throw new CircuitError(`key switches of levels ${level} and ${other.level} together`);
  return level;
}

function inParts<T>(all: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(all.length / TOGETHER) }, (_, part) =>
    all.slice(part * TOGETHER, (part + 1) * TOGETHER),
  );
}

function sameSize(a: Ciphertext, b: Ciphertext): [NativeCiphertext, NativeCiphertext] {
  const left = nativeCiphertext(a);
  const right = nativeCiphertext(b);
  if (left.size !== right.size)
    throw new CircuitError(`cannot combine ciphertexts of ${left.size} and ${right.size} polynomials`);
  return [left, right];
}
