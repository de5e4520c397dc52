import type { Command } from 'commander';
import { messageOf } from '@blindfit/base';
import { addServerFlags, withClient, type ServerFlags } from '../connect.ts';
import { CliError } from '../errors.ts';

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
      const failures = await withClient(flags, async (client) => {
        const failed: unknown[] = [];
        for (const id of ids) {
          try {
            const { state } = await client.retry(id);
            process.stdout.write(`${id} ${state}\n`);
          } catch (error) {
            if (ids.length === 1) throw error;
            process.stderr.write(`error: ${id}: ${messageOf(error)}\n`);
            failed.push(error);
          }
        }
        return failed;
      });
      if (failures.length > 0) throw new CliError(`${failures.length} of ${ids.length} jobs were not retried`);
    });
}
