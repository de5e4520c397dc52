/** Parsed input ciphertexts of one thread: expanding a seed costs more than keeping the result for the next task. */
import { WireError, checkHeader, parseHeader, WIRE_HEADER_BYTES, type Ciphertext, type CiphertextCodec } from '@blindfit/he';
import { parseDigest, type BlobStore } from '@blindfit/storage';
import type { ThreadStatistics } from './messages.ts';

interface Entry {
  readonly ciphertext: Ciphertext;
  readonly bytes: number;
}

/** What a ciphertext must be at its place: its level, and its scale where the plan fixes it. */
export interface CiphertextPlace {
  readonly level: number;
  readonly scale?: number;
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
  async get(codec: CiphertextCodec, store: BlobStore, digest: string, place: CiphertextPlace): Promise<Ciphertext> {
    const known = this.entries.get(digest);
    if (known !== undefined) {
      this.statistics.ciphertextHits++;
      this.entries.delete(digest);
      this.entries.set(digest, known);
      if (known.ciphertext.level !== place.level) throw new WireError(`a ciphertext at level ${known.ciphertext.level}`, `level ${place.level} is expected`);
      return known.ciphertext;
    }
    this.statistics.ciphertextMisses++;
    const ciphertext = parseCiphertext(codec, await store.get(parseDigest(digest)), place);
    this.entries.set(digest, { ciphertext, bytes: 2 * (ciphertext.level + 1) * codec.parameters.ring * 8 });
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

/**
 * Checks header and size, lets the codec parse, and checks that what it found is what the header says.
 * @throws WireError, SealError
 */
export function parseCiphertext(codec: CiphertextCodec, bytes: Uint8Array, place: CiphertextPlace): Ciphertext {
  const header = parseHeader(bytes);
  const { parameters } = codec;
  checkHeader(header, bytes.length, { parameters, fields: { kind: 'ciphertext', level: place.level, scale: place.scale ?? header.scale } });
  const ciphertext = codec.loadCiphertext(bytes.subarray(WIRE_HEADER_BYTES));
  if (ciphertext.level !== header.level || ciphertext.scale !== header.scale || ciphertext.size !== 2) {
    const found = `level ${ciphertext.level}, scale ${ciphertext.scale}, size ${ciphertext.size}`;
    ciphertext[Symbol.dispose]();
    throw new WireError(`a ciphertext of ${found} inside`, `its header says level ${header.level}, scale ${header.scale}; size must be 2`);
  }
  return ciphertext;
}
