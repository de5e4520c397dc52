/** Where the time of a task goes, by the clock of its thread: threads export nothing, their process makes spans of it. */
import type { TaskPhase } from '@blindfit/protocol';

type Phase = TaskPhase['phase'];

/** Stretches of one task that are told apart; a task of very many shards is summed up from there on. */
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

  /** What is done from now on. @returns what was done until now */
  enter(phase: Phase): Phase {
    const now = performance.now() - this.#origin;
    const before = this.#phase;
    if (phase === before) return before;
    this.#close(now);
    this.#phase = phase;
    this.#since = now;
    return before;
  }

  /** Does something as a phase of its own in the middle of another. */
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
    // Nothing of the kind took place: a cached ciphertext is there at once.
    if (now - this.#since < 0.05) return;
    const phase = this.#phase;
    const last = this.#stretches.at(-1);
    const [start, end] = [this.#epoch + this.#since, this.#epoch + now];
    if (last?.phase === phase) last.end = end;
    else if (this.#stretches.length < MAX_STRETCHES) this.#stretches.push({ phase, start, end });
  }
}
