/** Where the server listens: a UNIX socket that only its user can reach, or a port with a password. */
import { chmod, mkdir, mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { RedisStartError } from './errors.ts';

/** A socket path must fit into 108 bytes on Linux and 104 on macOS, with the final zero. */
const MAX_SOCKET_PATH_BYTES = 100;

/** The address of the server as ioredis takes it. */
export type RedisConnection = { path: string } | { host: string; port: number; password: string };

export const socketPathIn = (directory: string) => join(directory, 'redis.sock');

/** Makes a directory of mode 0700 whose path is short enough for a socket. @param wanted the one to make again */
export async function makeSocketDirectory(dataDir: string, wanted?: string): Promise<string> {
  const fits = (directory: string) => Buffer.byteLength(socketPathIn(directory)) <= MAX_SOCKET_PATH_BYTES;
  const beside = wanted ?? join(dataDir, 'run');
  if (fits(beside)) {
    await mkdir(beside, { recursive: true });
    await chmod(beside, 0o700); // whatever the umask and earlier runs made of it
    return beside;
  }
  const prefix = join(tmpdir(), 'blindfit-');
  return mkdtemp(fits(`${prefix}123456`) ? prefix : '/tmp/blindfit-'); // mkdtemp makes it 0700
}

export function toUrl(connection: RedisConnection): string {
  return 'path' in connection
    ? `unix://${pathToFileURL(connection.path).pathname}?db=0`
    : `redis://:${connection.password}@${connection.host}:${connection.port}/0`;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done, failed) => {
    server.once('error', failed);
    server.listen(0, '127.0.0.1', done);
  });
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (address === null || typeof address === 'string')
    throw new RedisStartError('The system gave no free TCP port on 127.0.0.1.');
  return address.port;
}
