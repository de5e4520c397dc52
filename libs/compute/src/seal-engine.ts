import type { BlobStore } from '@blindfit/blobs';
import { type Ciphertext, type Evaluator, type Parameters } from '@blindfit/he';
import { SealBackend, SealEvaluator, type SealKeys } from '@blindfit/he/seal';
import type { Engine, Input, KeyedJob } from './engine.ts';
import type { Keysets } from './keysets.ts';
import { parseCiphertext, type CiphertextPlace } from './parse-ciphertext.ts';
import { loadSealKeys } from './seal-keys.ts';

/** node-seal: the reference, and the fallback on machines without the native evaluator. */
export class SealEngine implements Engine {
  readonly parameters: Parameters;
  readonly #backend: SealBackend;
  readonly #keys: Keysets<SealKeys>;
  readonly #store: BlobStore;

  private constructor(backend: SealBackend, keys: Keysets<SealKeys>, store: BlobStore) {
    this.parameters = backend.parameters;
    this.#backend = backend;
    this.#keys = keys;
    this.#store = store;
  }

  /** @param keys shared by the engines of a thread */
  static async open(parameters: Parameters, keys: Keysets<SealKeys>, store: BlobStore): Promise<SealEngine> {
    return new SealEngine(await SealBackend.open(parameters), keys, store);
  }

  loadCiphertext(bytes: Uint8Array): Ciphertext {
    return this.#backend.loadCiphertext(bytes);
  }

  saveCiphertext(ciphertext: Ciphertext): Uint8Array {
    return this.#backend.saveCiphertext(ciphertext);
  }

  async evaluator(job: KeyedJob | undefined, checkpoint: () => void): Promise<Evaluator> {
    const load = (keyed: KeyedJob) => (): Promise<SealKeys> =>
      loadSealKeys(keyed, this.#backend, this.#store, checkpoint);
    const keys = job === undefined ? undefined : await this.#keys.get(job, load(job));
    return new SealEvaluator(this.#backend, keys, checkpoint);
  }

  /** SEAL's keys lie in the memory of the thread. */
  keysIntact(): boolean {
    return true;
  }

  async loadInput(_digest: string, place: CiphertextPlace, read: () => Promise<Uint8Array>): Promise<Input> {
    return { ciphertext: parseCiphertext(this, await read(), place) };
  }
}
