/** The end of a service whose Redis is away: queues do not close without it, and need not. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from './logger.ts';
import type { RedisConnection } from './redis.ts';

/** Redis has this long to come back once nothing is computed any more. Milliseconds. */
const PATIENCE_MS = 1_500;
const LOOK_MS = 50;

export interface LeaveOptions {
  readonly redis: Pick<RedisConnection, 'status'>;
  readonly logger: Pick<Logger, 'warn'>;
  /** Whether work is under way whose end is waited for. @default nothing is */
  readonly isBusy?: (() => boolean) | undefined;
}

/**
 * Waits until a service has closed, or until Redis has been away for a while with nothing under way. Whoever takes the
 * work over repeats what was not recorded.
 * @param closing what `close` does; its failure counts as long as it is waited for
 * @returns whether it has closed
 */
export async function closedOrLeft(closing: Promise<void>, options: LeaveOptions): Promise<boolean> {
  const { redis, logger, isBusy = () => false } = options;
  const over = new AbortController();
  const closed = closing.then(() => true).finally(() => over.abort());
  const left = (async () => {
    let since = performance.now();
    while (!over.signal.aborted && performance.now() - since < PATIENCE_MS) {
      if (redis.status === 'ready' || isBusy()) since = performance.now();
      await sleep(LOOK_MS);
    }
    return false;
  })();
  const result = await Promise.race([closed, left.then((value) => (over.signal.aborted ? closed : value))]);
  if (!result) {
    closed.catch(() => undefined);
    logger.warn('Redis is away: ending without it; what was not recorded is repeated');
  }
  return result;
}
