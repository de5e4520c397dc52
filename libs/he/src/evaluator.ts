/**
 * What circuits need of a CKKS library that holds no secret. Three classes implement it: `NativeEvaluator` (the C++
 * addon), `SealEvaluator` (node-seal) and `CountingEvaluator` (counts and prices, computes nothing).
 *
 * Levels and scales are exact: a ciphertext's value is its integer content divided by `scale`, and operations never
 * adjust a scale to hide a mismatch. This class checks levels, scales and sizes and counts operations; what it declares
 * as protected and abstract is the arithmetic. The operations on several ciphertexts are written with the single ones
 * here; an evaluator that does them faster overrides them with the same results, to the bit.
 */
import { at } from '@blindfit/base';
import type { Ciphertext, Plaintext } from './ciphertext.ts';
import { CircuitError } from './errors.ts';
import { assertRoom, assertSame, assertScale } from './exact-scales.ts';
import { CONJUGATION } from './galois.ts';
import { noOperations, type OperationCounts } from './operations.ts';
import type { Parameters } from './parameters.ts';

export abstract class Evaluator {
  readonly parameters: Parameters;
  readonly counts: OperationCounts = noOperations();
  readonly #beforeCostly: () => void;

  /** @param beforeCostly called before every key switch and product: throwing there abandons the computation */
  constructor(parameters: Parameters, beforeCostly: () => void = () => undefined) {
    this.parameters = parameters;
    this.#beforeCostly = beforeCostly;
  }

  /** The prime that a rescale from `level` divides by. @throws CircuitError when there is no such level */
  abstract prime(level: number): bigint;

  /**
   * A plaintext with slot values `first + i second`. The caller disposes of it.
   * @param first one number per slot; missing ones are zero
   */
  abstract encode(first: Float64Array, level: number, scale: number, second?: Float64Array): Plaintext;
  /** A plaintext with `value` in slots 0, step, 2 step, ... and zero in the others. The caller disposes of it. */
  encodeEvery(step: number, value: number, level: number, scale: number): Plaintext {
    const slots = new Float64Array(this.parameters.slots);
    for (let slot = 0; slot < slots.length; slot += step) slots[slot] = value;
    return this.encode(slots, level, scale);
  }

  /** A plaintext with `value` in every slot, a constant polynomial: no FFT. The caller disposes of it. */
  abstract encodeConstant(value: number, level: number, scale: number): Plaintext;
  /**
   * The monomial X^power (any whole number; X^N = -1) as a plaintext of scale 1: an exact factor that costs no level.
   * The evaluator caches it and owns it: do not dispose of it.
   */
  abstract monomial(power: number, level: number): Plaintext;

  abstract copy(a: Ciphertext): Ciphertext;

  /** a + b. In: same level, scale and size. Out: the same. */
  add(a: Ciphertext, b: Ciphertext): Ciphertext {
    assertAlike(a, b);
    return this.sum(a, b);
  }

  /** a - b. In: same level, scale and size. Out: the same. */
  subtract(a: Ciphertext, b: Ciphertext): Ciphertext {
    assertAlike(a, b);
    return this.difference(a, b);
  }

  /** a <- a + b. In: same level, scale and size. */
  addInPlace(a: Ciphertext, b: Ciphertext): void {
    assertAlike(a, b);
    this.addTo(a, b);
  }

  /** a <- a + b. In: same level and scale. */
  addPlainInPlace(a: Ciphertext, b: Plaintext): void {
    assertSame('add a plaintext', a, b);
    this.addPlainTo(a, b);
  }

  /** a <- -a. */
  abstract negateInPlace(a: Ciphertext): void;

  /** a b. In: same level, size 2. Out: the same level, the product of the scales, size 3. */
  multiply(a: Ciphertext, b: Ciphertext): Ciphertext {
    if (a.level !== b.level) throw new CircuitError(`cannot multiply: levels ${a.level} and ${b.level}`);
    assertReduced('multiply', a, b);
    const scale = a.scale * b.scale;
    assertRoom(this.parameters, scale, a.level);
    this.#beforeCostly();
    this.counts.multiplications++;
    return this.product(a, b, scale);
  }

  /** a a. In: size 2. Out: the same level, the scale squared, size 3. */
  square(a: Ciphertext): Ciphertext {
    return this.multiply(a, a);
  }

