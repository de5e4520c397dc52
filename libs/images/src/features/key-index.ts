/** No record. */
const EMPTY = 0xffffffff;

/**
 * Finds the number of a record by the digest of its image, in 24 to 48 bytes a record: a Map of texts takes five times
 * that. It compares 64 bits of the digest; whoever reads the record compares the rest.
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
    const record = this.#records[this.#place(key.readUInt32LE(0), key.readUInt32LE(4))] ?? EMPTY;
    return record === EMPTY ? undefined : record;
  }

  /** Where the key is, or would go. */
  #place(high: number, low: number): number {
    const mask = this.#records.length - 1;
    let at = low & mask;
    while (this.#records[at] !== EMPTY && (this.#high[at] !== high || this.#low[at] !== low)) at = (at + 1) & mask;
    return at;
  }

  #put(high: number, low: number, record: number): void {
    const at = this.#place(high, low);
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
      if (record !== EMPTY) this.#put(high[at] ?? 0, low[at] ?? 0, record);
    });
  }
}
