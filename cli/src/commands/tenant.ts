import { InvalidArgumentError, type Command } from 'commander';
import { defined } from '@blindfit/base';
import type { TenantSettings, Usage } from '@blindfit/protocol';
import { addServerFlags, withClient, type ServerFlags } from '../connect.ts';
import { formatBytes, formatCount, formatSeconds } from '../format.ts';
import { formatTable, type Column } from '../table.ts';

interface SetFlags extends ServerFlags, TenantSettings {
  readonly json?: true;
}

export function register(program: Command): void {
  const tenant = program
    .command('tenant')
    .summary('show what tenants use, and set what they may')
    .description(
      'Tenants share the cluster by their weights, within their limits. Needs a token with the scope operate.',
    );
  const list = tenant
    .command('list')
    .summary('show what all tenants use')
    .description('Lists all tenants with what they use and how much of it they may.')
    .option('--json', 'print JSON as the API gives it');
  addServerFlags(list)
    .addHelpText('after', '\nExample:\n  blindfit tenant list')
    .action(async (flags: ServerFlags & { readonly json?: true }) => {
      const tenants = await withClient(flags, (client) => client.tenants());
      process.stdout.write(`${flags.json === true ? JSON.stringify(tenants, null, 2) : usageTable(tenants)}\n`);
    });
  const set = tenant
    .command('set')
    .summary('set the weight and the limits of a tenant')
    .description('Sets what a tenant may. What is not named falls back to what the services allow every tenant.')
    .argument('<tenant>', 'its name')
    .option('--weight <n>', 'its part of the cluster against other tenants, 0.01 to 100 [1]', numberFrom(0.01, 100))
    .option('--running-jobs <n>', 'jobs that run at a time; more of them wait', integerFrom(1))
    .option('--jobs <n>', 'jobs that have not ended; more of them are refused', integerFrom(0))
    .option('--bytes <n>', 'stored blobs, in bytes; more of them are refused', integerFrom(0))
    .option('--compute-seconds <n>', 'seconds of threads on a day in UTC', integerFrom(0))
    .option('--json', 'print JSON as the API gives it');
  addServerFlags(set)
    .addHelpText(
      'after',
      `
Examples:
  blindfit tenant set clinic-a --weight 2 --running-jobs 4
  blindfit tenant set clinic-a --compute-seconds 86400`,
    )
    .action(async (name: string, flags: SetFlags) => {
      const { weight, runningJobs, jobs, bytes, computeSeconds } = flags;
      const settings = defined<TenantSettings>({ weight, runningJobs, jobs, bytes, computeSeconds });
      const usage = await withClient(flags, (client) => client.setTenant(name, settings));
      process.stdout.write(`${flags.json === true ? JSON.stringify(usage, null, 2) : usageTable([usage])}\n`);
    });
}

const COLUMNS: readonly Column[] = [
  { title: 'TENANT' },
  { title: 'WEIGHT', align: 'right' },
  { title: 'JOBS', align: 'right' },
  { title: 'RUNNING', align: 'right' },
  { title: 'STORED', align: 'right' },
  { title: 'THREADS TODAY', align: 'right' },
];

/** What tenants use of what they may, a line each. */
export function usageTable(tenants: readonly Usage[]): string {
  const of = ({ used, limit }: Usage['jobs'], format: (value: number) => string): string =>
    limit === undefined ? format(used) : `${format(used)} of ${format(limit)}`;
  return formatTable(
    COLUMNS,
    tenants.map(({ tenant, weight, jobs, runningJobs, bytes, computeSeconds }) => [
      tenant,
      String(weight),
      of(jobs, formatCount),
      of(runningJobs, formatCount),
      of(bytes, formatBytes),
      of(computeSeconds, formatSeconds),
    ]),
  );
}

function numberFrom(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= minimum && value <= maximum))
      throw new InvalidArgumentError(`It is a number from ${minimum} to ${maximum}.`);
    return value;
  };
}

function integerFrom(minimum: number): (text: string) => number {
  return (text) => {
    if (!/^[0-9]{1,15}$/.test(text) || Number(text) < minimum)
      throw new InvalidArgumentError(`It is a whole number from ${minimum} on.`);
    return Number(text);
  };
}
