import { faultOf } from '@blindfit/base';
import type { Logger } from './logger.ts';

/**
 * A listener for errors of queues. While Redis is away they come many times a second, and its connection logs when that
 * begins and ends: only other errors are worth a warning.
 */
export function connectionErrors(
  logger: Pick<Logger, 'debug' | 'warn'>,
  message: string,
  facts: object = {},
): (error: unknown) => void {
  return (error) => logger[faultOf(error) === 'world' ? 'debug' : 'warn']({ ...facts, err: error }, message);
}
