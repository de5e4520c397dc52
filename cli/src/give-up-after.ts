/** How long the commands of owners wait through an outage of the servers. */
import { Option } from 'commander';
import { messageOf } from '@blindfit/base';
import type { BlindfitClientOptions } from '@blindfit/client';
import { OwnerError } from '@blindfit/owner';
import { millisecondsOf } from './duration.ts';
import { formatSeconds } from './format.ts';
import { DEFAULT_PATIENCE_MS } from './library/connect.ts';
import type { Progress } from './progress.ts';

export interface PatienceFlags {
  /** Milliseconds. */
  readonly giveUpAfter?: number;
}

export function patienceOption(): Option {
  return new Option(
    '--give-up-after <time>',
    'how long to wait for servers that have answered before and are away now, e.g. 30m or 2d [1h]',
  ).argParser(millisecondsOf);
}

/** Options of a client that waits, and says so. */
export function patienceOf(
  { giveUpAfter = DEFAULT_PATIENCE_MS }: PatienceFlags,
  progress: Pick<Progress, 'log'>,
  now: () => number = Date.now,
): Pick<BlindfitClientOptions, 'patienceMs' | 'onOutage'> {
  let since = 0;
  return {
    patienceMs: giveUpAfter,
    onOutage: (failure) => {
      if (failure === undefined) {
        progress.log(`the servers are back after ${formatSeconds((now() - since) / 1000)}`);
        return;
      }
      since = now();
      progress.log(
        `the servers are away: ${messageOf(failure)}; waiting for up to ${formatSeconds(giveUpAfter / 1000)} ` +
          '(--give-up-after)',
      );
    },
  };
}

/**
 * The error for the user of a command when its job was left during an outage: the hint is the command to go on with.
 * @param command words of it
 */
export function withComeback(error: unknown, command: string): unknown {
  return error instanceof OwnerError && error.code === 'GAVE_UP' ? gaveUp(error.message, error.cause, command) : error;
}

/** The error for the user of a command that only watched a job when an outage lasted too long. */
export function leftInOutage(error: unknown, job: string, command: string): OwnerError {
  return gaveUp(`${messageOf(error)}. ${job} is not lost: it goes on without being watched`, error, command);
}

function gaveUp(message: string, cause: unknown, command: string): OwnerError {
  const hint = `when the servers are back: ${command}`;
  return new OwnerError(message, { code: 'GAVE_UP', hint, fault: 'world', retryable: true, cause });
}
