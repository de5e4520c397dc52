import { Command } from 'commander';
import { assertKnownVariables } from '@blindfit/service/settings';
import packageJson from '../package.json' with { type: 'json' };
import { reportError } from './errors.ts';

interface CommandModule {
  register(program: Command): void;
}

/** The commands in the order of the help. A module of `commands/` is loaded with its dependencies when it is called. */
const GROUPS: readonly {
  readonly title: string;
  readonly commands: Readonly<Record<string, () => Promise<CommandModule>>>;
}[] = [
  {
    title: 'Training:',
    commands: {
      demo: () => import('./commands/demo.ts'),
      train: () => import('./commands/train.ts'),
      attach: () => import('./commands/attach.ts'),
      plan: () => import('./commands/plan.ts'),
      keygen: () => import('./commands/keygen.ts'),
    },
  },
  { title: 'Features:', commands: { features: () => import('./commands/features.ts') } },
  {
    title: 'Using a model:',
    commands: { predict: () => import('./commands/predict.ts'), export: () => import('./commands/export.ts') },
  },
  {
    title: 'Jobs:',
    commands: {
      jobs: () => import('./commands/jobs.ts'),
      cancel: () => import('./commands/cancel.ts'),
      purge: () => import('./commands/purge.ts'),
      retry: () => import('./commands/retry.ts'),
      usage: () => import('./commands/usage.ts'),
    },
  },
  {
    title: 'Servers:',
    commands: {
      up: () => import('./commands/up.ts'),
      api: () => import('./commands/api.ts'),
      scheduler: () => import('./commands/scheduler.ts'),
      worker: () => import('./commands/worker.ts'),
      token: () => import('./commands/token.ts'),
      tenant: () => import('./commands/tenant.ts'),
      store: () => import('./commands/store.ts'),
      maintenance: () => import('./commands/maintenance.ts'),
    },
  },
];
const NAMES: ReadonlySet<string> = new Set(GROUPS.flatMap(({ commands }) => Object.keys(commands)));

/** The command line: the whole of it, or with one command only, which is there in half the time. */
export async function programOf(only?: string): Promise<Command> {
  const program = new Command('blindfit')
    .description('Trains the last layer of a CNN on data its servers cannot read.')
    .version(packageJson.version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this help, or that of a command')
    .helpCommand('help [command]', 'show the help of a command')
    .configureHelp({ showGlobalOptions: false })
    .showSuggestionAfterError()
    .showHelpAfterError('hint: "blindfit --help" lists the commands')
    .exitOverride() // so that usage errors end with status 2
    .hook('preAction', () => assertKnownVariables())
    .addHelpText(
      'after',
      `
Environment:
  BLINDFIT_SERVER  address of the API that commands speak to
  BLINDFIT_TOKEN   bearer token of that API
  BLINDFIT_DEBUG   set to 1 for the stack with every error
  HTTP_PROXY, HTTPS_PROXY, NO_PROXY  proxies on the way to the API; none on the way to this machine

Exit status: 0 success, 1 failure, 2 wrong usage, 3 the servers gave something else than the job's result,
4 the model is written but predicts something else than training in the clear,
75 the servers were away for too long and the job can be come back to, 130 Ctrl-C.`,
    );
  for (const { title, commands } of GROUPS) {
    program.commandsGroup(title);
    for (const [name, load] of Object.entries(commands))
      if (only === undefined || only === name) (await load()).register(program);
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
    // Whatever else comes first needs all of them: help, or a suggestion for what was mistyped.
    const [first = ''] = args;
    const program = await programOf(NAMES.has(first) || /^(-V|--version)$/.test(first) ? first : undefined);
    await program.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    return reportError(error);
  }
}
