/**
 * The owner's ciphertexts for the native evaluator: fetched, inflated, verified and expanded from their seeds once a host, then mapped by every
 * thread that needs them. Every iteration and pair of classes reads all of X, so this is where the time of large jobs would go.
 */
import type { NativeCiphertext, NativeScheme } from '@blindfit/he';
import type { HostFiles } from './host-files.ts';
import type { ThreadStatistics } from './messages.ts';
import { fits, parseCiphertext, type CiphertextPlace } from './parse-ciphertext.ts';

export class MappedInputs {
  private readonly files: HostFiles;
  private readonly statistics: ThreadStatistics;

  constructor(files: HostFiles, statistics: ThreadStatistics) {
    this.files = files;
    this.statistics = statistics;
  }

  /** @throws as {@link parseCiphertext}; what `read` throws */
  async get(scheme: NativeScheme, digest: string, place: CiphertextPlace, read: () => Promise<Uint8Array>): Promise<NativeCiphertext> {
    const name = digest.replace(/^sha256:/, '');
    const path = await this.files.find(name);
    const mapped = path === undefined ? undefined : await this.map(scheme, path, name);
    if (mapped !== undefined) {
      if (fits(mapped, place)) {
        this.statistics.inputHits++;
        return mapped;
      }
      // The blob says what is wrong with it.
      mapped[Symbol.dispose]();
    }
    this.statistics.inputMisses++;
    const ciphertext = parseCiphertext(scheme, await read(), place);
    await this.files.offer(name, scheme.fileOf(ciphertext));
    return ciphertext;
  }

  /** Undefined when the file is damaged, of another version, or gone again: it will be made anew. */
  private async map(scheme: NativeScheme, path: string, name: string): Promise<NativeCiphertext | undefined> {
    try {
      return scheme.mapCiphertext(path);
    } catch {
      await this.files.drop(name);
      return undefined;
    }
  }
}
