/**
 * An evaluator that computes nothing: it follows levels, scales and sizes, counts operations, collects the rotation
 * steps, and adds up the cost. The planner runs the real circuits on it, so its figures cannot drift from the code.
 */
import { at } from '@blindfit/base';
import type { Ciphertext, Plaintext } from '../ciphertext.ts';
import { CircuitError } from '../errors.ts';
import { Evaluator } from '../evaluator.ts';
import type { OperationCounts } from '../operations.ts';
import type { Parameters } from '../parameters.ts';
import { transformsOf, type CostFunction, type PricedOperation } from './cost.ts';

/** Stands for a ciphertext or a plaintext. Holds nothing. */
class Shadow implements Ciphertext, Plaintext {
  level: number;
  scale: number;
  size: number;

  constructor(level: number, scale: number, size = 2) {
    this.level = level;
    this.scale = scale;
    this.size = size;
  }

  [Symbol.dispose](): void {
    // There is nothing to free.
  }
}

function shadowOf(a: Ciphertext): Shadow {
  if (!(a instanceof Shadow)) throw new CircuitError('a ciphertext of another evaluator');
  return a;
}

export class CountingEvaluator extends Evaluator {
  /** Rotation steps met so far; 0 is the conjugation. */
  readonly steps = new Set<number>();
  /** Monomials met so far, by level and power, with the cost of making each: evaluators cache them. */
  readonly monomials = new Map<string, number>();
  /** Total cost without monomials, in the unit of the cost function. */
  cost = 0;
  readonly #costOf: CostFunction;

  /** @param costOf the cost of one operation, by default in transforms of length N */
  constructor(parameters: Parameters, costOf: CostFunction = transformsOf) {
    super(parameters);
    this.#costOf = costOf;
  }

  /** A stand-in for an input. @throws CircuitError above the parameters' levels */
  input(level: number, scale: number): Ciphertext {
    if (level < 0 || level > this.parameters.maxLevel)
      throw new CircuitError(`no level ${level}`, `levels 0 to ${this.parameters.maxLevel} exist`);
    return new Shadow(level, scale);
  }

  /** Runs `body` once and counts it `times` times. */
  repeat<T>(times: number, body: () => T): T {
    const before = { ...this.counts };
    const { cost } = this;
    const result = body();
    for (const name of Object.keys(before) as (keyof OperationCounts)[])
      this.counts[name] = before[name] + times * (this.counts[name] - before[name]);
    this.cost = cost + times * (this.cost - cost);
    return result;
  }

  /** A power of two near the prime: which primes SEAL chooses does not matter to levels and costs. */
  prime(level: number): bigint {
    const bits = this.parameters.dataBits[level];
    if (bits === undefined) throw new CircuitError(`no level ${level}`);
    return 1n << BigInt(bits);
  }

  encode(_first: Float64Array, level: number, scale: number, second?: Float64Array): Plaintext {
    this.#spend(second === undefined ? 'encode' : 'encodePair', level);
    return new Shadow(level, scale);
  }

  override encodeEvery(_step: number, _value: number, level: number, scale: number): Plaintext {
    this.#spend('encode', level);
    return new Shadow(level, scale);
  }

  encodeConstant(_value: number, level: number, scale: number): Plaintext {
    return new Shadow(level, scale);
  }

  monomial(power: number, level: number): Plaintext {
    this.monomials.set(`${level}:${power}`, this.#costOf('monomial', level, 1));
    return new Shadow(level, 1);
  }

  copy(a: Ciphertext): Ciphertext {
    this.#spend('copy', a.level, a.size);
    return new Shadow(a.level, a.scale, a.size);
  }

  negateInPlace(a: Ciphertext): void {
    this.#spend('negate', a.level, a.size);
  }

  /** Counts the products and sums that it stands for without doing them one by one: most of a large plan is this. */
  override sumOfProducts(a: readonly Ciphertext[], b: readonly Ciphertext[]): Ciphertext {
    const { level, scale } = this.startProducts(a, b);
    for (const factors of [a, b]) for (const operand of factors) if (operand.level > level) this.#spend('drop', level);
    this.cost += a.length * this.#costOf('multiply', level, 2) + (a.length - 1) * this.#costOf('add', level, 3);
    return new Shadow(level, scale, 3);
  }

  protected sum(a: Ciphertext, b: Ciphertext): Ciphertext {
    const sum = this.copy(a);
    this.addTo(sum, b);
    return sum;
  }

  protected difference(a: Ciphertext, b: Ciphertext): Ciphertext {
    return this.sum(a, b);
  }

  protected addTo(a: Ciphertext, b: Ciphertext): void {
    this.#spend('add', b.level, a.size);
  }

  protected addPlainTo(a: Ciphertext, b: Plaintext): void {
    this.#spend('addPlain', b.level, a.size);
  }

  protected product(a: Ciphertext, b: Ciphertext, scale: number): Ciphertext {
    this.#spend(a === b ? 'square' : 'multiply', a.level);
    return new Shadow(a.level, scale, 3);
  }

  protected plainProduct(a: Ciphertext, b: Plaintext, scale: number): Ciphertext {
    this.#spend('multiplyPlain', b.level, a.size);
    return new Shadow(a.level, scale, a.size);
  }

  protected relinearise(a: Ciphertext): void {
    this.#spend('relinearise', a.level, a.size);
    shadowOf(a).size = 2;
  }

  protected rescale(a: Ciphertext): void {
    const shadow = shadowOf(a);
    this.#spend('rescale', a.level, a.size);
    shadow.scale /= 2 ** at(this.parameters.dataBits, a.level, 'data primes');
    shadow.level--;
  }

  protected dropped(a: Ciphertext, level: number): Ciphertext {
    this.#spend('drop', level, a.size);
    return new Shadow(level, a.scale, a.size);
  }

  protected rotated(a: Ciphertext, step: number): Ciphertext {
    this.steps.add(step);
    this.#spend('rotate', a.level);
    return new Shadow(a.level, a.scale);
  }

  protected setScale(a: Ciphertext, scale: number): void {
    shadowOf(a).scale = scale;
  }

  #spend(operation: PricedOperation, level: number, size = 2): void {
    this.cost += this.#costOf(operation, level, size);
  }
}
