/** Ctrl-C during a training on servers that stay: the job goes on, unless Ctrl-C comes again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '@blindfit/base';
import type { InterruptedError } from '../errors.ts';

/** How long a second Ctrl-C is waited for. Milliseconds. */
const WAIT_MS = 5_000;

export interface LeftJob {
  readonly id: string;
  /** Flags that find the job again, beside its id. */
  readonly flags: readonly string[];
  readonly cancel: () => Promise<unknown>;
}

/**
 * Says how to come back to a job, and cancels it if its user asks for the end again.
 * @param again is aborted by the second request
 */
export async function leaveJob(
  { id, flags, cancel }: LeftJob,
  { signal }: InterruptedError,
  again: AbortSignal,
  write: (text: string) => unknown = (text) => process.stderr.write(text),
  waitMs = WAIT_MS,
): Promise<void> {
  // What ends a process by SIGTERM or closes its terminal is no person who could press Ctrl-C again.
  const asks = signal === 'SIGINT';
  write(
    `\n${id} goes on, and waits where it needs your answers. Come back to it with\n` +
      `  ${attachCommand({ id, flags })}\n` +
      (asks ? `Ctrl-C again within ${waitMs / 1000} s cancels it.\n` : ''),
  );
  if (asks && !again.aborted) await sleep(waitMs, undefined, { signal: again }).catch(() => undefined);
  if (!again.aborted) return;
  try {
    await cancel();
    write(`${id} is cancelled\n`);
  } catch (error) {
    write(`error: ${id} was not cancelled: ${messageOf(error)}\nhint: try again: blindfit cancel ${id}\n`);
  }
}

/** The command that comes back to a job, for a shell. */
export function attachCommand({ id, flags }: Pick<LeftJob, 'id' | 'flags'>): string {
  return ['blindfit', 'attach', id, ...flags].map(quoted).join(' ');
}

/** For a shell. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
