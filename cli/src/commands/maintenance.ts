import type { Command } from 'commander';
import { defined } from '@blindfit/base';
import type { Maintenance, NewMaintenance } from '@blindfit/protocol';
import { addServerFlags, withClient, type ServerFlags } from '../connect.ts';

interface Flags extends ServerFlags {
  readonly json?: true;
}

interface OnFlags extends Flags {
  readonly drain?: true;
  readonly reason?: string;
}

export function register(program: Command): void {
  const maintenance = program
    .command('maintenance')
    .summary('have the servers accept no new jobs, and hold those that run')
    .description(
      'For updates and repairs: new jobs are refused, clients wait. On and off need a token with the scope operate.',
    );
  const on = maintenance
    .command('on')
    .summary('refuse new jobs and hold those that run')
    .description('Refuses new jobs. Tasks that run end; jobs that were accepted wait until it is off.')
    .option('--drain', 'let jobs that were accepted go on')
    .option('--reason <text>', 'told to those whose jobs are refused');
  withCommonFlags(on, 'on --drain --reason "update at 18:00"').action(async (flags: OnFlags) => {
    const { drain, reason } = flags;
    await set(flags, defined<NewMaintenance>({ on: true, drain, reason }));
  });
  const off = maintenance
    .command('off')
    .summary('accept new jobs again')
    .description('Accepts new jobs again, and lets those that waited go on.');
  withCommonFlags(off, 'off').action((flags: Flags) => set(flags, { on: false }));
  const status = maintenance
    .command('status')
    .summary('show whether new jobs are refused')
    .description('Shows whether new jobs are refused, since when and why.');
  withCommonFlags(status, 'status').action(async (flags: Flags) =>
    print(flags, await withClient(flags, (client) => client.maintenance())),
  );
}

function withCommonFlags(command: Command, example: string): Command {
  command.option('--json', 'print JSON as the API gives it');
  return addServerFlags(command).addHelpText('after', `\nExample:\n  blindfit maintenance ${example}`);
}

async function set(flags: Flags, next: NewMaintenance): Promise<void> {
  print(flags, await withClient(flags, (client) => client.setMaintenance(next)));
}

function print({ json }: Flags, state: Maintenance): void {
  process.stdout.write(`${json === true ? JSON.stringify(state, null, 2) : sentence(state)}\n`);
}

/** The state in words. */
export function sentence({ on, drain, reason, since }: Maintenance): string {
  if (!on) return 'New jobs are accepted.';
  const jobs = drain === true ? 'those that were accepted go on' : 'those that were accepted wait';
  return `New jobs are refused since ${since}; ${jobs}.${reason === undefined ? '' : ` Reason: ${reason}`}`;
}
