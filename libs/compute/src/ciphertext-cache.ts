/** Input ciphertexts that one thread has at hand for its next tasks. */
import { WireError, type Ciphertext } from '@blindfit/he';
import { parseDigest, type BlobStore } from '@blindfit/storage';
import type { Engine } from './engine.ts';
import type { ThreadStatistics } from './messages.ts';
import { ciphertextBytes, type CiphertextPlace } from './parse-ciphertext.ts';

interface Entry {
  readonly ciphertext: Ciphertext;
  readonly bytes: number;
}

export class CiphertextCache {
  private readonly budget: number;
  private readonly statistics: ThreadStatistics;
  private readonly entries = new Map<string, Entry>();

  constructor(budget: number, statistics: ThreadStatistics) {
    this.budget = budget;
    this.statistics = statistics;
  }

  /** The cache owns the result; it stays valid until the next {@link trim}. */
  async get(engine: Engine, store: BlobStore, digest: string, place: CiphertextPlace): Promise<Ciphertext> {
    const known = this.entries.get(digest);
    if (known !== undefined) {
      this.statistics.ciphertextHits++;
      this.entries.delete(digest);
      this.entries.set(digest, known);
      if (known.ciphertext.level !== place.level) throw new WireError(`a ciphertext at level ${known.ciphertext.level}`, `level ${place.level} is expected`);
      return known.ciphertext;
    }
    this.statistics.ciphertextMisses++;
    const ciphertext = await engine.loadInput(digest, place, () => store.get(parseDigest(digest)));
    this.entries.set(digest, { ciphertext, bytes: ciphertextBytes(engine.parameters, ciphertext.level) });
    return ciphertext;
  }

  /** Frees the least recently used beyond the budget. Called between tasks, when nothing is in use. */
  trim(): void {
    let held = [...this.entries.values()].reduce((sum, entry) => sum + entry.bytes, 0);
    for (const [digest, entry] of this.entries) {
      if (held <= this.budget) break;
      entry.ciphertext[Symbol.dispose]();
      this.entries.delete(digest);
      held -= entry.bytes;
    }
  }
}
