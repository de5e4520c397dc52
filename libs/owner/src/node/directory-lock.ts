import { join } from 'node:path';
import { InvalidLockError, LockedError, takeLock, type FileLock } from '@blindfit/base/node';
import { KeysetError } from '../errors.ts';

/**
 * Takes the lock of an existing directory of keys.
 * @param waitMs how long to wait for a living holder
 * @throws KeysetError KEYSET_BUSY when the time is over, KEYSET_CORRUPT when the file is not a lock
 */
export async function lockDirectory(directory: string, waitMs = 600_000): Promise<FileLock> {
  const path = join(directory, 'lock');
  try {
    return await takeLock(path, { waitMs });
  } catch (error) {
    if (error instanceof InvalidLockError) throw new KeysetError('KEYSET_CORRUPT', error.message, 'delete it');
    if (!(error instanceof LockedError)) throw error;
    const { pid, host } = error.holder;
    throw new KeysetError(
      'KEYSET_BUSY',
      `process ${pid} on ${host} has been making keys in ${directory} for too long`,
      `end it, or delete ${path} if it is gone`,
    );
  }
}
