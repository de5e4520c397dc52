import { constants } from 'node:os';
import { endRequests } from '@blindfit/service/settings';
import { InterruptedError } from './errors.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs `work` with a signal that is aborted by Ctrl-C, SIGTERM and SIGHUP, so that it can clean up. A second Ctrl-C
 * ends the process at once.
 *
 * @throws InterruptedError when `work` fails after the interruption; what it returns then is returned
 */
export async function withInterrupt<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const aborter = new AbortController();
  let interruption: InterruptedError | undefined;
  const requests = endRequests();
  const onSignal = (signal: NodeJS.Signals): void => {
    const request = requests(signal);
    if (request === 'another') process.exit(128 + constants.signals[signal]);
    if (request === 'same') return;
    interruption = new InterruptedError(signal);
    aborter.abort(interruption);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  try {
    return await work(aborter.signal);
  } catch (error) {
    throw interruption ?? error;
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}
