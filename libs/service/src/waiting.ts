/** What a service needs may come up after it: it waits as long as that takes, unless its settings are wrong. */
import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs, BlindfitError, errnoOf, isRedisAway, messageOf } from '@blindfit/base';
import { WRONG_SETTINGS } from './config.ts';
import type { Logger } from './logger.ts';
import type { Condition } from './readiness.ts';
import { redisRefusal } from './redis-refusal.ts';

const BACKOFF_MS = { first: 100, longest: 5_000 };

/** Errors of the file system that say: this user, or this path, will not do. */
const WRONG_PATHS: readonly unknown[] = ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EISDIR', 'ELOOP', 'ENAMETOOLONG'];

export interface WaitOptions {
  /** What is waited for, with its article. */
  readonly what: string;
  /** Says in `/readyz` what is waited for. */
  readonly condition: Condition;
  readonly logger: Pick<Logger, 'warn' | 'info'>;
}

/**
 * Repeats a step until it succeeds, with a wait that doubles from 100 ms to 5 s. Logs when the wait begins and when it
 * is over.
 * @throws what the step throws, when that is the fault of the settings or of the program
 */
export async function waitFor<T>({ what, condition, logger }: WaitOptions, step: () => Promise<T>): Promise<T> {
  const started = Date.now();
  for (let failures = 0; ;) {
    try {
      const result = await step();
      if (failures > 0) logger.info({ seconds: (Date.now() - started) / 1000 }, `${what} is there`);
      return result;
    } catch (error) {
      if (!mayPass(error)) throw redisRefusal(error) ?? error;
      condition.fail(`waiting for ${what}: ${messageOf(error)}`);
      if (++failures === 1) logger.warn({ err: error }, `waiting for ${what}`);
      await sleep(backoffMs(failures, BACKOFF_MS.first, BACKOFF_MS.longest));
    }
  }
}

/** Whether a failure may be over without a change to the settings. */
function mayPass(error: unknown): boolean {
  if (redisRefusal(error) !== undefined) return false;
  if (error instanceof BlindfitError) return error.retryable && !WRONG_SETTINGS.includes(error.code);
  const errno = errnoOf(error);
  return errno === undefined ? isRedisAway(error) : !WRONG_PATHS.includes(errno);
}