  /** a b. In: same level, any size. Out: the same level and size, the product of the scales. */
  multiplyPlain(a: Ciphertext, b: Plaintext): Ciphertext {
    return this.plainProduct(a, b, this.startPlainProduct(a, b));
  }

  /** Brings size 3 back to 2; a ciphertext of size 2 stays as it is. One key switch. Keys: relinearisation. */
  relineariseInPlace(a: Ciphertext): void {
    this.relineariseAllInPlace([a]);
  }

  /** Divides by the level's prime. Out: one level down, the scale divided by the prime. */
  rescaleInPlace(a: Ciphertext): void {
    if (a.level === 0) throw new CircuitError('no level left to rescale', 'plan fewer iterations');
    this.counts.rescales++;
    this.rescale(a);
  }

  /** A copy without the primes above `level`: the value and the scale stay. */
  dropTo(a: Ciphertext, level: number): Ciphertext {
    if (level > a.level) throw new CircuitError(`a ciphertext at level ${a.level} cannot rise to level ${level}`);
    return level === a.level ? this.copy(a) : this.dropped(a, level);
  }

  /** Cyclic left rotation of the slots. In: size 2. Out: the same level and scale. One key switch. Keys: the step's. */
  rotate(a: Ciphertext, step: number): Ciphertext {
    assertReduced('rotate', a);
    this.startKeySwitches('rotations', 1);
    return this.rotated(a, step);
  }

  /**
   * The complex conjugate of each slot. In: size 2. Out: the same level and scale. One key switch. Keys: conjugation.
   */
  conjugate(a: Ciphertext): Ciphertext {
    return this.rotate(a, CONJUGATION);
  }

  /** Multiplies the value by `factor` at no cost, by dividing the scale. The polynomials do not change. */
  multiplyValueInPlace(a: Ciphertext, factor: number): void {
    if (!(factor > 0 && Number.isFinite(factor)))
      throw new CircuitError(`a scale cannot carry the factor ${factor}`, 'positive finite factors only');
    this.setScale(a, a.scale / factor);
  }

  /**
   * Sum over i of a[i] b[i], before any reduction.
   * In: size 2; as many a as b, at least one; products of one scale. Operands above the lowest level among them count
   * as dropped to it. Out: that level, the scale of the products, size 3. No key switch.
   */
  sumOfProducts(a: readonly Ciphertext[], b: readonly Ciphertext[]): Ciphertext {
    const { level } = productOf(a, b);
    const term = (index: number): Ciphertext => {
      using left = new Lowered(this, at(a, index, 'factors'), level);
      using right = new Lowered(this, at(b, index, 'factors'), level);
      return this.multiply(left.ciphertext, right.ciphertext);
    };
    const sum = term(0);
    for (let index = 1; index < a.length; index++) {
      using added = term(index);
      this.addInPlace(sum, added);
    }
    return sum;
  }

  /**
   * a + b and (a - b) plain.
   * In: same level and scale, size 2. Out: the scale of b times that of plain for the second. One plaintext product.
   * Frees a and b, or returns them with other content.
   */
  split(a: Ciphertext, b: Ciphertext, plain: Plaintext): [Ciphertext, Ciphertext] {
    using other = b;
    using difference = this.subtract(a, other);
    this.addInPlace(a, other);
    return [a, this.multiplyPlain(difference, plain)];
  }

  /** a <- a + rot(a, step) for each step in turn. In: size 2. A key switch for each step. Keys: the steps'. */
  rotateAndSumInPlace(a: Ciphertext, steps: readonly number[]): void {
    for (const step of steps) {
      using rotated = this.rotate(a, step);
      this.addInPlace(a, rotated);
    }
  }

  /**
   * rot(a, step) of every a, which the caller disposes of. In: one level, size 2. Out: the same levels and scales. One
   * key switch each. Keys: the step's.
   */
  rotateAll(a: readonly Ciphertext[], step: number): Ciphertext[] {
    return a.map((ciphertext) => this.rotate(ciphertext, step));
  }

  /** Brings every ciphertext of size 3 back to 2. In: one level. One key switch each. Keys: relinearisation. */
  relineariseAllInPlace(a: readonly Ciphertext[]): void {
    for (const product of a) {
      if (product.size === 2) continue;
      this.startKeySwitches('relinearisations', 1);
      this.relinearise(product);
    }
  }

