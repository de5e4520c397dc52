/** Where the time of a task goes, by the clock of its thread. Its process makes spans of the phases. */
import type { TaskPhase } from '@blindfit/protocol';

type Phase = TaskPhase['phase'];

/** Most stretches of one task that are told apart. In a task of very many shards the last one covers the rest. */
const MAX_STRETCHES = 48;

export class Phases {
  readonly #stretches: { phase: Phase; start: number; end: number }[] = [];
  readonly #epoch: number;
  #phase: Phase;
  #since = 0;
  readonly #origin = performance.now();

  /** @param epoch milliseconds since the epoch, now: a monotonic clock goes on from there */
  constructor(epoch: number, first: Phase) {
    this.#epoch = epoch;
    this.#phase = first;
  }

  /** Begins another phase. @returns the phase until now */
  enter(phase: Phase): Phase {
    const now = performance.now() - this.#origin;
    const before = this.#phase;
    if (phase === before) return before;
    this.#close(now);
    this.#phase = phase;
    this.#since = now;
    return before;
  }

  /** Does something as a separate phase in the middle of another. */
  async during<T>(phase: Phase, body: () => Promise<T>): Promise<T> {
    const before = this.enter(phase);
    try {
      return await body();
    } finally {
      this.enter(before);
    }
  }

  /** Ends the last phase. @returns all stretches, in order */
  end(): TaskPhase[] {
    this.#close(performance.now() - this.#origin);
    return this.#stretches;
  }

  #close(now: number): void {
    // A phase that took no time did not happen: a cached ciphertext is returned at once.
    if (now - this.#since < 0.05) return;
    const phase = this.#phase;
    const last = this.#stretches.at(-1);
    const [start, end] = [this.#epoch + this.#since, this.#epoch + now];
    if (last?.phase === phase) last.end = end;
    else if (this.#stretches.length < MAX_STRETCHES) this.#stretches.push({ phase, start, end });
  }
}
