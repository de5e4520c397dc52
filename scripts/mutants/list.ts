/** The lists of faults in test/mutants: read and checked. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A small fault in one file, and the tests that have to notice it. Paths are relative to the root. */
export interface Mutant {
  readonly file: string;
  /** Text that occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  /** Test files, run in this order until one fails. */
  readonly tests: readonly string[];
  /** What is wrong with the changed program, in one sentence. */
  readonly what: string;
}

const FIELDS = ['file', 'find', 'replace', 'tests', 'what'];

/** The names of the lists: those of the packages. */
export function listNames(root = ROOT): string[] {
  const directory = join(root, 'test/mutants');
  return readdirSync(directory)
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.slice(0, -'.json'.length))
    .sort();
}

/** @param name of a package, or the path of a list */
export function readMutants(name: string, root = ROOT): Mutant[] {
  const path = name.endsWith('.json') ? name : join(root, 'test/mutants', `${name}.json`);
  return JSON.parse(readFileSync(path, 'utf8')) as Mutant[];
}

/** The text of the file with the fault in it. */
export function mutatedText({ find, replace }: Mutant, text: string): string {
  return text.replace(find, () => replace);
}

/** Why a mutant cannot be tried, one sentence each; empty when it can. */
export function problemsOf(mutant: Mutant, root = ROOT): string[] {
  const problems: string[] = [];
  const fields = Object.keys(mutant).sort();
  if (fields.join() !== FIELDS.join()) return [`has the fields ${fields.join(', ')} instead of ${FIELDS.join(', ')}`];
  if (mutant.what.trim() === '') problems.push('says nothing in "what"');
  if (mutant.find === mutant.replace) problems.push('replaces a text by itself');
  if (mutant.tests.length === 0) problems.push('names no tests');
  for (const test of mutant.tests) {
    if (!test.endsWith('.test.ts') || !existsSync(join(root, test))) problems.push(`names ${test}, which is no test`);
  }
  if (!existsSync(join(root, mutant.file))) return [...problems, 'names a file that does not exist'];
  const count = readFileSync(join(root, mutant.file), 'utf8').split(mutant.find).length - 1;
  if (mutant.find === '' || count !== 1) problems.push(`has a "find" that occurs ${count} times`);
  return problems;
}

/** `libs/he/src/slots.ts:12`: where the fault is put. */
export function placeOf({ file, find }: Mutant, root = ROOT): string {
  const [before = ''] = readFileSync(join(root, file), 'utf8').split(find, 1);
  return `${file}:${before.split('\n').length}`;
}
