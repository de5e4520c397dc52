/** What becomes of a job when its owner has waited long enough for the servers. */
import { BlindfitError } from '@blindfit/base';
import { OwnerError } from '../errors.ts';

/**
 * Does something for a job that is submitted, and names the job when an outage ends that.
 * @throws OwnerError `GAVE_UP` in place of errors that are the world's fault; others as they are
 */
export async function forSubmitted<T>(job: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof BlindfitError) || error.fault !== 'world' || error instanceof OwnerError) throw error;
    throw new OwnerError(`${error.message}. ${job} is not lost: it goes on, and waits where it needs your answers`, {
      code: 'GAVE_UP',
      hint: `come back to ${job} when the servers are back`,
      fault: 'world',
      retryable: true,
      cause: error,
    });
  }
}
