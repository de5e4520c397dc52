import type { NativeAddon, Words } from './addon.ts';

/** Bytes kept for reuse; what comes back beyond them is left to garbage collection. */
const MAX_BYTES = 96 * 2 ** 20;

/**
 * Buffers of ciphertexts. New memory costs a page fault every 4 KiB, more than most operations that fill it. All
 * buffers are as long as the longest ciphertext, so each serves any level; pages that a short ciphertext never touches
 * take no memory.
 */
export class BufferPool {
  readonly #addon: Pick<NativeAddon, 'allocate'>;
  readonly #words: number;
  readonly #free: Words[] = [];

  /** @param words of the longest buffer */
  constructor(addon: Pick<NativeAddon, 'allocate'>, words: number) {
    this.#addon = addon;
    this.#words = words;
  }

  /** The content is undefined. */
  take(words: number): Words {
    const whole = this.#free.pop() ?? this.#addon.allocate(this.#words);
    return words === whole.length ? whole : whole.subarray(0, words);
  }

  readonly give = ({ buffer }: Words): void => {
    // What the addon allocated by itself may be shorter.
    if (buffer.byteLength < this.#words * 8 || (this.#free.length + 1) * this.#words * 8 > MAX_BYTES) return;
    this.#free.push(new BigUint64Array(buffer, 0, this.#words));
  };

  clear(): void {
    this.#free.length = 0;
  }
}
