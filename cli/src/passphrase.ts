/** The passphrase of secret keys: from a command, from the environment, or asked for on a terminal. */
import { spawn } from 'node:child_process';
import type { PassphraseSource } from '@blindfit/owner/node';
import { CliError, InterruptedError } from './errors.ts';

/** How often a terminal is asked for a passphrase that opens a key. */
const MAX_ATTEMPTS = 3;
const CTRL_C: NodeJS.Signals = 'SIGINT';

/** The part of a terminal's input that is needed here. */
export interface TerminalInput {
  readonly isTTY?: boolean | undefined;
  setRawMode?(raw: boolean): unknown;
  setEncoding(encoding: BufferEncoding): unknown;
  on(event: 'data', listener: (text: string) => void): unknown;
  off(event: 'data', listener: (text: string) => void): unknown;
  resume(): unknown;
  pause(): unknown;
}

export interface Terminal {
  readonly input: TerminalInput;
  readonly output: { readonly isTTY?: boolean | undefined; write(text: string): unknown };
}

export interface PassphraseChoices {
  /** Prints the passphrase; its first line counts. */
  readonly command?: string | undefined;
  /** Of BLINDFIT_PASSPHRASE. */
  readonly given?: string | undefined;
  /** Whether a new key gets one even where it must be asked for. */
  readonly wanted?: boolean | undefined;
  /** @default that of this process */
  readonly terminal?: Terminal | undefined;
}

export function passphraseFrom(choices: PassphraseChoices): PassphraseSource {
  const { command, given, wanted, terminal = { input: process.stdin, output: process.stderr } } = choices;
  const silent = async (): Promise<string | undefined> => (command === undefined ? given : await outputOf(command));
  const interactive = terminal.input.isTTY === true && terminal.output.isTTY === true;
  return {
    async open(path, attempt) {
      const passphrase = attempt === 1 ? await silent() : undefined;
      if (passphrase !== undefined || command !== undefined || given !== undefined) return passphrase;
      if (!interactive || attempt > MAX_ATTEMPTS) return undefined;
      return await ask(terminal, `${attempt === 1 ? '' : 'That was another one. '}Passphrase of ${path}: `);
    },
    async create(path) {
      const passphrase = await silent();
      if (passphrase !== undefined || wanted !== true) return passphrase;
      if (!interactive)
        throw new CliError(
          'there is no terminal to ask for a passphrase on',
          'set BLINDFIT_PASSPHRASE or give --passphrase-command',
        );
      const first = await ask(terminal, `New passphrase of ${path}: `);
      if (first === '') throw new CliError('a passphrase has at least one character', 'nothing was made; try again');
      if (first !== (await ask(terminal, 'The same again: ')))
        throw new CliError('these are two passphrases', 'nothing was made; try again');
      return first;
    },
  };
}

/** Asks without showing what is typed. @throws InterruptedError for Ctrl-C */
function ask({ input, output }: Terminal, question: string): Promise<string> {
  output.write(question);
  input.setEncoding('utf8');
  input.setRawMode?.(true);
  return new Promise((done, failed) => {
    const typed: string[] = [];
    const end = (how: () => void): void => {
      input.off('data', take);
      input.setRawMode?.(false);
      input.pause();
      output.write('\n');
      how();
    };
    const take = (keys: string): void => {
      for (const key of keys) {
        if (key === '\r' || key === '\n' || key === '\u0004') {
          end(() => done(typed.join('')));
          return;
        }
        if (key === '\u0003') {
          end(() => failed(new InterruptedError(CTRL_C)));
          return;
        }
        if (key === '\u007f' || key === '\b') typed.pop();
        else typed.push(key);
      }
    };
    input.on('data', take);
    input.resume();
  });
}

/** The first line that a command prints. It may ask for something itself. */
async function outputOf(command: string): Promise<string> {
  const child = spawn(command, { shell: true, stdio: ['inherit', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
  const status = await new Promise<number | null>((done, failed) => {
    child.once('error', failed);
    child.once('close', done);
  });
  const [line = ''] = text.split(/\r?\n/, 1);
  if (status !== 0)
    throw new CliError(
      `the command of --passphrase-command ended with status ${status ?? 'of a signal'}`,
      'run it by itself to see why; it is to print the passphrase and nothing else',
    );
  if (line === '')
    throw new CliError('the command of --passphrase-command printed nothing', 'it is to print the passphrase');
  return line;
}
