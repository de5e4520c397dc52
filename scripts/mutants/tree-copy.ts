/** A copy of the working tree in which files can be damaged and tests run. */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/**
 * Copies what git tracks or would track. Packages from npm are linked, links to workspaces lead into the copy.
 * @returns the directory of the copy, to be removed by the caller
 */
export function copyTree(root: string): string {
  const copy = mkdtempSync(join(tmpdir(), 'blindfit-mutants-'));
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root });
  for (const path of listed.toString().split('\0')) {
    // A deleted file is still listed until the deletion is committed.
    if (path === '' || !existsSync(join(root, path))) continue;
    mkdirSync(dirname(join(copy, path)), { recursive: true });
    cpSync(join(root, path), join(copy, path));
  }
  linkModules(join(root, 'node_modules'), join(copy, 'node_modules'));
  for (const workspace of workspaces(root)) {
    const modules = join(root, workspace, 'node_modules');
    if (existsSync(modules)) symlinkSync(modules, join(copy, workspace, 'node_modules'));
  }
  const native = join(root, '.blindfit/native');
  if (existsSync(native)) cpSync(native, join(copy, '.blindfit/native'), { recursive: true });
  return copy;
}

/** Links each package of a node_modules; a relative link, which is npm's to a workspace, is made again as it is. */
function linkModules(from: string, to: string): void {
  mkdirSync(to);
  for (const name of readdirSync(from)) {
    const path = join(from, name);
    if (lstatSync(path).isSymbolicLink()) symlinkSync(readlinkSync(path), join(to, name));
    else if (name.startsWith('@')) linkModules(path, join(to, name));
    else symlinkSync(path, join(to, name));
  }
}

function workspaces(root: string): string[] {
  return ['libs', 'services'].flatMap((parent) =>
    existsSync(join(root, parent)) ? readdirSync(join(root, parent)).map((name) => `${parent}/${name}`) : [],
  );
}

export function removeTree(copy: string): void {
  rmSync(copy, { recursive: true, force: true });
}
