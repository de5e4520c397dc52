/** No record. */
const EMPTY = 0xffffffff;

/**
 * Finds the number of a record by the digest of its image, in 24 to 48 bytes a record: a Map of texts takes five times
 * that. It compares 64 bits of the digest; the reader of the record must compare the rest.
 */
export class KeyIndex {
  #high = new Uint32Array(1024);
  #low = new Uint32Array(1024);
  #records = new Uint32Array(1024).fill(EMPTY);
  #count = 0;

  /** Adds a record, or replaces the one of the same key. @param key at least 8 bytes */
  set(key: Buffer, record: number): void {
    if (2 * (this.#count + 1) > this.#records.length) this.#grow();
    this.#put(key.readUInt32LE(0), key.readUInt32LE(4), record);
  }

  get(key: Buffer): number | undefined {
    const record = this.#records[this.#slot(key.readUInt32LE(0), key.readUInt32LE(4))]!;
    return record === EMPTY ? undefined : record;
  }

  /** The slot of the key, or the free one where it belongs. */
  #slot(high: number, low: number): number {
    const mask = this.#records.length - 1;
    let slot = low & mask;
    while (this.#records[slot] !== EMPTY && (this.#high[slot] !== high || this.#low[slot] !== low))
      slot = (slot + 1) & mask;
    return slot;
  }

  #put(high: number, low: number, record: number): void {
    const at = this.#slot(high, low);
    if (this.#records[at] === EMPTY) this.#count++;
    this.#high[at] = high;
    this.#low[at] = low;
    this.#records[at] = record;
  }

  #grow(): void {
    const [high, low, records] = [this.#high, this.#low, this.#records];
    this.#high = new Uint32Array(2 * records.length);
    this.#low = new Uint32Array(2 * records.length);
    this.#records = new Uint32Array(2 * records.length).fill(EMPTY);
    this.#count = 0;
    records.forEach((record, at) => {
      if (record !== EMPTY) this.#put(high[at]!, low[at]!, record);
    });
  }
}
