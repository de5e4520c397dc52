/**
 * The owner's ciphertexts for the native evaluator: fetched, inflated, verified and expanded from their seeds once a
 * host, then mapped by every thread that needs them. Every iteration and pair of classes reads all of X, so without
 * the files most of the time of large jobs would go here.
 */
import { hexOf, parseDigest } from '@blindfit/base';
import type { NativeCiphertext, NativeBackend } from '@blindfit/he/native';
import type { Input } from './engine.ts';
import type { HostFiles } from './host-files.ts';
import type { ThreadStatistics } from './messages.ts';
import { fits, parseCiphertext, type CiphertextPlace } from './parse-ciphertext.ts';

export class MappedInputs {
  readonly #files: HostFiles;
  readonly #statistics: ThreadStatistics;

  constructor(files: HostFiles, statistics: ThreadStatistics) {
    this.#files = files;
    this.#statistics = statistics;
  }

  /** @throws WireError, SealError when the blob is no ciphertext for the place; what `read` throws */
  async get(
    backend: NativeBackend,
    digest: string,
    place: CiphertextPlace,
    read: () => Promise<Uint8Array>,
  ): Promise<Input> {
    const name = hexOf(parseDigest(digest));
    const cached = await this.#map(backend, await this.#files.touch(name));
    if (cached !== undefined && fits(cached, place)) {
      this.#statistics.inputHits++;
      return mapped(backend, cached);
    }
    // When a file does not fit the place, parsing the blob says what is wrong.
    cached?.[Symbol.dispose]();
    this.#statistics.inputMisses++;
    const ciphertext = parseCiphertext(backend, await read(), place);
    const made = await this.#map(backend, await this.#files.putIfRoom(name, backend.fileOf(ciphertext)));
    if (made === undefined) return { ciphertext };
    ciphertext[Symbol.dispose]();
    return mapped(backend, made);
  }

  async #map(backend: NativeBackend, path: string | undefined): Promise<NativeCiphertext | undefined> {
    return path === undefined ? undefined : this.#files.openOrDiscard(path, (file) => backend.mapCiphertext(file));
  }
}

function mapped(backend: NativeBackend, ciphertext: NativeCiphertext): Input {
  return { ciphertext, isIntact: () => backend.isIntact(ciphertext) };
}
