import { constants } from 'node:os';
import { endRequests } from '@blindfit/service/settings';
import { InterruptedError } from './errors.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs `work` with a signal that is aborted by Ctrl-C, SIGTERM and SIGHUP, so that it can clean up. A second Ctrl-C
 * ends the process at once, or with `left` the third.
 *
 * @param left is called when `work` has failed after the interruption; its signal is aborted by a second request
 * @throws InterruptedError when `work` fails after the interruption; what it returns then is returned
 */
export async function withInterrupt<T>(
  work: (signal: AbortSignal) => Promise<T>,
  left?: (interruption: InterruptedError, again: AbortSignal) => Promise<void>,
): Promise<T> {
  const aborter = new AbortController();
  let interruption: InterruptedError | undefined;
  const requests = endRequests();
  const again = new AbortController();
  const furtherRequests = endRequests();
  const onSignal = (signal: NodeJS.Signals): void => {
    const request = requests(signal);
    if (request === 'same') return;
    if (request === 'another') {
      const further = left === undefined ? 'another' : furtherRequests(signal);
      if (further === 'another') process.exit(128 + constants.signals[signal]);
      again.abort();
      return;
    }
    interruption = new InterruptedError(signal);
    aborter.abort(interruption);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  try {
    return await work(aborter.signal);
  } catch (error) {
    if (interruption === undefined) throw error;
    await left?.(interruption, again.signal);
    throw interruption;
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}
