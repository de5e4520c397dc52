/**
 * The pause before the next attempt, in milliseconds: it doubles with every failure up to a limit, and between half of
 * it and all of it is chosen at random so that clients that failed together do not come back together.
 * @param failures attempts that failed so far, at least 1
 */
export function backoffMs(failures: number, baseMs: number, maxMs: number): number {
  return Math.min(maxMs, baseMs * 2 ** Math.min(failures - 1, 30)) * (0.5 + Math.random() / 2);
}
