/** Counts what keys do in the current minute. */

const PERIOD_MS = 60_000;
/** Keys that are told apart; those beyond count together. */
const MAX_KEYS = 10_000;
const OTHERS = '';

export class RateWindow {
  readonly #limit: number;
  readonly #counts = new Map<string, number>();
  #since = -Infinity;

  /** @param limit of a key, in a minute */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** @param now milliseconds of a clock that never goes back @returns whether it was within the limit */
  admit(key: string, now = performance.now()): boolean {
    if (now >= this.#since + PERIOD_MS) {
      this.#counts.clear();
      this.#since = now;
    }
    const own = this.#counts.has(key) || this.#counts.size < MAX_KEYS ? key : OTHERS;
    const before = this.#counts.get(own);
    const count = (before === undefined ? 0 : before) + 1;
    this.#counts.set(own, count);
    return count <= this.#limit;
  }
}
