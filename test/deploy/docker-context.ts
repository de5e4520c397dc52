/** Which files `docker build` would see: the patterns of a .dockerignore, as far as ours uses them. */
import { cp, mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

interface Pattern {
  readonly keeps: boolean;
  readonly expression: RegExp;
}

/** @throws Error for a pattern of a kind not understood here */
function patternsOf(text: string): Pattern[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const keeps = line.startsWith('!');
      const path = keeps ? line.slice(1) : line;
      if (/[?[\]\\]|\*\*.*\*\*|^\//.test(path)) throw new Error(`the pattern ${line} is of a kind not understood here`);
      const expression = path
        .replace(/[.+^$(){}|]/g, '\\$&')
        .replace(/^\*\*\//, '\0')
        .replace(/\*/g, '[^/]*')
        .replace('\0', '(?:.*/)?');
      // A pattern holds for all that lies below what it names.
      return { keeps, expression: new RegExp(`^${expression}(?:/.*)?$`) };
    });
}

/** Files of a directory that the build sees, relative to it; the last pattern that fits decides. */
export async function contextFiles(root: string, dockerignore: string): Promise<string[]> {
  const patterns = patternsOf(dockerignore);
  const isIn = (path: string): boolean => patterns.findLast(({ expression }) => expression.test(path))?.keeps ?? true;
  const files: string[] = [];
  const walk = async (directory: string): Promise<void> => {
    for (const entry of await readdir(join(root, directory), { withFileTypes: true })) {
      const path = directory === '' ? entry.name : `${directory}/${entry.name}`;
      // Large, and left out whatever else is said.
      if (entry.isDirectory() && entry.name !== 'node_modules' && entry.name !== '.git') await walk(path);
      else if (entry.isFile() && isIn(path)) files.push(path);
    }
  };
  await walk('');
  return files.sort();
}

export async function copyContext(root: string, files: readonly string[], destination: string): Promise<void> {
  for (const file of files) {
    await mkdir(dirname(join(destination, file)), { recursive: true });
    await cp(join(root, file), join(destination, file));
  }
}
