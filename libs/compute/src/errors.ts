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

/** Errors whose cause may pass: everything that has to do with reaching or filling the store. */
const PASSING = new Set(['STORE_UNAVAILABLE', 'STORAGE_FULL', 'BLOB_CORRUPT', 'DIGEST_MISMATCH']);

/** What a thread reports of an error, whatever it threw. */
export function describeError(error: unknown): { code: string; message: string; permanent: boolean; fatal: boolean } {
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'TASK_FAILED';
  // Errors without one of our codes come from the engine (out of memory, an abort inside WebAssembly) or from a bug.
  const own = code !== 'TASK_FAILED' && /^[A-Z][A-Z_]+$/.test(code) && !/^E[A-Z]+$/.test(code);
  return { code, message, permanent: own && !PASSING.has(code), fatal: error instanceof Error && error.name === 'RuntimeError' };
}
