/** The log of the server in its data directory. */
import { open, readFile, rename, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, messageOf } from '@blindfit/base';

export const logFile = (dataDir: string) => join(dataDir, 'redis.log');

/** Redis writes through our descriptor, not its `logfile`: complaints about the configuration end up there as well. */
export async function openLog(dataDir: string): Promise<FileHandle> {
  await rename(logFile(dataDir), `${logFile(dataDir)}.old`).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw error;
  });
  return open(logFile(dataDir), 'w', 0o600);
}

/** The last lines of the log. */
export async function logTail(dataDir: string): Promise<string> {
  const text = await readFile(logFile(dataDir), 'utf8').catch(
    (error: unknown) => `(cannot be read: ${messageOf(error)})`,
  );
  return text.trimEnd().split('\n').slice(-15).join('\n') || '(empty)';
}
