import { Command } from 'commander';
import * as api from './commands/api.ts';
import * as attach from './commands/attach.ts';
import * as cancel from './commands/cancel.ts';
import * as demo from './commands/demo.ts';
import * as features from './commands/features.ts';
import * as exportCommand from './commands/export.ts';
import * as jobs from './commands/jobs.ts';
import * as keygen from './commands/keygen.ts';
import * as plan from './commands/plan.ts';
import * as predict from './commands/predict.ts';
import * as scheduler from './commands/scheduler.ts';
import * as train from './commands/train.ts';
import * as up from './commands/up.ts';
import * as worker from './commands/worker.ts';
import { reportError } from './errors.ts';

/** In the order of the help. Each file of `commands/` registers one command. */
const GROUPS: readonly { readonly title: string; readonly commands: readonly { register(program: Command): void }[] }[] = [
  { title: 'Training:', commands: [demo, train, attach, plan, keygen] },
  { title: 'Features:', commands: [features] },
  { title: 'Using a model:', commands: [predict, exportCommand] },
  { title: 'Jobs:', commands: [jobs, cancel] },
  { title: 'Servers:', commands: [up, api, scheduler, worker] },
];

/** The whole command line. */
export function programOf(): Command {
  const program = new Command('blindfit')
    .description('Trains the last layer of a CNN on data its servers cannot read.')
    .version('0.1.0', '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this help, or that of a command')
    .helpCommand('help [command]', 'show the help of a command')
    .configureHelp({ showGlobalOptions: false })
    .showSuggestionAfterError()
    .showHelpAfterError('hint: "blindfit --help" lists the commands')
    .exitOverride() // so that usage errors end with status 2
    .addHelpText(
      'after',
      `
Environment:
  BLINDFIT_SERVER  address of the API that commands speak to
  BLINDFIT_TOKEN   bearer token of that API
  BLINDFIT_DEBUG   set to 1 for the stack with every error

Exit status: 0 success, 1 failure, 2 wrong usage, 130 Ctrl-C.`,
    );
  for (const { title, commands } of GROUPS) {
    program.commandsGroup(title);
    for (const command of commands) command.register(program);
  }
  for (const command of program.commands) command.showHelpAfterError(`hint: see "blindfit ${command.name()} --help"`);
  return program;
}

/**
 * Runs one command line.
 * @param args without the program's name
 * @returns the exit status, after an error was reported
 */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  try {
    await programOf().parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    return reportError(error);
  }
}
