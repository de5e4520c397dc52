import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

/** Where a stack on this machine keeps what must last: `$XDG_DATA_HOME/blindfit`, or `~/.local/share/blindfit`. */
export function defaultDataDir(env: NodeJS.ProcessEnv = process.env): string {
  const xdg = env['XDG_DATA_HOME'];
  // The XDG specification says to ignore a relative path.
  return join(
    xdg !== undefined && isAbsolute(xdg) ? xdg : join(env['HOME'] ?? homedir(), '.local', 'share'),
    'blindfit',
  );
}

/**
 * Where `blindfit up` says who did what: `audit.log` in `$XDG_STATE_HOME/blindfit` or `~/.local/state/blindfit`, and in
 * `logs` of a data directory that `--data` names.
 */
export function auditLogOf(dataFlag: string | undefined, env: NodeJS.ProcessEnv = process.env): string {
  if (dataFlag !== undefined) return join(resolve(dataFlag), 'logs', 'audit.log');
  const xdg = env['XDG_STATE_HOME'];
  const state = xdg !== undefined && isAbsolute(xdg) ? xdg : join(env['HOME'] ?? homedir(), '.local', 'state');
  return join(state, 'blindfit', 'audit.log');
}

/** The directory of a `--data` flag as an absolute path, or the default. */
export function dataDirOf(flag: string | undefined): string {
  return flag === undefined ? defaultDataDir() : resolve(flag);
}
