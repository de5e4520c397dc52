import type { Command } from 'commander';
import { cancelJob } from '@blindfit/owner';
import { addServerFlags, type ServerFlags } from '../connect.ts';
import { eachJob } from '../each-job.ts';
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
      await eachJob(ids, flags, 'cancelled', async (client, id) => (await cancelJob(client, keys, id)).state);
    });
}
