/** Test files that share a process: most are done sooner than a process has started and loaded their package. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from '../steps.ts';

/** Text of files that change what belongs to the whole process, or need processors or memory for themselves. */
const ALONE = [
  /\bprocess\.(?:chdir|emit|env|exit|kill|memoryUsage|on|once|set|std|umask)/,
  /child_process|worker_threads|createServer|Pool\(|Stack\(|calibrate\(/,
  /\b(?:8192|16384|32768)\b/, // rings that take seconds
  /\bmock\.|\b(?:before|after)Each\b|\bgc\(|\b(?:asOrdinaryUser|console|globalThis)\b/,
];

/** Files that share a process at most: a longer group would be the last to end. */
const LARGEST = 16;

/**
 * @param files test files, by paths from the root
 * @param directory for the modules that import the files of a group
 * @returns paths to run in place of the files
 */
export function groupFiles(files: readonly string[], directory: string): string[] {
  const groups = Map.groupBy(files, (file) => {
    const text = readFileSync(join(ROOT, file), 'utf8');
    // Timers of the API's answers outlive its tests.
    const alone = file.startsWith('services/api/') || ALONE.some((pattern) => pattern.test(text));
    return alone ? '' : file.split('/').slice(0, 2).join('-');
  });
  const alone = groups.get('') ?? [];
  groups.delete('');
  return [...groups]
    .flatMap(([name, members]) => {
      const parts = Math.ceil(members.length / LARGEST);
      return Array.from({ length: parts }, (_, part) =>
        groupOf(
          join(directory, `${name}-${part}.test.mjs`),
          members.filter((_, i) => i % parts === part),
        ),
      );
    })
    .concat(alone);
}

/** @returns the path of a module that imports the files, or the only file */
function groupOf(path: string, files: readonly string[]): string {
  const [only, ...others] = files;
  if (only !== undefined && others.length === 0) return only;
  writeFileSync(path, files.map((file) => `await import('${pathToFileURL(join(ROOT, file)).href}');\n`).join(''));
  return path;
}
