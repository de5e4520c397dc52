/**
 * What circuits need of a CKKS library that holds no secret. node-seal implements it (`seal/seal-evaluator.ts`);
 * a faster library can take its place without touching a circuit.
 *
 * Levels and scales are exact: a ciphertext's value is its integer content divided by `scale`, and operations never
 * adjust a scale to hide a mismatch. Ciphertexts live outside JavaScript's heap: free them with `using`.
 */
import type { Parameters } from './parameters.ts';

export interface Ciphertext extends Disposable {
  /** Primes left minus one. */
  readonly level: number;
  readonly scale: number;
  /** Polynomials: 2, or 3 after a product that is not relinearised yet. */
  readonly size: number;
}

export interface Plaintext extends Disposable {
  readonly level: number;
  readonly scale: number;
}

/** Homomorphic operations since the evaluator was made. Conjugations count as rotations: the cost is the same. */
export interface OperationCounts {
  rotations: number;
  relinearisations: number;
  /** Products of two ciphertexts. */
  multiplications: number;
  /** Products with a plaintext. */
  plainMultiplications: number;
  rescales: number;
}

export function noOperations(): OperationCounts {
  return { rotations: 0, relinearisations: 0, multiplications: 0, plainMultiplications: 0, rescales: 0 };
}

export function addOperations(a: OperationCounts, b: OperationCounts): OperationCounts {
  return {
    rotations: a.rotations + b.rotations,
    relinearisations: a.relinearisations + b.relinearisations,
    multiplications: a.multiplications + b.multiplications,
    plainMultiplications: a.plainMultiplications + b.plainMultiplications,
    rescales: a.rescales + b.rescales,
  };
}

export interface FusedOperations {
  /**
   * Sum over i of a[i] b[i], of size 3, at the lowest level among them: one reduction for all products. Operands above that level
   * count as dropped to it.
   * @throws CircuitError when the scales of the products differ
   */
  sumOfProducts(a: readonly Ciphertext[], b: readonly Ciphertext[]): Ciphertext;
  /** a <- a + b and b <- (a - b) plain. One plaintext product. */
  splitInPlace(a: Ciphertext, b: Ciphertext, plain: Plaintext): void;
  /** a <- a + rot(a, step) for each step in turn. */
  rotateAndSumInPlace(a: Ciphertext, steps: readonly number[]): void;
  /** The rotations of ciphertexts of one level by one step: the key, which comes from memory, is read once for several. The caller disposes of them. */
  rotateAll(a: readonly Ciphertext[], step: number): Ciphertext[];
  /** Brings ciphertexts of size 3 and one level back to size 2, likewise. */
  relineariseAllInPlace(a: readonly Ciphertext[]): void;
}

export interface Evaluator {
  readonly parameters: Parameters;
  readonly counts: OperationCounts;

  /** The prime that a rescale from `level` divides by. */
  prime(level: number): bigint;

  /**
   * A plaintext with slot values `first + i second`. The caller disposes of it.
   * @param first one number per slot; missing ones are zero
   */
  encode(first: Float64Array, level: number, scale: number, second?: Float64Array): Plaintext;
  /** A plaintext with `value` in every slot, a constant polynomial: no FFT. The caller disposes of it. */
  encodeConstant(value: number, level: number, scale: number): Plaintext;
  /**
   * The monomial X^power (any whole number; X^N = -1) as a plaintext of scale 1: an exact factor that costs no level.
   * The evaluator keeps it for reuse and owns it.
   */
  monomial(power: number, level: number): Plaintext;

  copy(a: Ciphertext): Ciphertext;
  add(a: Ciphertext, b: Ciphertext): Ciphertext;
  subtract(a: Ciphertext, b: Ciphertext): Ciphertext;
  addInPlace(a: Ciphertext, b: Ciphertext): void;
  addPlainInPlace(a: Ciphertext, b: Plaintext): void;
  negateInPlace(a: Ciphertext): void;

  /** Product of size 3; scales multiply. */
  multiply(a: Ciphertext, b: Ciphertext): Ciphertext;
  square(a: Ciphertext): Ciphertext;
  multiplyPlain(a: Ciphertext, b: Plaintext): Ciphertext;
  /** Brings size 3 back to 2. One key switch. */
  relineariseInPlace(a: Ciphertext): void;
  /** Divides by the level's prime: one level down. */
  rescaleInPlace(a: Ciphertext): void;
  /** Drops primes without dividing: the value and the scale stay. */
  dropTo(a: Ciphertext, level: number): Ciphertext;

  /** Cyclic left rotation of the slots. One key switch. */
  rotate(a: Ciphertext, step: number): Ciphertext;
  conjugate(a: Ciphertext): Ciphertext;

  /** Whole patterns in one call, as far as an evaluator has them. The results are those of the single operations, to the bit. */
  readonly fused?: Partial<FusedOperations>;

  /** Declares that the integer content stands for another value: dividing the scale by r multiplies the value by r. */
  multiplyValueInPlace(a: Ciphertext, factor: number): void;
}

/** Rotation keys a circuit needs; step 0 stands for the conjugation. */
export type GaloisSteps = readonly number[];
export const CONJUGATION = 0;
