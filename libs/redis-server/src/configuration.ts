/** The configuration of the server and its files in the data directory. */
import { join } from 'node:path';
import type { RedisConnection } from './listen.ts';

export const configFile = (dataDir: string) => join(dataDir, 'redis.conf');
export const pidFile = (dataDir: string) => join(dataDir, 'redis.pid');

/** The text of the configuration file. */
export function configuration(dataDir: string, connection: RedisConnection): string {
  const listen =
    'path' in connection
      ? ['port 0', `unixsocket ${quote(connection.path)}`, 'unixsocketperm 700']
      : ['bind 127.0.0.1', `port ${connection.port}`, `requirepass ${connection.password}`];
  return [
    '# Written at every start.',
    ...listen,
    'protected-mode yes',
    `dir ${quote(dataDir)}`,
    `pidfile ${quote(pidFile(dataDir))}`,
    'daemonize no',
    'set-proc-title no', // the pid file is checked against the command line
    'always-show-logo no',
    'appendonly yes',
    'appendfsync always',
    'save ""',
    'maxmemory-policy noeviction',
    '',
  ].join('\n');
}

/** A string as Redis' configuration parser reads it. */
function quote(text: string): string {
  const escaped = text
    .replace(/[\\"]/g, '\\$&')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t');
  return `"${escaped}"`;
}
