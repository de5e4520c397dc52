import type { NativeAddon, Words } from './addon.ts';

/** Bytes kept for reuse; what comes back beyond them is left to garbage collection. */
const MAX_BYTES = 32 * 2 ** 20;

/** Buffers of ciphertexts: fresh memory costs a page fault every 4 KiB, more than most operations that fill it. */
export class BufferPool {
  private readonly addon: Pick<NativeAddon, 'allocate'>;
  /** By number of words. */
  private readonly free = new Map<number, Words[]>();
  private bytes = 0;

  constructor(addon: Pick<NativeAddon, 'allocate'>) {
    this.addon = addon;
  }

  /** The content is undefined. */
  take(words: number): Words {
    const buffer = this.free.get(words)?.pop();
    if (buffer === undefined) return this.addon.allocate(words);
    this.bytes -= buffer.byteLength;
    return buffer;
  }

  readonly give = (buffer: Words): void => {
    if (this.bytes + buffer.byteLength > MAX_BYTES) return;
    this.bytes += buffer.byteLength;
    const list = this.free.get(buffer.length);
    if (list === undefined) this.free.set(buffer.length, [buffer]);
    else list.push(buffer);
  };

  clear(): void {
    this.free.clear();
    this.bytes = 0;
  }
}
