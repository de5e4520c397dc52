import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Does something with a directory of its own, and removes it however that ends, also where the process exits in the
 * middle: there may be a secret key in it.
 */
export async function withTemporaryDirectory<T>(prefix: string, work: (path: string) => Promise<T>): Promise<T> {
  const path = await mkdtemp(join(tmpdir(), prefix));
  const removeAtExit = (): void => rmSync(path, { recursive: true, force: true, maxRetries: 5 });
  process.on('exit', removeAtExit);
  try {
    return await work(path);
  } finally {
    await rm(path, { recursive: true, force: true });
    process.off('exit', removeAtExit);
  }
}
