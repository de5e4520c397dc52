import type { Command } from 'commander';
import { addServerFlags, type ServerFlags } from '../connect.ts';
import { eachJob } from '../each-job.ts';

export function register(program: Command): void {
  const command = program
    .command('retry')
    .summary('go on with failed jobs')
    .description(
      'Lets failed jobs go on from their last finished step, once what made them fail is mended. Results that are ' +
        'there are not computed again, and the model has the same bytes.',
    )
    .argument('<job...>', 'ids of failed jobs: "blindfit jobs --state failed"');
  addServerFlags(command)
    .addHelpText(
      'after',
      `
Examples:
  blindfit retry job-3k9x2m4c8v1z
  blindfit attach job-3k9x2m4c8v1z    follows it, and answers its refreshes`,
    )
    .action(async (ids: string[], flags: ServerFlags) => {
      await eachJob(ids, flags, 'retried', async (client, id) => (await client.retry(id)).state);
    });
}
