/** What the evaluators that compute have in common: an opened parameter set that encodes plaintexts, and keys. */
import type { Plaintext } from './ciphertext.ts';
import { MissingKeyError } from './errors.ts';
import { Evaluator } from './evaluator.ts';
import { CONJUGATION } from './galois.ts';
import type { Parameters } from './parameters.ts';

/** An opened parameter set, as far as evaluators need it. */
export interface PlaintextEncoder {
  readonly parameters: Parameters;
  prime(level: number): bigint;
  encode(first: Float64Array, level: number, scale: number, second?: Float64Array): Plaintext;
  encodeConstant(value: number, level: number, scale: number): Plaintext;
  monomial(power: number, level: number): Plaintext;
}

/** The public keys an evaluator works with. Galois keys by rotation step, 0 for the conjugation. */
export interface EvaluationKeys<Relinearisation, Galois> {
  readonly relinearisation: Relinearisation | undefined;
  readonly galois: ReadonlyMap<number, Galois>;
}

export abstract class BackendEvaluator<Relinearisation, Galois> extends Evaluator {
  readonly #encoder: PlaintextEncoder;
  readonly #keys: EvaluationKeys<Relinearisation, Galois>;

  constructor(
    encoder: PlaintextEncoder,
    keys: EvaluationKeys<Relinearisation, Galois>,
    beforeCostly: (() => void) | undefined,
  ) {
    super(encoder.parameters, beforeCostly);
    this.#encoder = encoder;
    this.#keys = keys;
  }

  prime(level: number): bigint {
    return this.#encoder.prime(level);
  }

  encode(first: Float64Array, level: number, scale: number, second?: Float64Array): Plaintext {
    return this.#encoder.encode(first, level, scale, second);
  }

  encodeConstant(value: number, level: number, scale: number): Plaintext {
    return this.#encoder.encodeConstant(value, level, scale);
  }

  monomial(power: number, level: number): Plaintext {
    return this.#encoder.monomial(power, level);
  }

  /** @throws MissingKeyError */
  protected relinearisationKey(): Relinearisation {
    const key = this.#keys.relinearisation;
    if (key === undefined) throw new MissingKeyError('relinearisation key', 'rotation keys only');
    return key;
  }

  /** @throws MissingKeyError naming the steps that there are keys for */
  protected galoisKey(step: number): Galois {
    const key = this.#keys.galois.get(step);
    if (key !== undefined) return key;
    const what = step === CONJUGATION ? 'conjugation key' : `rotation key for step ${step}`;
    throw new MissingKeyError(what, `steps ${[...this.#keys.galois.keys()].join(', ') || 'none'}`);
  }
}
