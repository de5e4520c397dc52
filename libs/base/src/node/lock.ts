/**
 * Lock files: at most one holder at a time. The file names its holder. A holder that was killed is recognised by its
 * process id and start time, one on another host by its silence.
 */
import { createHash, randomUUID } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { link, readFile, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BlindfitError, errnoOf } from '../errors.ts';
import { undefinedIfMissing, writePart } from './files.ts';
import { processExists, processInfo } from './process.ts';

const POLL_MS = 100;
/** A claim is held for the time of two file operations. */
const CLAIM_POLL_MS = 5;

export interface LockOptions {
  /** How long to wait for a living holder, in milliseconds. @default 0, which fails at once */
  readonly waitMs?: number | undefined;
  /** A holder that has not refreshed its lock for this long, in milliseconds, is taken for dead. @default 300_000 */
  readonly silenceMs?: number | undefined;
  /**
   * Whether silence ends the lock of a living process of this host as well. Without it only a holder on another host,
   * whose process cannot be examined, loses the lock by silence. @default false
   */
  readonly silenceCounts?: boolean | undefined;
}

export interface FileLock extends Disposable {
  /** Tells that the holder is alive; call it between long steps. */
  refresh(): Promise<void>;
  /** Gives the lock back. Synchronous, so that an `exit` handler can call it; later calls do nothing. */
  readonly release: () => void;
}

export interface LockHolder {
  readonly token: string;
  readonly host: string;
  readonly pid: number;
  /** Start time of the process, '' on systems without /proc. */
  readonly started: string;
}

/** `LOCKED`: a living process, this one included, holds the lock. */
export class LockedError extends BlindfitError {
  readonly holder: LockHolder;

  constructor(path: string, holder: LockHolder) {
    super('LOCKED', `${path} is held by process ${holder.pid} on ${holder.host}`, {
      hint: `end it, or delete ${path} if it is gone`,
      retryable: true,
      fault: 'host',
    });
    this.holder = holder;
  }
}

/** `INVALID_LOCK`: a file with the lock's name is not a lock. */
export class InvalidLockError extends BlindfitError {
  constructor(path: string) {
    super('INVALID_LOCK', `${path} is no lock file`, { hint: 'delete it', fault: 'host' });
  }
}

/**
 * Takes a lock file in an existing directory.
 * @throws LockedError when a living process still holds it after the time to wait
 * @throws InvalidLockError
 */
export async function takeLock(path: string, options: LockOptions = {}): Promise<FileLock> {
  const { waitMs = 0, silenceMs = 300_000, silenceCounts = false } = options;
  const own: LockHolder = { token: randomUUID(), host: hostname(), pid: process.pid, started: startOf(process.pid) };
  const deadline = performance.now() + waitMs;
  while (!(await create(path, own))) {
    const holder = await readHolder(path);
    if (holder === undefined) continue;
    if (await isStale(path, holder, silenceMs, silenceCounts)) await removeStale(path, holder);
    else if (performance.now() >= deadline) throw new LockedError(path, holder);
    else await sleep(Math.min(POLL_MS, waitMs));
  }
  return heldLock(path, own.token);
}

function heldLock(path: string, token: string): FileLock {
  const release = (): void => {
    try {
      if (parseHolder(path, readFileSync(path, 'utf8')).token === token) rmSync(path, { force: true });
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' && !(error instanceof InvalidLockError)) throw error;
    }
  };
  return {
    release,
    [Symbol.dispose]: release,
    refresh: async () => {
      const now = new Date();
      await utimes(path, now, now);
    },
  };
}

/** Links a complete file into place, so that readers never see a part of a lock. @returns false when there is one */
async function create(path: string, holder: LockHolder): Promise<boolean> {
  const part = await writePart(dirname(path), JSON.stringify(holder), { sync: false });
  try {
    await link(part, path);
    return true;
  } catch (error) {
    // ENOENT: a holder that removes parts of dead processes removed this one.
    if (errnoOf(error) === 'EEXIST' || errnoOf(error) === 'ENOENT') return false;
    throw error;
  } finally {
    await rm(part, { force: true });
  }
}

/** @returns undefined when there is no lock */
async function readHolder(path: string): Promise<LockHolder | undefined> {
  const text = await readFile(path, 'utf8').catch(undefinedIfMissing);
  return text === undefined ? undefined : parseHolder(path, text);
}

/** Locks of earlier releases have neither token nor host. A power failure may leave a lock without content. */
function parseHolder(path: string, text: string): LockHolder {
  if (/^\0*$/.test(text)) return { token: text, host: hostname(), pid: NaN, started: '' };
  try {
    const value = JSON.parse(text) as Partial<Record<keyof LockHolder, unknown>> | null;
    const { token = text, host = hostname(), pid, started } = value ?? {};
    if (typeof token === 'string' && typeof host === 'string' && typeof pid === 'number' && typeof started === 'string')
      return { token, host, pid, started };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new InvalidLockError(path);
}

async function isStale(path: string, holder: LockHolder, silenceMs: number, silenceCounts: boolean): Promise<boolean> {
  const here = holder.host === hostname();
  if (here && !(processExists(holder.pid) && startOf(holder.pid) === holder.started)) return true;
  if (here && !silenceCounts) return false;
  const info = await stat(path).catch(undefinedIfMissing);
  return info !== undefined && Date.now() - info.mtimeMs > silenceMs;
}

/**
 * Removes a stale lock. Of the processes that find it only the holder of a claim, a lock named by the token of the
 * stale one, may remove it, and only while the file still holds that token: nothing fresh is ever moved away.
 */
async function removeStale(path: string, stale: LockHolder): Promise<void> {
  const name = createHash('sha256').update(stale.token).digest('hex').slice(0, 16);
  const claim = await takeLock(`${path}.${name}`).catch((error: unknown) => {
    if (!(error instanceof LockedError)) throw error;
  });
  if (claim === undefined) return sleep(CLAIM_POLL_MS);
  try {
    if ((await readHolder(path))?.token === stale.token) await rm(path, { force: true });
  } finally {
    claim.release();
  }
}

function startOf(pid: number): string {
  const { started = '' } = processInfo(pid) ?? {};
  return started;
}
