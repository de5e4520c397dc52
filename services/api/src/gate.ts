/** How much may be under way at a time, for each client and in all. */
export interface GateLimits {
  readonly perKey: number;
  readonly total: number;
}

export class Gate {
  readonly #limits: GateLimits;
  readonly #inside = new Map<string, number>();
  #total = 0;

  constructor(limits: GateLimits) {
    this.#limits = limits;
  }

  /** @returns what lets the next one in, to be called once; undefined when as many as may be are inside */
  enter(key: string): (() => void) | undefined {
    const inside = this.#of(key);
    if (inside >= this.#limits.perKey || this.#total >= this.#limits.total) return undefined;
    this.#inside.set(key, inside + 1);
    this.#total++;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#total--;
      const rest = this.#of(key) - 1;
      if (rest === 0) this.#inside.delete(key);
      else this.#inside.set(key, rest);
    };
  }

  #of(key: string): number {
    const inside = this.#inside.get(key);
    return inside === undefined ? 0 : inside;
  }
}
