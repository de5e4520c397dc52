/** Evaluation keys for the native evaluator: files that are made once per host and mapped by every thread. */
import { hexOf, parseDigest } from '@blindfit/base';
import type { BlobStore } from '@blindfit/blobs';
import { unwrap } from '@blindfit/he';
import type { NativeKey, NativeKeys, NativeBackend } from '@blindfit/he/native';
import type { KeyedJob } from './engine.ts';
import { named } from './errors.ts';
import type { HostFiles } from './host-files.ts';
import { keyBlobsOf, Keysets, type KeyBlob } from './keysets.ts';
import type { ThreadStatistics } from './messages.ts';

export class MappedKeys {
  readonly #files: HostFiles;
  readonly #store: BlobStore;
  readonly #keysets: Keysets<NativeKeys>;

  /** @param budget bytes mapped at a time; threads of a process share the pages that they map of the same file */
  constructor(files: HostFiles, store: BlobStore, budget: number, statistics: ThreadStatistics) {
    this.#files = files;
    this.#store = store;
    this.#keysets = new Keysets(budget, statistics, close);
  }

  /**
   * The keys of a job, which stay valid until the next call.
   * @param checkpoint called before each key: throwing there abandons the load
   * @throws KeyBudgetError; WireError naming the key; what the store throws
   */
  get(job: KeyedJob, backend: NativeBackend, checkpoint: () => void): Promise<NativeKeys> {
    return this.#keysets.get(job, () => this.#load(keyBlobsOf(job), backend, checkpoint));
  }

  /** Forgets the keys of a job if one of their files is not as it was written. @returns whether they were intact */
  intact(job: KeyedJob): boolean {
    const keys = this.#keysets.cached(job);
    if (keys === undefined) return true;
    const intact = [keys.relinearisation, ...keys.galois.values()].every((key) => key?.intact() !== false);
    if (!intact) this.#keysets.forget(job);
    return intact;
  }

  /** Maps the files that exist, makes those that are missing, and waits for those that others make. */
  async #load(blobs: readonly KeyBlob[], backend: NativeBackend, checkpoint: () => void): Promise<NativeKeys> {
    const keys = new Map<number | undefined, NativeKey>();
    let made = false;
    try {
      for (let missing = blobs; missing.length > 0; missing = blobs.filter(({ step }) => !keys.has(step))) {
        let progress = false;
        for (const blob of missing) {
          checkpoint();
          let path = await this.#files.touch(fileNameOf(blob));
          if (path === undefined) {
            path = await this.#files.createOnce(fileNameOf(blob), () => this.#content(blob, backend));
            made ||= path !== undefined;
          }
          if (path === undefined) continue;
          progress = true;
          const key = await this.#files.openOrDiscard(path, (file) => backend.ring.openKey(file));
          if (key !== undefined) keys.set(blob.step, key);
        }
        if (!progress) await this.#files.waitForOthers();
      }
      if (made) await this.#files.trim(new Set(blobs.map(fileNameOf)));
    } catch (error) {
      for (const key of keys.values()) key.close();
      throw error;
    }
    const galois = new Map<number, NativeKey>();
    for (const [step, key] of keys) if (step !== undefined) galois.set(step, key);
    return { relinearisation: keys.get(undefined), galois };
  }

  #content({ step, digest, path }: KeyBlob, backend: NativeBackend): Promise<Uint8Array> {
    const { parameters } = backend;
    return named(path, digest, async () => {
      const bytes = await this.#store.get(parseDigest(digest));
      const fields =
        step === undefined ? ({ kind: 'relinearisation-key' } as const) : ({ kind: 'galois-key', step } as const);
      return backend.packKey(unwrap(bytes, { parameters, fields }), step);
    });
  }
}

function close({ relinearisation, galois }: NativeKeys): void {
  relinearisation?.close();
  for (const key of galois.values()) key.close();
}

function fileNameOf({ step, digest }: KeyBlob): string {
  const hex = hexOf(parseDigest(digest));
  return step === undefined ? hex : `${hex}-${step}`;
}
