/** Ending the server of an earlier run. */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from '@blindfit/base';
import { processExists, processInfo } from '@blindfit/base/node';
import { configFile, pidFile } from './configuration.ts';
import { RedisStartError } from './errors.ts';

/** Between SIGTERM and SIGKILL. Milliseconds. */
export const STOP_TIMEOUT_MS = 10_000;

/** Ends the server of an earlier run that was killed before it could do so. Call with the lock held. */
export async function stopLeftover(dataDir: string, log: (line: string) => void): Promise<void> {
  const text = await readFile(pidFile(dataDir), 'utf8').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return '';
    throw error;
  });
  const pid = Number.parseInt(text, 10);
  if (!(pid > 0) || !processExists(pid)) return;
  if (processInfo(process.pid) === undefined) {
    throw new RedisStartError(
      `${pidFile(dataDir)} names process ${pid}, which may be a Redis that still writes to ${dataDir}. ` +
        `Stop that process if so (kill ${pid}), or else delete the file.`,
    );
  }
  // The id may belong to another process by now: only one started with this configuration file counts.
  const isOurs = () => processInfo(pid)?.command.includes(configFile(dataDir)) === true;
  if (!isOurs()) return;
  log(`Stopping the Redis (process ${pid}) that an earlier run left behind in ${dataDir}`);
  if (await endProcess(pid, isOurs)) return;
  throw new RedisStartError(
    `Process ${pid}, a Redis of an earlier run, still writes to ${dataDir} and cannot be stopped. ` +
      `End it by hand (kill -9 ${pid}).`,
  );
}

/** SIGTERM, then SIGKILL. False if the process is still there, e.g. because it belongs to another user. */
async function endProcess(pid: number, isThere: () => boolean): Promise<boolean> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if (errnoOf(error) === 'ESRCH') return true;
      if (errnoOf(error) === 'EPERM') return false;
      throw error;
    }
    const deadline = Date.now() + STOP_TIMEOUT_MS;
    while (Date.now() < deadline) {
      if (!isThere()) return true;
      await sleep(20);
    }
  }
  return false;
}
