/** The keys that a command uses. */
import { join } from 'node:path';
import type { Command } from 'commander';
import type { KeyStore } from '@blindfit/owner';
import { directoryKeys, type PassphraseSource } from '@blindfit/owner/node';
import { commandVariables, readConfig } from '@blindfit/service/settings';
import { defaultDataDir } from './data-dir.ts';
import { passphraseFrom } from './passphrase.ts';

export interface KeyFlags {
  readonly keys?: string;
  readonly passphraseCommand?: string;
  /** New keys get a passphrase. */
  readonly passphrase?: true;
}

/** @param keys what the keys are for */
export function addKeyFlags(command: Command, keys: string): Command {
  return command
    .option('--keys <dir>', `${keys} [<data directory>/keys]`)
    .option(
      '--passphrase-command <cmd>',
      'prints the passphrase of the secret key, e.g. "pass show blindfit" [BLINDFIT_PASSPHRASE; else a terminal asks]',
    );
}

/** Asks for a passphrase only when a key is under one. */
export function keysOf(flags: KeyFlags): KeyStore {
  return directoryKeys(flags.keys ?? join(defaultDataDir(), 'keys'), { passphrase: passphraseOf(flags) });
}

export function passphraseOf({ passphraseCommand: command, passphrase: wanted }: KeyFlags): PassphraseSource {
  const { passphrase: given } = readConfig({ passphrase: commandVariables.passphrase });
  return passphraseFrom({ command, given, wanted });
}

/** The keys that the option of a function means. */
export function storeOf(keys: string | KeyStore | undefined): KeyStore {
  return typeof keys === 'object' ? keys : directoryKeys(keys ?? join(defaultDataDir(), 'keys'));
}
