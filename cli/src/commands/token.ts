import { InvalidArgumentError, Option, type Command } from 'commander';
import { DEFAULT_TENANT, SCOPES, type Scope, type TokenView } from '@blindfit/protocol';
import { addServerFlags, withClient, type ServerFlags } from '../connect.ts';
import { millisecondsOf } from '../duration.ts';
import { formatAge } from '../format.ts';
import { formatTable, type Column } from '../table.ts';

interface CreateFlags extends ServerFlags {
  readonly tenant: string;
  readonly scopes: readonly Scope[];
  readonly expires?: number;
  readonly json?: true;
}

/** What a data owner needs. */
const OWNER_SCOPES: readonly Scope[] = ['submit', 'read', 'cancel', 'blobs'];

export function register(program: Command): void {
  const token = program
    .command('token')
    .summary('make, list and revoke tokens')
    .description(
      'Tokens open the API. Each belongs to a tenant, who sees only jobs and blobs of its own, and carries scopes.\n' +
        'Changes hold from the next request on. Needs a token with the scope operate.',
    );
  registerCreate(token);
  registerList(token);
  registerRevoke(token);
}

function registerCreate(token: Command): void {
  const command = token
    .command('create')
    .summary('make a token')
    .description('Makes a token and prints it, alone, on standard output. It is shown only this once.')
    .option('--tenant <name>', 'whose jobs and blobs it opens', DEFAULT_TENANT)
    .addOption(
      new Option('--scopes <list>', `what it allows, of ${SCOPES.join(', ')}`)
        .argParser(scopesOf)
        .default(OWNER_SCOPES, OWNER_SCOPES.join(',')),
    )
    .addOption(
      new Option('--expires <time>', 'how long it holds, e.g. 90d or 12h [for ever]').argParser(millisecondsOf),
    )
    .option('--json', 'print all that is known of it as JSON, the token included');
  addServerFlags(command)
    .addHelpText(
      'after',
      `
Scopes:
  submit   submit jobs and answer their refreshes
  read     look at jobs, their events and results
  cancel   cancel jobs, with the signature of their owner
  blobs    upload and download blobs
  metrics  scrape the metrics
  operate  make tokens, see the queues, and cancel jobs of all tenants
  work     what schedulers and workers do

Examples:
  blindfit token create --tenant clinic-a --expires 90d
  BLINDFIT_TOKEN=$(blindfit token create --scopes work) blindfit worker`,
    )
    .action(async (flags: CreateFlags) => {
      const { tenant, scopes, expires } = flags;
      const expiresAt = expires === undefined ? undefined : new Date(Date.now() + expires).toISOString();
      const made = await withClient(flags, (client) =>
        client.createToken({ tenant, scopes: [...scopes], ...(expiresAt !== undefined && { expiresAt }) }),
      );
      process.stdout.write(`${flags.json === true ? JSON.stringify(made, null, 2) : made.token}\n`);
    });
}

function registerList(token: Command): void {
  const command = token
    .command('list')
    .summary('list tokens, newest first')
    .description('Lists all tokens of the cluster, without their secrets.')
    .option('--json', 'print JSON as the API gives it');
  addServerFlags(command)
    .addHelpText('after', '\nExample:\n  blindfit token list')
    .action(async (flags: ServerFlags & { readonly json?: true }) => {
      const tokens = await withClient(flags, (client) => client.tokens());
      process.stdout.write(`${flags.json === true ? JSON.stringify(tokens, null, 2) : listing(tokens)}\n`);
    });
}

function registerRevoke(token: Command): void {
  const command = token
    .command('revoke')
    .summary('revoke tokens')
    .description('Revokes tokens: they open nothing from the next request on.')
    .argument('<id...>', 'ids, as "blindfit token list" shows them');
  addServerFlags(command)
    .addHelpText('after', '\nExample:\n  blindfit token revoke 3f2a9c41d07e55b8')
    .action(async (ids: string[], flags: ServerFlags) => {
      await withClient(flags, async (client) => {
        for (const id of ids) {
          await client.revokeToken(id);
          process.stdout.write(`${id} revoked\n`);
        }
      });
    });
}

const COLUMNS: readonly Column[] = [
  { title: 'ID' },
  { title: 'TENANT' },
  { title: 'SCOPES' },
  { title: 'MADE' },
  { title: 'EXPIRES' },
];

function listing(tokens: readonly TokenView[]): string {
  if (tokens.length === 0) return 'There are no tokens but the one that the API was started with.';
  return formatTable(
    COLUMNS,
    tokens.map(({ id, tenant, scopes, createdAt, expiresAt }) => [
      id,
      tenant,
      scopes.join(','),
      formatAge(createdAt),
      expiresAt ?? 'never',
    ]),
  );
}

function scopesOf(text: string): Scope[] {
  const wanted = text.split(',').map((part) => part.trim());
  const unknown = wanted.find((scope) => !SCOPES.some((known) => known === scope));
  if (unknown !== undefined)
    throw new InvalidArgumentError(`${JSON.stringify(unknown)} is none of ${SCOPES.join(', ')}.`);
  return SCOPES.filter((scope) => wanted.includes(scope));
}
