/** Files for results: known to be writable before the work begins, and complete or not there after it. */
import { access, constants, mkdtemp, realpath, rmdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf, messageOf } from '@blindfit/base';
import { replaceFile } from '@blindfit/base/node';
import { CliError } from '../errors.ts';

/**
 * Finds out, by trying, whether a file can be written. Leaves nothing behind, and an existing file as it is.
 * @param flag names it in messages
 * @throws CliError saying why not
 */
export async function checkOutput(flag: string, path: string): Promise<void> {
  try {
    const existing = await stat(path).catch(undefinedIfMissing);
    if (existing?.isDirectory() === true) throw new CliError(`${flag} ${path} is a directory`, 'name a file in it');
    if (existing !== undefined) await access(path, constants.W_OK);
    // Devices and pipes are written to; files are replaced as a whole.
    if (existing === undefined || existing.isFile())
      await rmdir(await mkdtemp(besides(existing === undefined ? path : await realpath(path))));
  } catch (error) {
    throw explained(flag, path, error);
  }
}

/**
 * Writes all of it or nothing. A new file is its user's alone, since models, scores and reports tell about the data; an
 * existing one keeps its mode.
 * @throws CliError
 */
export async function writeOutput(flag: string, path: string, content: string | Uint8Array): Promise<void> {
  try {
    const existing = await stat(path).catch(undefinedIfMissing);
    if (existing !== undefined && !existing.isFile()) {
      await writeFile(path, content);
      return;
    }
    const target = existing === undefined ? path : await realpath(path);
    await replaceFile(target, content, { mode: (existing?.mode ?? 0o600) & 0o777 });
  } catch (error) {
    throw explained(flag, path, error);
  }
}

/** In the same directory, because a rename is atomic only within one file system. */
function besides(path: string): string {
  return join(dirname(path), '.blindfit-');
}

function undefinedIfMissing(error: unknown): undefined {
  if (errnoOf(error) !== 'ENOENT') throw error;
}

function explained(flag: string, path: string, error: unknown): unknown {
  const code = errnoOf(error);
  if (code === undefined) return error;
  const reason =
    code === 'ENOENT'
      ? `there is no directory ${dirname(path)}`
      : code === 'ENOTDIR'
        ? `${dirname(path)} is no directory`
        : messageOf(error);
  return new CliError(
    `${flag} ${path} cannot be written: ${reason}`,
    'name a file in an existing directory that you may write to, with space left',
    { cause: error },
  );
}
