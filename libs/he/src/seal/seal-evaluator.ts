/** The {@link Evaluator} on node-seal: the reference every other evaluator is judged by. */
import type { Ciphertext as RawCiphertext, GaloisKeys, RelinKeys } from 'node-seal';
import { BackendEvaluator, type EvaluationKeys } from '../backend-evaluator.ts';
import type { Ciphertext, Plaintext } from '../ciphertext.ts';
import { CONJUGATION } from '../galois.ts';
import { sealCall } from './module.ts';
import { rawCiphertext, rawPlaintext, SealCiphertext, type SealBackend } from './seal-backend.ts';

export type SealKeys = EvaluationKeys<RelinKeys, GaloisKeys>;

export const NO_SEAL_KEYS: SealKeys = { relinearisation: undefined, galois: new Map() };

export class SealEvaluator extends BackendEvaluator<RelinKeys, GaloisKeys> {
  readonly #backend: SealBackend;

  /** @param beforeCostly called before every key switch and product: throwing there abandons the computation */
  constructor(backend: SealBackend, keys: SealKeys = NO_SEAL_KEYS, beforeCostly?: () => void) {
    super(backend, keys, beforeCostly);
    this.#backend = backend;
  }

  copy(a: Ciphertext): Ciphertext {
    return new SealCiphertext(rawCiphertext(a).copy());
  }

  negateInPlace(a: Ciphertext): void {
    sealCall('negate', () => this.#backend.evaluator.negateInplace(rawCiphertext(a)));
  }

  protected sum(a: Ciphertext, b: Ciphertext): Ciphertext {
    const sum = this.copy(a);
    this.addTo(sum, b);
    return sum;
  }

  protected difference(a: Ciphertext, b: Ciphertext): Ciphertext {
    const difference = this.copy(a);
    withScaleOf(difference, b, (left, right) =>
      sealCall('subtract', () => this.#backend.evaluator.subInplace(left, right)),
    );
    return difference;
  }

  protected addTo(a: Ciphertext, b: Ciphertext): void {
    withScaleOf(a, b, (left, right) => sealCall('add', () => this.#backend.evaluator.addInplace(left, right)));
  }

  protected addPlainTo(a: Ciphertext, b: Plaintext): void {
    const plain = rawPlaintext(b);
    plain.setScale(a.scale);
    sealCall('add a plaintext', () => this.#backend.evaluator.addPlainInplace(rawCiphertext(a), plain));
  }

  protected product(a: Ciphertext, b: Ciphertext): Ciphertext {
    const [left, right] = [rawCiphertext(a), rawCiphertext(b)];
    return this.#produce('multiply', (out) =>
      left === right ? this.#backend.evaluator.square(left, out) : this.#backend.evaluator.multiply(left, right, out),
    );
  }

  protected plainProduct(a: Ciphertext, b: Plaintext): Ciphertext {
    return this.#produce('multiply by a plaintext', (out) =>
      this.#backend.evaluator.multiplyPlain(rawCiphertext(a), rawPlaintext(b), out),
    );
  }

  protected relinearise(a: Ciphertext): void {
    const key = this.relinearisationKey();
    sealCall('relinearise', () => this.#backend.evaluator.relinearizeInplace(rawCiphertext(a), key));
  }

  protected rescale(a: Ciphertext): void {
    sealCall('rescale', () => this.#backend.evaluator.rescaleToNextInplace(rawCiphertext(a)));
  }

  protected dropped(a: Ciphertext, level: number): Ciphertext {
    return this.#produce('drop a level', (out) =>
      this.#backend.evaluator.cipherModSwitchTo(rawCiphertext(a), this.#backend.parmsId(level), out),
    );
  }

  protected rotated(a: Ciphertext, step: number): Ciphertext {
    const key = this.galoisKey(step);
    return step === CONJUGATION
      ? this.#produce('conjugate', (out) => this.#backend.evaluator.complexConjugate(rawCiphertext(a), key, out))
      : this.#produce('rotate', (out) => this.#backend.evaluator.rotateVector(rawCiphertext(a), step, key, out));
  }

  protected setScale(a: Ciphertext, scale: number): void {
    rawCiphertext(a).setScale(scale);
  }

  #produce(operation: string, body: (out: RawCiphertext) => void): Ciphertext {
    const out = new this.#backend.seal.Ciphertext();
    try {
      sealCall(operation, () => body(out));
    } catch (error) {
      out.delete();
      throw error;
    }
    return new SealCiphertext(out);
  }
}

/**
 * SEAL wants bit-equal scales. Exact tracking along two paths may differ in the last bits of a double; then, and only
 * then, `b` is shown to SEAL with the scale of `a`. Anything more is an error in the circuit.
 */
function withScaleOf(a: Ciphertext, b: Ciphertext, body: (left: RawCiphertext, right: RawCiphertext) => void): void {
  const right = rawCiphertext(b);
  const scale = right.scale();
  right.setScale(a.scale);
  try {
    body(rawCiphertext(a), right);
  } finally {
    right.setScale(scale);
  }
}
