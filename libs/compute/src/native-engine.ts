import { type Ciphertext, type Evaluator, type Parameters } from '@blindfit/he';
import { NativeEvaluator, NativeBackend, type NativeAddon } from '@blindfit/he/native';
import type { Engine, Input, KeyedJob } from './engine.ts';
import type { MappedInputs } from './mapped-inputs.ts';
import type { MappedKeys } from './mapped-keys.ts';
import type { CiphertextPlace } from './parse-ciphertext.ts';

/** The native evaluator, without SEAL. Keys and inputs are mapped from files that all processes of the host share. */
export class NativeEngine implements Engine {
  readonly parameters: Parameters;
  readonly #backend: NativeBackend;
  readonly #keys: MappedKeys;
  readonly #inputs: MappedInputs;

  /** @param keys shared by the engines of a thread, and so are `inputs` */
  constructor(addon: NativeAddon, parameters: Parameters, keys: MappedKeys, inputs: MappedInputs) {
    this.parameters = parameters;
    this.#backend = new NativeBackend(addon, parameters);
    this.#keys = keys;
    this.#inputs = inputs;
  }

  loadCiphertext(bytes: Uint8Array): Ciphertext {
    return this.#backend.loadCiphertext(bytes);
  }

  saveCiphertext(ciphertext: Ciphertext): Uint8Array {
    return this.#backend.saveCiphertext(ciphertext);
  }

  async evaluator(job: KeyedJob | undefined, checkpoint: () => void): Promise<Evaluator> {
    const keys = job === undefined ? undefined : await this.#keys.get(job, this.#backend, checkpoint);
    return new NativeEvaluator(this.#backend, keys, checkpoint);
  }

  keysIntact(job: KeyedJob): boolean {
    return this.#keys.intact(job);
  }

  loadInput(digest: string, place: CiphertextPlace, read: () => Promise<Uint8Array>): Promise<Input> {
    return this.#inputs.get(this.#backend, digest, place, read);
  }
}
