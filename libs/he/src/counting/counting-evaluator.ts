/**
 * An evaluator that computes nothing: it follows levels, scales and sizes, counts operations, collects the rotation
 * steps, and adds up the cost. The planner runs the real circuits on it, so its figures cannot drift from the code.
 */
import { CircuitError } from '../errors.ts';
import {
  CONJUGATION,
  noOperations,
  type Ciphertext,
  type Evaluator,
  type FusedOperations,
  type OperationCounts,
  type Plaintext,
} from '../evaluator.ts';
import type { Parameters } from '../parameters.ts';

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
    // Holds nothing.
  }
}

function shadowOf(a: Ciphertext): Shadow {
  if (!(a instanceof Shadow)) throw new CircuitError('a ciphertext of another evaluator');
  return a;
}

/**
 * Cost of a key switch on k primes, in number-theoretic transforms of length N: k inverse ones of the operand, k for each
 * of the k + 1 moduli of the key, and 2 (k + 1) to divide by the special prime.
 */
export function keySwitchTransforms(primes: number): number {
  return primes * primes + 4 * primes + 2;
}

/** Whether terms of these scales cannot be added. */
function differ(scale: number, other: number): boolean {
  return Math.abs(scale / other - 1) > 2 ** -40;
}

// Linear costs in transforms per prime, as `blindfit plan` measures them with the native evaluator, whose rotation takes 43 us a transform: 0.21 ms for a
// product on 7 primes, 0.19 for one with a plaintext, 0.15 for a sum. What is encoded is kept.
const MULTIPLY_PER_PRIME = 0.75;
const MULTIPLY_PLAIN_PER_PRIME = 0.6;
const ADD_PER_PRIME = 0.35;
const ENCODE = 1;

