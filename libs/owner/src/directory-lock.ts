/**
 * One process at a time in a directory: a file that names its holder. A holder that was killed is recognised by its
 * process id and start time, so nobody waits for the dead; one on another host by not having refreshed the file.
 */
import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Type, type Static } from 'typebox';
import { Check } from 'typebox/value';
import { errnoOf, writePart } from './atomic-file.ts';
import { KeysetError } from './errors.ts';

const HolderSchema = Type.Object({
  token: Type.String(),
  host: Type.String(),
  pid: Type.Integer(),
  started: Type.String(),
});
type Holder = Static<typeof HolderSchema>;

const POLL_MS = 100;
/** A holder that cannot be asked is dead when it has not refreshed its lock for this long. */
const SILENT_MS = 300_000;

export interface DirectoryLock extends AsyncDisposable {
  /** Says that the holder is alive; call it between long steps. */
  refresh(): Promise<void>;
}

/**
 * Waits for the lock of an existing directory.
 * @param patience milliseconds to wait for a living holder
 * @throws KeysetError KEYSET_BUSY when they are over
 */
export async function lockDirectory(directory: string, patience = 600_000): Promise<DirectoryLock> {
  const path = join(directory, 'lock');
  const me: Holder = {
    token: randomUUID(),
    host: hostname(),
    pid: process.pid,
    started: (await processOf(process.pid)).started,
  };
  const deadline = performance.now() + patience;
  while (!(await take(directory, path, me))) {
    const holder = await readHolder(path);
    if (holder === undefined) continue;
    if (await isStale(path, holder)) {
      await removeStale(directory, path, holder);
      continue;
    }
    if (performance.now() > deadline) {
      throw new KeysetError(
        'KEYSET_BUSY',
        `process ${holder.pid} on ${holder.host} has been making keys in ${directory} for too long`,
        `end it, or delete ${path} if it is gone`,
      );
    }
    await sleep(POLL_MS);
  }
  return {
    refresh: async () => {
      const now = new Date();
      await utimes(path, now, now);
    },
    [Symbol.asyncDispose]: async () => {
      if ((await readHolder(path))?.token === me.token) await rm(path, { force: true });
    },
  };
}

/** The link makes the lock appear with its content: nobody ever reads half a lock. */
async function take(directory: string, path: string, me: Holder): Promise<boolean> {
  const part = await writePart(directory, Buffer.from(JSON.stringify(me)));
  try {
    await link(part, path);
    return true;
  } catch (error) {
    // ENOENT: the holder tidied up while we were writing.
    if (errnoOf(error) === 'EEXIST' || errnoOf(error) === 'ENOENT') return false;
    throw error;
  } finally {
    await rm(part, { force: true });
  }
}

/** @returns undefined when there is no lock */
async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (Check(HolderSchema, value)) return value;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new KeysetError('KEYSET_CORRUPT', `${path} is no lock file`, 'delete it');
}

async function isStale(path: string, holder: Holder): Promise<boolean> {
  if (holder.host === hostname()) {
    const process = await processOf(holder.pid);
    return !process.alive || process.started !== holder.started;
  }
  try {
    return Date.now() - (await stat(path)).mtimeMs > SILENT_MS;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Two may find the same stale lock. Whoever moves away the fresh lock of the other by mistake gives it back. */
async function removeStale(directory: string, path: string, stale: Holder): Promise<void> {
  const aside = join(directory, `${randomUUID()}.part`);
  try {
    await rename(path, aside);
    if ((await readHolder(aside))?.token !== stale.token) await link(aside, path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'EEXIST') throw error;
  } finally {
    await rm(aside, { force: true });
  }
}

/** Whether a process runs, and when it started, which tells it from a later one with the same number ('' where there is no /proc). */
async function processOf(pid: number): Promise<{ alive: boolean; started: string }> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (errnoOf(error) === 'ESRCH') return { alive: false, started: '' };
  }
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8');
    // After the name in brackets: the state (Z: dead, its parent has not noticed) and, 19 fields on, the start time.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { alive: fields[0] !== 'Z', started: fields[19] ?? '' };
  } catch {
    return { alive: true, started: '' };
  }
}
