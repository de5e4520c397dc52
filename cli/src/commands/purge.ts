import type { Command } from 'commander';
import { messageOf } from '@blindfit/base';
import { purgeJob } from '@blindfit/owner';
import { addServerFlags, withClient, type ServerFlags } from '../connect.ts';
import { CliError } from '../errors.ts';
import { addKeyFlags, keysOf, type KeyFlags } from '../keys.ts';

export function register(program: Command): void {
  const command = program
    .command('purge')
    .summary('remove finished jobs with their data')
    .description(
      'Removes jobs that have ended from the server: record, results, model, and the inputs and keys that no other ' +
        'job names. It cannot be undone. Signs with the keys that a job was submitted with; operators need none.',
    )
    .argument('<job...>', 'ids of jobs, as "blindfit jobs" lists them');
  addServerFlags(addKeyFlags(command, 'the keys they were submitted with'))
    .addHelpText(
      'after',
      `
Examples:
  blindfit purge job-3k9x2m4c8v1z`,
    )
    .action(async (ids: string[], flags: ServerFlags & KeyFlags) => {
      const keys = keysOf(flags);
      const failed = await withClient(flags, async (client) => {
        let failures = 0;
        for (const id of ids) {
          try {
            await purgeJob(client, keys, id);
            process.stdout.write(`${id} purged\n`);
          } catch (error) {
            if (ids.length === 1) throw error;
            process.stderr.write(`error: ${id}: ${messageOf(error)}\n`);
            failures++;
          }
        }
        return failures;
      });
      if (failed > 0) throw new CliError(`${failed} of ${ids.length} jobs were not purged`);
    });
}
