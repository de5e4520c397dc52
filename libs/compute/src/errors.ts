import { HeError } from '@blindfit/he';

/** A task that failed in a thread. */
export class TaskError extends Error {
  readonly code: string;
  /** Whether trying again cannot help: the input is bad. */
  readonly permanent: boolean;

  constructor(code: string, message: string, permanent: boolean) {
    super(message);
    this.name = 'TaskError';
    this.code = code;
    this.permanent = permanent;
  }
}

/** The task was told to stop. */
export class TaskCancelledError extends TaskError {
  constructor() {
    super('TASK_CANCELLED', 'the task was cancelled', true);
    this.name = 'TaskCancelledError';
  }
}

/** Errors whose cause may pass: everything that has to do with reaching or filling the store, and a SEAL that is replaced. */
const PASSING = new Set(['STORE_UNAVAILABLE', 'STORAGE_FULL', 'BLOB_CORRUPT', 'DIGEST_MISMATCH', 'HE_SEAL_CRASHED']);

/** What a thread reports of an error, whatever it threw. `fatal`: its SEAL instance must not be used any more. */
export function describeError(error: unknown): { code: string; message: string; permanent: boolean; fatal: boolean } {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'TASK_FAILED';
  // Errors without one of our codes come from the system or from a bug.
  const own = code !== 'TASK_FAILED' && /^[A-Z][A-Z_]+$/.test(code) && !/^E[A-Z]+$/.test(code);
  return { code, message: withHint(error), permanent: own && !PASSING.has(code), fatal: code === 'HE_SEAL_CRASHED' };
}

/** Whoever reads it, the owner of a job included, wants to know what to do. */
function withHint(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const hint = 'hint' in error && typeof error.hint === 'string' ? error.hint : '';
  return hint === '' || error.message.includes(hint) ? error.message : `${error.message}; ${hint}`;
}

/** Does something with a blob; an error about its content then says which blob it was. */
export async function named<T>(place: string, digest: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (!(error instanceof HeError)) throw error;
    throw new HeError(error.code, `${place} (${digest}): ${error.message}`, '');
  }
}
