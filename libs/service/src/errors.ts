export interface BlindfitErrorOptions {
  /** What the reader of the message can do about it. */
  hint?: string;
  cause?: unknown;
}

/** Base of the errors that services throw on purpose. `code` is stable and documented; messages are for people. */
export class BlindfitError extends Error {
  readonly code: string;
  readonly hint?: string;

  constructor(code: string, message: string, options: BlindfitErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    if (options.hint !== undefined) this.hint = options.hint;
  }
}

/** The message of whatever was thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
