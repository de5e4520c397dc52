/** What the tests of the documentation share: where things are, and how the pages and the command line are read. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { firstGroups } from '@blindfit/testkit';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The text of a file. @param path from the root of the repository */
export function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** Files below a directory, without what npm, git and Blindfit keep there. @returns paths from the root, sorted */
function filesBelow(directory: string, wanted: (path: string) => boolean): string[] {
  const found: string[] = [];
  const walk = (at: string): void => {
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      if (entry.name === 'node_modules' || entry.name === 'dist' || (entry.isDirectory() && entry.name.startsWith('.')))
        continue;
      const path = join(at, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (entry.isFile() && wanted(path)) found.push(relative(ROOT, path));
    }
  };
  walk(join(ROOT, directory));
  return found.sort();
}

/** Every Markdown page of the project. */
export function pages(): string[] {
  return filesBelow('.', (path) => path.endsWith('.md'));
}

/** The program's own source files: no tests, no benches, no demo data. */
export function sources(...below: string[]): string[] {
  const directories = below.length > 0 ? below : ['libs', 'services', 'cli'];
  return directories.flatMap((directory) =>
    filesBelow(directory, (path) => path.endsWith('.ts') && path.includes('/src/')),
  );
}

export interface Package {
  readonly name: string;
  /** From the root. */
  readonly directory: string;
  /** Packages of this project that it imports. */
  readonly dependencies: readonly string[];
}

/** The packages of the project, libraries first, with what their sources really import. */
export function packages(): Package[] {
  const directories = [
    ...['libs', 'services'].flatMap((parent) =>
      readdirSync(join(ROOT, parent))
        .sort()
        .map((name) => `${parent}/${name}`),
    ),
    'cli',
    'demo',
    'bench',
    'deploy/grafana',
  ];
  return directories
    .filter((directory) => existsSync(join(ROOT, directory, 'package.json')))
    .map((directory) => {
      const { name } = JSON.parse(read(`${directory}/package.json`)) as { name: string };
      const imported = sources(directory).flatMap((path) =>
        firstGroups(read(path), /(?:from|import\()\s*'(@blindfit\/[a-z-]+)/g),
      );
      return { name, directory, dependencies: [...new Set(imported)].sort() };
    });
}

const run = promisify(execFile);

let helps: Promise<ReadonlyMap<string, string>> | undefined;

/** `blindfit COMMAND --help` for a user with an ordinary home directory. @param command empty: the list of commands */
export async function helpOf(command: string): Promise<string> {
  const help = (await (helps ??= allHelps())).get(command);
  if (help === undefined) throw new Error(`there is no command "${command}"`);
  return help;
}

async function allHelps(): Promise<ReadonlyMap<string, string>> {
  const { stdout } = await run(process.execPath, [fileURLToPath(new URL('./helps.ts', import.meta.url))], {
    env: { PATH: process.env['PATH'], HOME: '~' },
  });
  return new Map(Object.entries(JSON.parse(stdout) as Record<string, string>));
}

/** All commands in the order of the help, those of a group (`token create`) after the group. */
export async function commands(): Promise<string[]> {
  return [...(await (helps ??= allHelps())).keys()].filter((name) => name !== '');
}

/** Long flags that a help lists. */
export function flagsIn(help: string): string[] {
  return firstGroups(help, /^ {2}(?:-[A-Za-z], )?(--[a-z-]+)/gm);
}
