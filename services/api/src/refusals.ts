/** What strangers do, for logs: a sample, so that none of them can fill the disk or push others out. */

/** Lines in a period, of one address and of all. */
const PER_ADDRESS = 2;
const IN_ALL = 10;
const PERIOD_MS = 60_000;

export class RefusalSample {
  /** Of the addresses that have lines in this period: never more than there are lines. */
  readonly #lines = new Map<string, number>();
  #total = 0;
  #omitted = 0;
  #since = -Infinity;

  /**
   * Whether a refusal gets a line.
   * @param now milliseconds of a clock that never goes back
   * @returns how many were left out since the last line; undefined when this one is left out as well
   */
  admit(address: string, now = performance.now()): number | undefined {
    if (now >= this.#since + PERIOD_MS) {
      this.#lines.clear();
      this.#total = 0;
      this.#since = now;
    }
    const before = this.#lines.get(address);
    const lines = before === undefined ? 0 : before;
    if (lines >= PER_ADDRESS || this.#total >= IN_ALL) {
      this.#omitted++;
      return undefined;
    }
    this.#lines.set(address, lines + 1);
    this.#total++;
    const omitted = this.#omitted;
    this.#omitted = 0;
    return omitted;
  }
}
