import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { errnoOf } from '@blindfit/base';
import { processExists, processInfo } from './system.ts';

/** Another live process holds the lock. */
export class LockedError extends Error {
  override readonly name = 'LockedError';
  /** The process id of the holder. */
  readonly holder: number;

  constructor(path: string, holder: number) {
    super(`${path} is held by process ${holder}`);
    this.holder = holder;
  }
}

interface Holder {
  pid: number;
  started: string;
}

/**
 * Takes a lock file for this process and returns the function that gives it back (synchronous, so that an `exit`
 * handler can call it). The lock of a process that no longer runs does not count. For processes of one machine only.
 *
 * @throws LockedError when a live process (this one included) holds it.
 */
export async function takeLock(path: string): Promise<() => void> {
  const mine: Holder = { pid: process.pid, started: processInfo(process.pid)?.started ?? '' };
  const draft = `${path}.${randomUUID()}`;
  // Written aside and linked into place: nobody ever sees a lock without its content.
  await writeFile(draft, JSON.stringify(mine), { mode: 0o600 });
  try {
    for (;;) {
      try {
        await link(draft, path);
        return () => rmSync(path, { force: true });
      } catch (error) {
        if (errnoOf(error) !== 'EEXIST') throw error;
      }
      const seen = await readIfThere(path);
      if (seen === undefined) continue;
      const holder = parseHolder(seen);
      if (holder !== undefined && isAlive(holder)) throw new LockedError(path, holder.pid);
      await breakLock(path, seen);
    }
  } finally {
    await rm(draft, { force: true });
  }
}

/** Removes a dead holder's lock, but not the fresh one of somebody who was quicker to remove it. */
async function breakLock(path: string, seen: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
    if ((await readIfThere(aside)) !== seen) await link(aside, path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'EEXIST') throw error;
  } finally {
    await rm(aside, { force: true });
  }
}

function isAlive(holder: Holder): boolean {
  if (!processExists(holder.pid)) return false;
  const info = processInfo(holder.pid);
  // Without /proc the id has to do.
  return holder.started === '' || info === undefined
    ? processInfo(process.pid) === undefined
    : info.started === holder.started;
}

function parseHolder(text: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('pid' in value) || !('started' in value)) return undefined;
    const { pid, started } = value;
    return typeof pid === 'number' && typeof started === 'string' ? { pid, started } : undefined;
  } catch {
    return undefined;
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
