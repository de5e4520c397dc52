/** The {@link Evaluator} on node-seal: the reference every other evaluator is judged by. */
import type { GaloisKeys, RelinKeys } from 'node-seal';
import { CircuitError, MissingKeyError } from '../errors.ts';
import { noOperations, type Ciphertext, type Evaluator, type OperationCounts, type Plaintext } from '../evaluator.ts';
import { assertSame } from '../exact-scales.ts';
import type { Parameters } from '../parameters.ts';
import { sealCall } from './module.ts';
import { rawCiphertext, rawPlaintext, SealCiphertext, type Scheme } from './scheme.ts';

/** The public keys an evaluator works with. Galois keys by rotation step, 0 for the conjugation. */
export interface EvaluationKeys {
  readonly relinearisation: RelinKeys | undefined;
  readonly galois: ReadonlyMap<number, GaloisKeys>;
}

export const NO_KEYS: EvaluationKeys = { relinearisation: undefined, galois: new Map() };

export class SealEvaluator implements Evaluator {
  readonly parameters: Parameters;
  readonly counts: OperationCounts = noOperations();
  readonly #scheme: Scheme;
  readonly #keys: EvaluationKeys;
  readonly #beforeCostly: () => void;

  /** @param beforeCostly called before every key switch and product: throwing there abandons the computation */
  constructor(scheme: Scheme, keys: EvaluationKeys = NO_KEYS, beforeCostly: () => void = () => undefined) {
    this.#scheme = scheme;
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
    return new SealCiphertext(rawCiphertext(a).copy());
  }

  add(a: Ciphertext, b: Ciphertext): Ciphertext {
    const sum = this.copy(a);
    this.addInPlace(sum, b);
    return sum;
  }

  subtract(a: Ciphertext, b: Ciphertext): Ciphertext {
    const difference = this.copy(a);
    this.#withScaleOf(difference, b, (left, right) =>
      sealCall('subtract', () => this.#scheme.evaluator.subInplace(left, right)),
    );
    return difference;
  }

  addInPlace(a: Ciphertext, b: Ciphertext): void {
    this.#withScaleOf(a, b, (left, right) => sealCall('add', () => this.#scheme.evaluator.addInplace(left, right)));
  }

  addPlainInPlace(a: Ciphertext, b: Plaintext): void {
    assertSame('add a plaintext', a, b);
    const plain = rawPlaintext(b);
    plain.setScale(a.scale);
    sealCall('add a plaintext', () => this.#scheme.evaluator.addPlainInplace(rawCiphertext(a), plain));
  }

  negateInPlace(a: Ciphertext): void {
    sealCall('negate', () => this.#scheme.evaluator.negateInplace(rawCiphertext(a)));
  }

  multiply(a: Ciphertext, b: Ciphertext): Ciphertext {
    this.#beforeCostly();
    this.counts.multiplications++;
    return this.#produce((out) =>
      sealCall('multiply', () => this.#scheme.evaluator.multiply(rawCiphertext(a), rawCiphertext(b), out)),
    );
  }

  square(a: Ciphertext): Ciphertext {
    this.#beforeCostly();
    this.counts.multiplications++;
    return this.#produce((out) => sealCall('square', () => this.#scheme.evaluator.square(rawCiphertext(a), out)));
  }

  multiplyPlain(a: Ciphertext, b: Plaintext): Ciphertext {
    this.#beforeCostly();
    this.counts.plainMultiplications++;
    return this.#produce((out) =>
      sealCall('multiply by a plaintext', () =>
        this.#scheme.evaluator.multiplyPlain(rawCiphertext(a), rawPlaintext(b), out),
      ),
    );
  }

  relineariseInPlace(a: Ciphertext): void {
    const key = this.#keys.relinearisation;
    if (key === undefined) throw new MissingKeyError('relinearisation key', 'rotation keys only');
    this.#beforeCostly();
    this.counts.relinearisations++;
    sealCall('relinearise', () => this.#scheme.evaluator.relinearizeInplace(rawCiphertext(a), key));
  }

  rescaleInPlace(a: Ciphertext): void {
    if (a.level === 0) throw new CircuitError('no level left to rescale', 'plan fewer iterations');
    this.counts.rescales++;
    sealCall('rescale', () => this.#scheme.evaluator.rescaleToNextInplace(rawCiphertext(a)));
  }

  dropTo(a: Ciphertext, level: number): Ciphertext {
    if (level > a.level) throw new CircuitError(`a ciphertext at level ${a.level} cannot rise to level ${level}`);
    if (level === a.level) return this.copy(a);
    return this.#produce((out) =>
      sealCall('drop a level', () =>
        this.#scheme.evaluator.cipherModSwitchTo(rawCiphertext(a), this.#scheme.parmsId(level), out),
      ),
    );
  }

  rotate(a: Ciphertext, step: number): Ciphertext {
    const key = this.#galoisKey(step, `rotation key for step ${step}`);
    this.#beforeCostly();
    this.counts.rotations++;
    return this.#produce((out) =>
      sealCall('rotate', () => this.#scheme.evaluator.rotateVector(rawCiphertext(a), step, key, out)),
    );
  }

  conjugate(a: Ciphertext): Ciphertext {
    const key = this.#galoisKey(0, 'conjugation key');
    this.#beforeCostly();
    this.counts.rotations++;
    return this.#produce((out) =>
      sealCall('conjugate', () => this.#scheme.evaluator.complexConjugate(rawCiphertext(a), key, out)),
    );
  }

  multiplyValueInPlace(a: Ciphertext, factor: number): void {
    if (!(factor > 0 && Number.isFinite(factor)))
      throw new CircuitError(`a scale cannot carry the factor ${factor}`, 'positive finite factors only');
    const raw = rawCiphertext(a);
    raw.setScale(raw.scale() / factor);
  }

  #galoisKey(step: number, what: string): GaloisKeys {
    const key = this.#keys.galois.get(step);
    if (key === undefined)
      throw new MissingKeyError(what, `steps ${[...this.#keys.galois.keys()].join(', ') || 'none'}`);
    return key;
  }

  #produce(body: (out: ReturnType<typeof rawCiphertext>) => void): Ciphertext {
    const out = new this.#scheme.seal.Ciphertext();
    try {
      body(out);
    } catch (error) {
      out.delete();
      throw error;
    }
    return new SealCiphertext(out);
  }

  /**
   * SEAL wants bit-equal scales. Exact tracking along two paths may differ in the last bits of a double; then, and only
   * then, `b` is shown to SEAL with the scale of `a`. Anything more is an error in the circuit.
   */
  #withScaleOf(
    a: Ciphertext,
    b: Ciphertext,
    body: (left: ReturnType<typeof rawCiphertext>, right: ReturnType<typeof rawCiphertext>) => void,
  ): void {
    assertSame('combine', a, b);
    const right = rawCiphertext(b);
    const scale = right.scale();
    right.setScale(a.scale);
    try {
      body(rawCiphertext(a), right);
    } finally {
      right.setScale(scale);
    }
  }
}
