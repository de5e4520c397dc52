/** What the operating system knows about processes. */
import { readFileSync } from 'node:fs';
import { errnoOf } from '../errors.ts';

export interface ProcessInfo {
  /** Process id of the parent. */
  readonly parent: number;
  /** Start time in clock ticks since boot; it tells a process from a later one with the same id. */
  readonly started: string;
  readonly command: readonly string[];
}

/** What /proc tells about a running process; undefined when it has ended (zombies included) or there is no /proc. */
export function processInfo(pid: number): ProcessInfo | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field, the program's name, may contain spaces and parentheses: fields are counted from its end.
    const [state, parent, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const started = fields[17];
    if (state === 'Z' || started === undefined) return undefined;
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return { parent: Number(parent), started, command };
  } catch {
    return undefined;
  }
}

/** Whether a process with this id exists, also one of another user. Zombies exist. */
export function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) === 'EPERM';
  }
}
