/**
 * Runs circuits on shadows, as the planner does, and adds up what they would take on the machine a calibration was made
 * on. Its figures cannot drift from the circuits: it is what the circuits call.
 */
import {
  DryRunEvaluator,
  type Ciphertext,
  type Evaluator,
  type OperationCounts,
  type Parameters,
  type Plaintext,
} from '@blindfit/he';
import { secondsOf, type Calibration, type Operation } from './calibration.ts';

export class TimedEvaluator implements Evaluator {
  readonly parameters: Parameters;
  /** Without monomials, which a thread makes once. */
  seconds = 0;
  /** Monomials met, with the seconds to make each. */
  readonly monomials = new Map<string, number>();
  readonly #calibration: Calibration;
  readonly #shadows: DryRunEvaluator;

  constructor(parameters: Parameters, calibration: Calibration) {
    this.parameters = parameters;
    this.#calibration = calibration;
    this.#shadows = new DryRunEvaluator(parameters);
  }

  get counts(): OperationCounts {
    return this.#shadows.counts;
  }

  /** A stand-in for an input. */
  input(level: number, scale: number): Ciphertext {
    return this.#shadows.input(level, scale);
  }

  prime(level: number): bigint {
    return this.#shadows.prime(level);
  }

  encode(first: Float64Array, level: number, scale: number, second?: Float64Array): Plaintext {
    this.#spend(second === undefined ? 'encode' : 'encodePair', level);
    return this.#shadows.encode(first, level, scale, second);
  }

  encodeConstant(value: number, level: number, scale: number): Plaintext {
    return this.#shadows.encodeConstant(value, level, scale);
  }

  monomial(power: number, level: number): Plaintext {
    this.monomials.set(`${level}:${power}`, secondsOf(this.#calibration, 'monomial', level));
    return this.#shadows.monomial(power, level);
  }

  copy(a: Ciphertext): Ciphertext {
    this.#spend('copy', a.level, a.size / 2);
    return this.#shadows.copy(a);
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
    this.#spend('add', a.level, a.size / 2);
    this.#shadows.addInPlace(a, b);
  }

  addPlainInPlace(a: Ciphertext, b: Plaintext): void {
    this.#spend('addPlain', a.level);
    this.#shadows.addPlainInPlace(a, b);
  }

  negateInPlace(a: Ciphertext): void {
    this.#spend('negate', a.level, a.size / 2);
    this.#shadows.negateInPlace(a);
  }

  multiply(a: Ciphertext, b: Ciphertext): Ciphertext {
    this.#spend('multiply', a.level);
    return this.#shadows.multiply(a, b);
  }

  square(a: Ciphertext): Ciphertext {
    this.#spend('square', a.level);
    return this.#shadows.square(a);
  }

  multiplyPlain(a: Ciphertext, b: Plaintext): Ciphertext {
    this.#spend('multiplyPlain', a.level);
    return this.#shadows.multiplyPlain(a, b);
  }

  relineariseInPlace(a: Ciphertext): void {
    this.#spend('relinearise', a.level);
    this.#shadows.relineariseInPlace(a);
  }

  rescaleInPlace(a: Ciphertext): void {
    this.#spend(a.size === 3 ? 'rescaleProduct' : 'rescale', a.level);
    this.#shadows.rescaleInPlace(a);
  }

  dropTo(a: Ciphertext, level: number): Ciphertext {
    this.#spend(level === a.level ? 'copy' : 'drop', level);
    return this.#shadows.dropTo(a, level);
  }

  rotate(a: Ciphertext, step: number): Ciphertext {
    this.#spend('rotate', a.level);
    return this.#shadows.rotate(a, step);
  }

  conjugate(a: Ciphertext): Ciphertext {
    this.#spend('rotate', a.level);
    return this.#shadows.conjugate(a);
  }

  multiplyValueInPlace(a: Ciphertext, factor: number): void {
    this.#shadows.multiplyValueInPlace(a, factor);
  }

  #spend(operation: Operation, level: number, times = 1): void {
    this.seconds += times * secondsOf(this.#calibration, operation, level);
  }
}