export class DryRunEvaluator implements Evaluator {
  readonly parameters: Parameters;
  readonly counts: OperationCounts = noOperations();
  /** Rotation steps met so far; 0 is the conjugation. */
  readonly steps = new Set<number>();
  /** Total cost in transforms of length N. */
  transforms = 0;
  /** Sums of products are most of what a large job's plan consists of. */
  readonly fused: Pick<FusedOperations, 'sumOfProducts'> = { sumOfProducts: (a, b) => this.#sumOfProducts(a, b) };

  /** By level. */
  readonly #modulusBits: readonly number[];

  constructor(parameters: Parameters) {
    this.parameters = parameters;
    let bits = 0;
    this.#modulusBits = parameters.dataBits.map((b) => (bits += b));
  }

  /** A stand-in for an input. @throws CircuitError above the parameters' levels */
  input(level: number, scale: number): Ciphertext {
    if (level < 0 || level > this.parameters.maxLevel)
      throw new CircuitError(`no level ${level}`, `levels 0 to ${this.parameters.maxLevel} exist`);
    return new Shadow(level, scale);
  }

  /** Counts what `body` does `times` times over. */
  repeat<T>(times: number, body: () => T): T {
    const counts = { ...this.counts };
    const { transforms } = this;
    const result = body();
    for (const name of [
      'rotations',
      'relinearisations',
      'multiplications',
      'plainMultiplications',
      'rescales',
    ] as const) {
      this.counts[name] = counts[name] + times * (this.counts[name] - counts[name]);
    }
    this.transforms = transforms + times * (this.transforms - transforms);
    return result;
  }

  prime(level: number): bigint {
    const bits = this.parameters.dataBits[level];
    if (bits === undefined) throw new CircuitError(`no level ${level}`);
    return 1n << BigInt(bits);
  }

  encode(_first: Float64Array, level: number, scale: number, second?: Float64Array): Plaintext {
    this.transforms += second === undefined ? ENCODE : 2 * ENCODE;
    return new Shadow(level, scale);
  }

  encodeConstant(_value: number, level: number, scale: number): Plaintext {
    return new Shadow(level, scale);
  }

  monomial(_power: number, level: number): Plaintext {
    return new Shadow(level, 1);
  }

  copy(a: Ciphertext): Ciphertext {
    return new Shadow(a.level, a.scale, a.size);
  }

  add(a: Ciphertext, b: Ciphertext): Ciphertext {
    const sum = this.copy(a);
    this.addInPlace(sum, b);
    return sum;
  }

  subtract(a: Ciphertext, b: Ciphertext): Ciphertext {
    return this.add(a, b);
  }

  addInPlace(a: Ciphertext, b: Ciphertext): void {
    if (a.level !== b.level || differ(a.scale, b.scale)) throw new CircuitError('levels or scales of a sum differ');
    this.transforms += ADD_PER_PRIME * (a.level + 1);
  }

  addPlainInPlace(a: Ciphertext, b: Plaintext): void {
    this.addInPlace(a, new Shadow(b.level, b.scale));
  }

  negateInPlace(a: Ciphertext): void {
    this.transforms += ADD_PER_PRIME * (a.level + 1);
  }

  multiply(a: Ciphertext, b: Ciphertext): Ciphertext {
    if (a.level !== b.level) throw new CircuitError('levels of a product differ');
    this.counts.multiplications++;
    this.transforms += MULTIPLY_PER_PRIME * (a.level + 1);
    return this.#checked(a.level, a.scale * b.scale, 3);
  }

  square(a: Ciphertext): Ciphertext {
    return this.multiply(a, a);
  }

  multiplyPlain(a: Ciphertext, b: Plaintext): Ciphertext {
    this.counts.plainMultiplications++;
    this.transforms += MULTIPLY_PLAIN_PER_PRIME * (a.level + 1);
    return this.#checked(a.level, a.scale * b.scale, a.size);
  }

  relineariseInPlace(a: Ciphertext): void {
    this.counts.relinearisations++;
    this.transforms += keySwitchTransforms(a.level + 1);
    shadowOf(a).size = 2;
  }

  rescaleInPlace(a: Ciphertext): void {
    const shadow = shadowOf(a);
    if (a.level === 0) throw new CircuitError('no level left to rescale');
    this.counts.rescales++;
    this.transforms += a.size * (a.level + 2);
    shadow.scale /= Number(this.prime(a.level));
    shadow.level--;
  }

  dropTo(a: Ciphertext, level: number): Ciphertext {
    if (level > a.level) throw new CircuitError(`a ciphertext at level ${a.level} cannot rise to level ${level}`);
    return new Shadow(level, a.scale, a.size);
  }

  rotate(a: Ciphertext, step: number): Ciphertext {
    this.steps.add(step);
    this.counts.rotations++;
    this.transforms += keySwitchTransforms(a.level + 1);
    return this.copy(a);
  }

  conjugate(a: Ciphertext): Ciphertext {
    return this.rotate(a, CONJUGATION);
  }

  multiplyValueInPlace(a: Ciphertext, factor: number): void {
    shadowOf(a).scale /= factor;
  }

  /** Counts as the products and sums it stands for, without doing them one by one. */
  #sumOfProducts(a: readonly Ciphertext[], b: readonly Ciphertext[]): Ciphertext {
    const [left, right] = [a[0], b[0]];
    if (left === undefined || right === undefined) throw new CircuitError('nothing to add');
    const { level } = right;
    const scale = left.scale * right.scale;
    for (const [index, factor] of b.entries()) {
      const other = a[index];
      if (other === undefined || other.level < level) throw new CircuitError(`factor ${index} is below level ${level}`);
      if (factor.level !== level || differ(other.scale * factor.scale, scale))
        throw new CircuitError('levels or scales of a sum differ');
    }
    this.counts.multiplications += b.length;
    this.transforms += (b.length * MULTIPLY_PER_PRIME + (b.length - 1) * ADD_PER_PRIME) * (level + 1);
    return this.#checked(level, scale, 3);
  }

  /** SEAL refuses a scale that fills the modulus. */
  #checked(level: number, scale: number, size: number): Ciphertext {
    const bits = this.#modulusBits[level] ?? 0;
    if (scale >= 2 ** bits)
      throw new CircuitError(
        `a scale of 2^${Math.log2(scale).toFixed(1)} at level ${level}`,
        `the modulus there has ${bits} bits`,
      );
    return new Shadow(level, scale, size);
  }
}
