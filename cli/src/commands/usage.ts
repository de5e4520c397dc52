import type { Command } from 'commander';
import { addServerFlags, withClient, type ServerFlags } from '../connect.ts';
import { usageTable } from './tenant.ts';

export function register(program: Command): void {
  const command = program
    .command('usage')
    .summary('show what you use of the cluster, and how much of it you may')
    .description('Shows the jobs, stored bytes and thread seconds of the tenant of your token, with their limits.')
    .option('--json', 'print JSON as the API gives it');
  addServerFlags(command)
    .addHelpText('after', '\nExample:\n  blindfit usage')
    .action(async (flags: ServerFlags & { readonly json?: true }) => {
      const usage = await withClient(flags, (client) => client.usage());
      process.stdout.write(`${flags.json === true ? JSON.stringify(usage, null, 2) : usageTable([usage])}\n`);
    });
}
