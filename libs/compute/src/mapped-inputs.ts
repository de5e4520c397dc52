/**
 * The owner's ciphertexts for the native evaluator: fetched, inflated, verified and expanded from their seeds once a host, then mapped by every
 * thread that needs them. Every iteration and pair of classes reads all of X, so this is where the time of large jobs would go.
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

  /** @throws as {@link parseCiphertext}; what `read` throws */
  async get(
    backend: NativeBackend,
    digest: string,
    place: CiphertextPlace,
    read: () => Promise<Uint8Array>,
  ): Promise<Input> {
    const name = hexOf(parseDigest(digest));
    const found = await this.#map(backend, await this.#files.touch(name));
    if (found !== undefined && fits(found, place)) {
      this.#statistics.inputHits++;
      return { ciphertext: found, mapped: true };
    }
    // Of a file that does not fit the place, the blob says what is wrong.
    found?.[Symbol.dispose]();
    this.#statistics.inputMisses++;
    const ciphertext = parseCiphertext(backend, await read(), place);
    const made = await this.#map(backend, await this.#files.putIfRoom(name, backend.fileOf(ciphertext)));
    if (made === undefined) return { ciphertext, mapped: false };
    ciphertext[Symbol.dispose]();
    return { ciphertext: made, mapped: true };
  }

  async #map(backend: NativeBackend, path: string | undefined): Promise<NativeCiphertext | undefined> {
    return path === undefined ? undefined : this.#files.openOrDiscard(path, (file) => backend.mapCiphertext(file));
  }
}
