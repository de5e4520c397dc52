import type { TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';

interface Timer {
  due: number;
  readonly every: number | undefined;
  readonly run: () => void;
  readonly unref: () => Timer;
}

export interface StoppedClock {
  /** Moves the time by steps of 10 ms and lets promises settle in between. */
  readonly pass: (milliseconds: number) => Promise<void>;
  /** How many timers have been set and neither fired for the last time nor been cleared. */
  readonly timers: () => number;
}

/**
 * Timers and `Date.now()` that only move when told to. (Those of node:test lose timers when one is cleared that has
 * fired.)
 */
export function stopClock(t: TestContext): StoppedClock {
  let now = 1_000_000;
  const timers = new Set<Timer>();
  const add = (run: () => void, delay: number, every?: number): Timer => {
    const timer: Timer = { due: now + Math.max(1, delay), every, run, unref: () => timer };
    timers.add(timer);
    return timer;
  };
  const replace = (name: 'setTimeout' | 'setInterval' | 'clearTimeout' | 'clearInterval', by: unknown): void =>
    void t.mock.method(globalThis, name, by as typeof clearTimeout);
  replace('setTimeout', (run: () => void, delay: number) => add(run, delay));
  replace('setInterval', (run: () => void, delay: number) => add(run, delay, delay));
  replace('clearTimeout', (timer: Timer) => timers.delete(timer));
  replace('clearInterval', (timer: Timer) => timers.delete(timer));
  t.mock.method(Date, 'now', () => now);
  const pass = async (milliseconds: number): Promise<void> => {
    for (const end = now + milliseconds; now < end;) {
      now += 10;
      for (const timer of [...timers].filter(({ due }) => due <= now)) {
        if (!timers.has(timer)) continue;
        if (timer.every === undefined) timers.delete(timer);
        else timer.due += timer.every;
        timer.run();
      }
      await turn();
    }
  };
  return { pass, timers: () => timers.size };
}