  protected abstract sum(a: Ciphertext, b: Ciphertext): Ciphertext;
  protected abstract difference(a: Ciphertext, b: Ciphertext): Ciphertext;
  protected abstract addTo(a: Ciphertext, b: Ciphertext): void;
  protected abstract addPlainTo(a: Ciphertext, b: Plaintext): void;
  /** `a` and `b` may be the same object. */
  protected abstract product(a: Ciphertext, b: Ciphertext, scale: number): Ciphertext;
  protected abstract plainProduct(a: Ciphertext, b: Plaintext, scale: number): Ciphertext;
  protected abstract relinearise(a: Ciphertext): void;
  protected abstract rescale(a: Ciphertext): void;
  /** @param level below that of `a` */
  protected abstract dropped(a: Ciphertext, level: number): Ciphertext;
  /** @param step 0 for the conjugation */
  protected abstract rotated(a: Ciphertext, step: number): Ciphertext;
  protected abstract setScale(a: Ciphertext, scale: number): void;

  /** Counts key switches that one call does, and gives the caller the chance to abandon them. */
  protected startKeySwitches(kind: 'rotations' | 'relinearisations', count: number): void {
    this.#beforeCostly();
    this.counts[kind] += count;
  }

  /** Checks and counts a sum of products. @returns its level and scale */
  protected startProducts(a: readonly Ciphertext[], b: readonly Ciphertext[]): { level: number; scale: number } {
    const { level, scale } = productOf(a, b);
    assertRoom(this.parameters, scale, level);
    this.#beforeCostly();
    this.counts.multiplications += a.length;
    return { level, scale };
  }

  /** Checks and counts a product with a plaintext. @returns its scale */
  protected startPlainProduct(a: Ciphertext, b: Plaintext): number {
    if (a.level !== b.level) throw new CircuitError(`cannot multiply by a plaintext: levels ${a.level} and ${b.level}`);
    const scale = a.scale * b.scale;
    assertRoom(this.parameters, scale, a.level);
    this.#beforeCostly();
    this.counts.plainMultiplications++;
    return scale;
  }
}

/** @throws CircuitError when levels, scales or sizes differ */
export function assertAlike(a: Ciphertext, b: Ciphertext): void {
  assertSame('combine', a, b);
  if (a.size !== b.size) throw new CircuitError(`cannot combine ciphertexts of ${a.size} and ${b.size} polynomials`);
}

/** @throws CircuitError when one is a product that is not relinearised yet */
export function assertReduced(operation: string, ...operands: readonly Ciphertext[]): void {
  const product = operands.find(({ size }) => size !== 2);
  if (product !== undefined) throw new CircuitError(`cannot ${operation}: size ${product.size}`, 'relinearise first');
}

/** @throws CircuitError unless all are of one level @returns that level; 0 for none */
export function sameLevel(operands: readonly Ciphertext[]): number {
  const [{ level } = { level: 0 }] = operands;
  const other = operands.find((operand) => operand.level !== level);
  if (other !== undefined) throw new CircuitError(`key switches of levels ${level} and ${other.level} together`);
  return level;
}

/** Level and scale of a sum of products. */
function productOf(a: readonly Ciphertext[], b: readonly Ciphertext[]): { level: number; scale: number } {
  if (a.length !== b.length || b.length === 0)
    throw new CircuitError(
      `${a.length} and ${b.length} factors`,
      'as many of the one as of the other, and at least one, are needed',
    );
  assertReduced('add products', ...a);
  assertReduced('add products', ...b);
  const scale = at(a, 0, 'factors').scale * at(b, 0, 'factors').scale;
  let level = Infinity;
  for (const [index, left] of a.entries()) {
    const right = at(b, index, 'factors');
    assertScale('add products', scale, left.scale * right.scale);
    level = Math.min(level, left.level, right.level);
  }
  return { level, scale };
}

/** A ciphertext at a level: itself, or a copy that is freed at the end. */
class Lowered implements Disposable {
  readonly ciphertext: Ciphertext;
  readonly #isCopy: boolean;

  constructor(evaluator: Evaluator, a: Ciphertext, level: number) {
    this.#isCopy = a.level !== level;
    this.ciphertext = this.#isCopy ? evaluator.dropTo(a, level) : a;
  }

  [Symbol.dispose](): void {
    if (this.#isCopy) this.ciphertext[Symbol.dispose]();
  }
}
