import type { BlobStore } from '@blindfit/blobs';
import { type Ciphertext, type Evaluator, type Parameters } from '@blindfit/he';
import { Scheme, SealEvaluator } from '@blindfit/he/seal';
import type { Engine, Input, KeyedJob } from './engine.ts';
import type { KeyCache } from './key-cache.ts';
import { parseCiphertext, type CiphertextPlace } from './parse-ciphertext.ts';

/** node-seal: the reference, and what remains where the native evaluator cannot be had. */
export class SealEngine implements Engine {
  readonly parameters: Parameters;
  readonly #scheme: Scheme;
  readonly #keys: KeyCache;
  readonly #store: BlobStore;

  private constructor(scheme: Scheme, keys: KeyCache, store: BlobStore) {
    this.parameters = scheme.parameters;
    this.#scheme = scheme;
    this.#keys = keys;
    this.#store = store;
  }

  /** @param keys shared by the engines of a thread */
  static async open(parameters: Parameters, keys: KeyCache, store: BlobStore): Promise<SealEngine> {
    return new SealEngine(await Scheme.open(parameters), keys, store);
  }

  loadCiphertext(bytes: Uint8Array): Ciphertext {
    return this.#scheme.loadCiphertext(bytes);
  }

  saveCiphertext(ciphertext: Ciphertext): Uint8Array {
    return this.#scheme.saveCiphertext(ciphertext);
  }

  async evaluator(job: KeyedJob | undefined, checkpoint: () => void): Promise<Evaluator> {
    const keys = job === undefined ? undefined : await this.#keys.get(job, this.#scheme, this.#store, checkpoint);
    return new SealEvaluator(this.#scheme, keys, checkpoint);
  }

  async loadInput(_digest: string, place: CiphertextPlace, read: () => Promise<Uint8Array>): Promise<Input> {
    return { ciphertext: parseCiphertext(this, await read(), place), mapped: false };
  }
}
