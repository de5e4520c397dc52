import type { Command } from 'commander';
import { BlindfitClient, type BlindfitClientOptions } from '@blindfit/client';
import { commandVariables, optional, readConfig, variables } from '@blindfit/service/settings';
import { readConnection } from './connection-file.ts';
import { dataDirOf } from './data-dir.ts';
import { UsageError } from './errors.ts';

export interface ServerFlags {
  readonly server?: string;
  readonly data?: string;
}

/** Adds the flags that say which API a command speaks to. */
export function addServerFlags(command: Command): Command {
  return command
    .option(
      '--server <url>',
      'address of the API [BLINDFIT_SERVER; default: the one "blindfit up" runs on this machine]',
    )
    .option('--data <dir>', 'data directory of that "blindfit up", if it was given another one');
}

/**
 * Which API to speak to, and with which token: `--server` or BLINDFIT_SERVER with BLINDFIT_TOKEN, else the stack that
 * `blindfit up` runs on this machine.
 *
 * @throws UsageError when neither is there
 */
export async function serverOf(
  flags: ServerFlags,
  env: NodeJS.ProcessEnv = process.env,
): Promise<{ server: string; token: string | undefined }> {
  const settings = clientSettings(env);
  const server = flags.server ?? settings.server;
  const dataDir = dataDirOf(flags.data);
  const local = await readConnection(dataDir);
  if (server !== undefined) {
    const fitting =
      settings.token ?? (local !== undefined && sameServer(local.server, server) ? local.token : undefined);
    return { server, token: fitting };
  }
  if (local !== undefined) return { server: local.server, token: local.token };
  throw new UsageError(
    'there is no Blindfit API to speak to: neither --server nor BLINDFIT_SERVER is given, and no "blindfit ' +
      `up" runs on ${dataDir}`,
    'start one with "blindfit up", or set BLINDFIT_SERVER and BLINDFIT_TOKEN to those of a running API',
  );
}

/** Does something with a client for the API the flags name, and closes it afterwards. */
export async function withClient<T>(
  flags: ServerFlags,
  work: (client: BlindfitClient) => Promise<T>,
  options: Omit<BlindfitClientOptions, 'server' | 'token'> = {},
): Promise<T> {
  const client = new BlindfitClient({ ...options, ...(await serverOf(flags)) });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

/** What the environment says of the API to speak to. @throws ConfigError */
export function clientSettings(env: NodeJS.ProcessEnv = process.env): {
  readonly server: string | undefined;
  readonly token: string | undefined;
} {
  return readConfig({ server: commandVariables.server, token: optional(variables.token) }, env);
}

function sameServer(a: string, b: string): boolean {
  return URL.parse(a)?.origin === URL.parse(b)?.origin;
}
