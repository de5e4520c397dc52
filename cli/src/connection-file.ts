/** How commands in another terminal find the stack that `blindfit up` runs: a file only its user can read. */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '@blindfit/base';
import { processExists, replaceFile } from '@blindfit/base/node';

export interface StackConnection {
  /** Base URL of the API. */
  readonly server: string;
  readonly token: string;
  /** Process that runs the stack. */
  readonly pid: number;
  /** Of its Redis and its store, for operators; missing where an earlier release wrote the file. */
  readonly redisUrl?: string | undefined;
  readonly storeUrl?: string | undefined;
}

const fileIn = (dataDir: string): string => join(dataDir, 'connection.json');

/** Writes the file with mode 0600. */
export async function writeConnection(dataDir: string, connection: StackConnection): Promise<void> {
  await replaceFile(fileIn(dataDir), `${JSON.stringify(connection)}\n`, { sync: false });
}

export async function removeConnection(dataDir: string): Promise<void> {
  await rm(fileIn(dataDir), { force: true });
}

/** The stack that runs on a data directory, or undefined when none does. */
export async function readConnection(dataDir: string): Promise<StackConnection | undefined> {
  const value = await readFile(fileIn(dataDir), 'utf8').then(
    (text): unknown => JSON.parse(text),
    (error: unknown) => {
      const errno = errnoOf(error);
      if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined;
      throw error;
    },
  );
  if (typeof value !== 'object' || value === null) return undefined;
  const { server, token, pid, redisUrl, storeUrl } = value as Partial<Record<keyof StackConnection, unknown>>;
  if (typeof server !== 'string' || typeof token !== 'string' || typeof pid !== 'number') return undefined;
  // A killed stack leaves its file behind. Another program may have its port and must not get the token.
  if (!processExists(pid)) return undefined;
  return typeof redisUrl === 'string' && typeof storeUrl === 'string'
    ? { server, token, pid, redisUrl, storeUrl }
    : { server, token, pid };
}

/** The token of a data directory. It is made at the first call and stays the same, also across restarts. */
export async function tokenOf(dataDir: string): Promise<string> {
  const path = join(dataDir, 'token');
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  try {
    const file = await open(path, 'wx', 0o600);
    const token = randomBytes(32).toString('hex');
    await file.writeFile(`${token}\n`);
    await file.close();
    return token;
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    return (await readFile(path, 'utf8')).trim();
  }
}
