/** The same signal again within this time is the same request. Milliseconds. */
const SAME_REQUEST_MS = 1000;

/**
 * Tells a second request to end from the first one arriving twice: a terminal and a supervisor signal the whole process
 * group, and a parent in it (npm, our own launcher) passes on what it got.
 * @returns for each signal as it arrives, whether it is the first request, the same again, or one more
 */
export function endRequests(
  now: () => number = () => performance.now(),
): (signal: NodeJS.Signals) => 'first' | 'same' | 'another' {
  let first: { readonly signal: NodeJS.Signals; readonly at: number } | undefined;
  return (signal) => {
    if (first === undefined) {
      first = { signal, at: now() };
      return 'first';
    }
    return signal === first.signal && now() - first.at < SAME_REQUEST_MS ? 'same' : 'another';
  };
}
