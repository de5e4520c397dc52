import type { Command } from 'commander';
import { messageOf } from '@blindfit/base';
import { cancelJob } from '@blindfit/owner';
import { addServerFlags, withClient, type ServerFlags } from '../connect.ts';
import { CliError } from '../errors.ts';
import { addKeyFlags, keysOf, type KeyFlags } from '../keys.ts';

export function register(program: Command): void {
  const command = program
    .command('cancel')
    .summary('cancel jobs')
    .description(
      'Cancels jobs that wait or run. What they have computed is lost; what was uploaded stays. Signs with ' +
        'the keys that a job was submitted with; operators need none.',
    )
    .argument('<job...>', 'ids of jobs, as "blindfit jobs" lists them');
  addServerFlags(addKeyFlags(command, 'the keys they were submitted with'))
    .addHelpText(
      'after',
      `
Examples:
  blindfit cancel job-3k9x2m4c8v1z`,
    )
    .action(async (ids: string[], flags: ServerFlags & KeyFlags) => {
      const keys = keysOf(flags);
      const failures = await withClient(flags, async (client) => {
        const failed: unknown[] = [];
        for (const id of ids) {
          try {
            const { state } = await cancelJob(client, keys, id);
            process.stdout.write(`${id} ${state}\n`);
          } catch (error) {
            if (ids.length === 1) throw error;
            process.stderr.write(`error: ${id}: ${messageOf(error)}\n`);
            failed.push(error);
          }
        }
        return failed;
      });
      if (failures.length > 0) throw new CliError(`${failures.length} of ${ids.length} jobs were not cancelled`);
    });
}
