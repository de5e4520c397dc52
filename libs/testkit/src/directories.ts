import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export interface TemporaryDirectory extends AsyncDisposable {
  readonly path: string;
}

/** Makes a temporary directory, which is removed after the test. @returns its path */
export function temporaryDirectory(t: Pick<TestContext, 'after'>): Promise<string>;
/** Makes a temporary directory for `await using`, which is removed at the end of the scope. */
export function temporaryDirectory(): Promise<TemporaryDirectory>;
export async function temporaryDirectory(t?: Pick<TestContext, 'after'>): Promise<string | TemporaryDirectory> {
  const path = await mkdtemp(join(tmpdir(), 'blindfit-test-'));
  const remove = (): Promise<void> => rm(path, { recursive: true, force: true });
  if (t === undefined) return { path, [Symbol.asyncDispose]: remove };
  t.after(remove);
  return path;
}

/** Paths of all files below a directory. */
export async function filesUnder(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
