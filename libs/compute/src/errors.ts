import { BlindfitError, defined, faultOf, messageWithHint, type Fault } from '@blindfit/base';
import { BlobNotFoundError } from '@blindfit/blobs';
import { HeError, SealCrashError } from '@blindfit/he';
import type { ThreadError } from './messages.ts';

/** A task that failed in a thread, with the code of its cause. The message ends with the hint of the cause. */
export class TaskError extends BlindfitError {
  /** The blob that the store of this host does not hold, where that is the failure. */
  readonly blob: string | undefined;

  constructor(code: string, message: string, retryable: boolean, fault: Fault = 'task', blob?: string) {
    super(code, message, { retryable, fault });
    this.blob = blob;
  }
}

/** `TASK_CANCELLED`: the task was told to stop. */
export class TaskCancelledError extends TaskError {
  constructor() {
    super('TASK_CANCELLED', 'the task was cancelled', false);
  }
}

/** `CACHE_DAMAGED`: a file of keys or inputs on this host was not as it was written while a task computed with it. */
export class CacheDamagedError extends TaskError {
  constructor() {
    super('CACHE_DAMAGED', 'files of keys or inputs changed while a task used them; they are made anew', true);
  }
}

/** What a thread reports about an error. Errors that were not foreseen, from the system or a bug, are retryable. */
export function describeError(error: unknown): ThreadError {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'TASK_FAILED';
  const retryable = !(error instanceof BlindfitError) || error.retryable;
  const blob = missingBlob(error);
  return defined<ThreadError>({ code, message: messageWithHint(error), retryable, fault: faultOf(error), blob });
}

function missingBlob(error: unknown): string | undefined {
  if (error instanceof BlobNotFoundError) return error.digest;
  return error instanceof TaskError ? error.blob : undefined;
}

/** The error that a thread, or the pool, has reported. */
export function taskErrorOf({ code, message, retryable, fault, blob }: ThreadError): TaskError {
  return code === 'TASK_CANCELLED' ? new TaskCancelledError() : new TaskError(code, message, retryable, fault, blob);
}

/** Whether the SEAL instance of the thread must not be used any more. */
export function isFatal(error: unknown): boolean {
  return error instanceof SealCrashError;
}

/** Does something with a blob. An error about its content then says which blob it was. */
export async function named<T>(place: string, digest: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (!(error instanceof HeError) || isFatal(error)) throw error;
    throw new HeError(error.code, `${place} (${digest}): ${error.message}`, error.hint, error.retryable, error.fault);
  }
}
