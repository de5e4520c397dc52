/** What a command ends with when it does not succeed. */
import { constants } from 'node:os';
import { inspect } from 'node:util';
import { CommanderError } from 'commander';
import { BlindfitError } from '@blindfit/base';
import { commandVariables, readConfig, WRONG_SETTINGS } from '@blindfit/service/settings';
import { printable } from './format.ts';
import { withFlags } from './option-flags.ts';

/**
 * `parted`: the model is written, and predicts something else than the same training in the clear. `gaveUp` is
 * EX_TEMPFAIL of sysexits.h: the same can work later.
 */
export const EXIT = { ok: 0, failure: 1, usage: 2, untrusted: 3, parted: 4, gaveUp: 75 } as const;
/** Codes of errors that another command line would not have caused. */
const USAGE_CODES: readonly unknown[] = ['USAGE', 'OWNER_REQUEST', ...WRONG_SETTINGS];

/** Codes of errors that say: what the servers gave is not what the owner's job gives. */
const UNTRUSTED_CODES: readonly unknown[] = ['ANSWER_NOT_OWN', 'MODEL'];

/** `COMMAND`: a failure that the user can act on. */
export class CliError extends BlindfitError {
  constructor(message: string, hint?: string, options: { readonly cause?: unknown } = {}) {
    super('COMMAND', message, { hint, cause: options.cause });
  }
}

/** `PARTED`: the model is written, but predicts something else than the same training in the clear. Exit status 4. */
export class PartedError extends BlindfitError {
  constructor({ parted, encrypted }: { readonly parted: number; readonly encrypted: { readonly samples: number } }) {
    super(
      'PARTED',
      `${parted} of ${encrypted.samples} predictions differ from those of the same training in the clear`,
      {
        hint: 'the model is written; train with a smaller --precision, or with features of a common scale',
      },
    );
  }
}

/** `USAGE`: the command was called in a way that cannot work. Exit status 2. */
export class UsageError extends BlindfitError {
  constructor(message: string, hint?: string) {
    super('USAGE', message, { hint });
  }
}

/** The user (or the system) asked for the end: exit status 128 + the signal's number, 130 for Ctrl-C. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`ended by ${signal}`);
    this.signal = signal;
  }
}

/** Prints what went wrong to stderr, as people want to see it, and says with which status to exit. */
export function reportError(
  error: unknown,
  write: (text: string) => unknown = (text) => process.stderr.write(text),
  env: NodeJS.ProcessEnv = process.env,
): number {
  // commander has printed its message, or the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof InterruptedError) return 128 + constants.signals[error.signal];
  const message = messageOf(error);
  write(`error: ${printable(withFlags(message))}\n`);
  const hint = hintOf(error);
  if (hint !== undefined) write(`hint: ${printable(withFlags(hint))}\n`);
  if (readConfig({ debug: commandVariables.debug }, env).debug !== undefined) write(`${inspect(error)}\n`);
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'GAVE_UP') return EXIT.gaveUp;
  if (code === 'PARTED') return EXIT.parted;
  if (UNTRUSTED_CODES.includes(code)) return EXIT.untrusted;
  return USAGE_CODES.includes(code) ? EXIT.usage : EXIT.failure;
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message === '' ? error.name : error.message;
}

/** Errors thrown on purpose are of classes of our own or of the system; these are not. */
const BUGS = [TypeError, RangeError, ReferenceError, SyntaxError] as const;

function hintOf(error: unknown): string | undefined {
  if (error instanceof Error && 'hint' in error && typeof error.hint === 'string') return error.hint;
  if (error instanceof Error && !BUGS.some((bug) => error instanceof bug)) return undefined;
  return 'this looks like a bug in Blindfit; run the command again with BLINDFIT_DEBUG=1 and report what it prints';
}
