/** The one base of errors that Blindfit throws on purpose. */

/** Whose fault a failure is: see `faultOf`. */
export type Fault = 'task' | 'host' | 'world';

export interface BlindfitErrorOptions {
  /** What the reader of the message can do about it. */
  readonly hint?: string | undefined;
  /** Whether the same attempt may succeed later without any change to its input. @default false */
  readonly retryable?: boolean | undefined;
  /** @default 'task' */
  readonly fault?: Fault | undefined;
  readonly cause?: unknown;
}

/** An error that was foreseen. `code` is stable and listed in `docs/reference/errors.md`; messages are for people. */
export class BlindfitError extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  readonly retryable: boolean;
  readonly fault: Fault;

  constructor(code: string, message: string, options: BlindfitErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.hint = options.hint;
    this.retryable = options.retryable ?? false;
    this.fault = options.fault ?? 'task';
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The message of anything that was thrown, with the hint of an error of Blindfit behind it. */
export function messageWithHint(error: unknown): string {
  const message = messageOf(error);
  const hint = error instanceof BlindfitError ? error.hint : undefined;
  return hint === undefined || message.includes(hint) ? message : `${message}; ${hint}`;
}

/** The code of a system error, e.g. `ENOENT`; undefined for every other value. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  return 'syscall' in error || 'errno' in error ? error.code : undefined;
}
