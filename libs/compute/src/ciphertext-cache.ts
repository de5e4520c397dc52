/** Input ciphertexts that one thread has at hand for its next tasks. */
import { parseDigest } from '@blindfit/base';
import { type BlobStore } from '@blindfit/blobs';
import { WireError, type Ciphertext } from '@blindfit/he';
import type { Engine } from './engine.ts';
import type { ThreadStatistics } from './messages.ts';
import { ciphertextBytes, type CiphertextPlace } from './parse-ciphertext.ts';

/** Mapped ones take no memory that the system could not have back, but they are counted as the process's: they stay as long as their job is likely to come back to them. */
const MAPPED_BYTES = 512 * 2 ** 20;
const MAPPED_MS = { sameJob: 10_000, otherJob: 500 };

interface Entry {
  readonly ciphertext: Ciphertext;
  readonly bytes: number;
  readonly mapped: boolean;
  /** Milliseconds on the clock of `performance`. */
  usedAt: number;
  /** The manifest of the job that used it last. */
  usedBy: string;
}

export class CiphertextCache {
  readonly #budget: number;
  readonly #statistics: ThreadStatistics;
  /** In order of use, the oldest first. */
  readonly #entries = new Map<string, Entry>();
  /** The manifest of the job at hand. */
  #job = '';

  /** @param budget bytes in the thread's own memory */
  constructor(budget: number, statistics: ThreadStatistics) {
    this.#budget = budget;
    this.#statistics = statistics;
  }

  /** What follows is for the job of this manifest. */
  workFor(manifest: string): void {
    this.#job = manifest;
  }

  /** The cache owns the result; it stays valid until the next {@link trim}. */
  async get(engine: Engine, store: BlobStore, digest: string, place: CiphertextPlace): Promise<Ciphertext> {
    const known = this.#entries.get(digest);
    if (known !== undefined) {
      this.#statistics.ciphertextHits++;
      this.#entries.delete(digest);
      this.#entries.set(digest, known);
      known.usedAt = performance.now();
      known.usedBy = this.#job;
      if (known.ciphertext.level !== place.level)
        throw new WireError(`a ciphertext at level ${known.ciphertext.level}`, `level ${place.level} is expected`);
      return known.ciphertext;
    }
    this.#statistics.ciphertextMisses++;
    const { ciphertext, mapped } = await engine.loadInput(digest, place, () => store.get(parseDigest(digest)));
    this.#entries.set(digest, {
      ciphertext,
      mapped,
      bytes: ciphertextBytes(engine.parameters, ciphertext.level),
      usedAt: performance.now(),
      usedBy: this.#job,
    });
    return ciphertext;
  }

  /** Frees the least recently used beyond the budgets. Called between tasks, when nothing is in use. */
  trim(): void {
    const held = { own: 0, mapped: 0 };
    for (const { bytes, mapped } of this.#entries.values()) held[mapped ? 'mapped' : 'own'] += bytes;
    const now = performance.now();
    for (const [digest, { ciphertext, bytes, mapped, usedAt, usedBy }] of this.#entries) {
      const inTime = now - usedAt <= MAPPED_MS[usedBy === this.#job ? 'sameJob' : 'otherJob'];
      if (mapped ? held.mapped <= MAPPED_BYTES && inTime : held.own <= this.#budget) continue;
      ciphertext[Symbol.dispose]();
      this.#entries.delete(digest);
      held[mapped ? 'mapped' : 'own'] -= bytes;
    }
  }
}
