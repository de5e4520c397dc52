/** Keys in a git work tree: one `git add .` from being everybody's. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { KeysetError } from '../errors.ts';

/**
 * @param directory where a secret key is about to be written; it need not exist
 * @throws KeysetError KEYSET_IN_GIT when git would take it into a commit
 */
export async function assertNotInGit(directory: string): Promise<void> {
  const path = resolve(directory);
  const root = workTreeOf(path);
  if (root === undefined || (await isIgnored(root, path))) return;
  // The directory that holds all keysets: the next one will have another name.
  const keys = relative(root, dirname(path)) || '.';
  throw new KeysetError(
    'KEYSET_IN_GIT',
    `${path} is in the git work tree ${root}, and git does not ignore it: the secret key would be in the next commit`,
    keys === '.'
      ? `choose a directory outside of ${root}`
      : `choose a directory outside of it, or let git ignore it: echo '/${keys}/' >> ${join(root, '.gitignore')}`,
  );
}

/** The work tree that a path lies in: a directory with `.git`, which is a file in linked work trees and submodules. */
function workTreeOf(path: string): string | undefined {
  if (existsSync(join(path, '.git'))) return path;
  const parent = dirname(path);
  return parent === path ? undefined : workTreeOf(parent);
}

/** Also where git is not installed: then nothing is committed from here. */
async function isIgnored(root: string, path: string): Promise<boolean> {
  // Of hooks, which name a repository in the environment, and of a file system watcher, which would be started.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_')));
  const safe = ['-c', `safe.directory=${root}`, '-c', 'core.fsmonitor=false'];
  // The slash says that it will be a directory.
  const args = ['-C', root, ...safe, 'check-ignore', '--quiet', '--', `${path}/`];
  const status = await new Promise<number | string>((done) => {
    execFile('git', args, { env, timeout: 10_000 }, (error) => done(error === null ? 0 : (error.code ?? 'timeout')));
  });
  if (status === 0 || status === 'ENOENT') return true;
  if (status === 1) return false;
  throw new KeysetError(
    'KEYSET_IN_GIT',
    `git cannot say whether it ignores ${path} (${status})`,
    `run "git -C ${root} check-ignore ${path}/" to see why, or choose a directory outside of ${root}`,
  );
}
