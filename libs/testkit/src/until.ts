import { setTimeout as sleep } from 'node:timers/promises';

export interface UntilOptions {
  /** How long to wait. Generous, because it only matters when the test fails. @default 60 */
  readonly seconds?: number | undefined;
  /** Pause between two looks at the condition, in milliseconds. @default 20 */
  readonly everyMs?: number | undefined;
}

/**
 * Waits until a condition holds.
 * @param what completes "waited ... seconds in vain until"
 * @returns the value of the condition that ended the wait
 * @throws Error when the time is over, and what the condition throws
 */
export async function until<T>(
  condition: () => T | false | undefined | Promise<T | false | undefined>,
  what: string,
  { seconds = 60, everyMs = 20 }: UntilOptions = {},
): Promise<T> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const value = await condition();
    if (value !== false && value !== undefined) return value;
    if (performance.now() > deadline) throw new Error(`waited ${seconds} seconds in vain until ${what}`);
    await sleep(everyMs);
  }
}
