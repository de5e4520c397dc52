import type { Command } from 'commander';
import { purgeJob } from '@blindfit/owner';
import { addServerFlags, type ServerFlags } from '../connect.ts';
import { eachJob } from '../each-job.ts';
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
      await eachJob(ids, flags, 'purged', async (client, id) => {
        await purgeJob(client, keys, id);
        return 'purged';
      });
    });
}
