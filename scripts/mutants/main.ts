/**
 * Mutation tests: `npm run mutants -- [PACKAGE...] [--jobs N] [--list] [--verbose]`. Each fault listed in
 * `test/mutants/PACKAGE.json` is put into a copy of the tree and the tests named beside it are run; they have to fail.
 * A list of its own can be given by a path that ends in `.json`. A fault that keeps a file from loading is refused.
 * The exit status is 1 if a fault survives, if a list is wrong, or if tests fail without any fault.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { valueOf } from '@blindfit/base';
import { listNames, mutatedText, placeOf, problemsOf, readMutants, ROOT, type Mutant } from './list.ts';
import { loadErrors } from './load-errors.ts';
import { runTests } from './run-tests.ts';
import { copyTree, removeTree } from './tree-copy.ts';

/** A mutant may take this much longer than the tests do without it. */
const LIMIT_FACTOR = 4;
const LIMIT_EXTRA = 30_000;
/** For the tests without any fault. */
const BASELINE_LIMIT = 600_000;

interface Entry {
  readonly list: string;
  readonly mutant: Mutant;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    jobs: { type: 'string', default: '1' },
    list: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});

process.exitCode = await main();

async function main(): Promise<number> {
  const names = listNames();
  const unknown = positionals.filter((name) => !names.includes(name) && !name.endsWith('.json'));
  const jobs = Number(values.jobs);
  if (unknown.length > 0) return refuse(`no list of mutants for ${unknown.join(', ')}; there are: ${names.join(', ')}`);
  if (!Number.isInteger(jobs) || jobs < 1) return refuse('--jobs takes a whole number from 1 on');
  const entries = (positionals.length > 0 ? positionals : names).flatMap((list) =>
    readMutants(list).map((mutant): Entry => ({ list, mutant })),
  );
  const problems = [
    ...entries.flatMap(({ mutant }) => problemsOf(mutant).map((problem) => ({ mutant, problem }))),
    ...loadErrors(entries.map(({ mutant }) => mutant)),
  ].map(({ mutant, problem }) => `${mutant.file}: "${mutant.what}" ${problem}`);
  if (problems.length > 0) return refuse(problems.join('\n'));
  if (values.list) {
    for (const { list, mutant } of entries) print(`${list}: ${placeOf(mutant)} ${mutant.what}`);
    return 0;
  }
  return runAll(entries, Math.min(jobs, entries.length));
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function refuse(message: string): number {
  process.stderr.write(`${message}\n`);
  return 1;
}

async function runAll(entries: readonly Entry[], jobs: number): Promise<number> {
  const abort = new AbortController();
  const copies: string[] = [];
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      abort.abort(new Error(`ended by ${signal}`));
    });
  }
  try {
    for (let i = 0; i < jobs; i++) copies.push(copyTree(ROOT));
    const [firstCopy = ''] = copies;
    const seconds = await baseline(firstCopy, entries, abort.signal);
    if (seconds === undefined) return 1;
    const queue = [...entries];
    const survivors: Entry[] = [];
    await Promise.all(
      copies.map(async (copy) => {
        for (let entry = queue.shift(); entry !== undefined; entry = queue.shift()) {
          if (!(await isKilled(copy, entry, seconds, abort.signal))) survivors.push(entry);
        }
      }),
    );
    report(entries, survivors);
    return survivors.length > 0 ? 1 : 0;
  } catch (error) {
    if (!abort.signal.aborted) throw error;
    return refuse(String(abort.signal.reason));
  } finally {
    copies.forEach(removeTree);
  }
}

/** Seconds that each test file takes without a fault; undefined when one fails. */
async function baseline(
  copy: string,
  entries: readonly Entry[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number> | undefined> {
  const seconds = new Map<string, number>();
  for (const test of new Set(entries.flatMap(({ mutant }) => mutant.tests))) {
    const outcome = await runTests(copy, [test], BASELINE_LIMIT, signal);
    if (outcome.failed !== undefined) {
      refuse(`${outcome.output}\n${test} fails without any fault`);
      return undefined;
    }
    seconds.set(test, outcome.seconds);
  }
  const total = [...seconds.values()].reduce((sum, value) => sum + value, 0);
  print(`${seconds.size} test files pass without a fault, in ${total.toFixed(0)} s`);
  return seconds;
}

async function isKilled(
  copy: string,
  { list, mutant }: Entry,
  seconds: ReadonlyMap<string, number>,
  signal: AbortSignal,
): Promise<boolean> {
  const path = join(copy, mutant.file);
  const original = readFileSync(path, 'utf8');
  const usual = mutant.tests.reduce((sum, test) => sum + valueOf(seconds, test, 'a duration'), 0);
  writeFileSync(path, mutatedText(mutant, original));
  try {
    const outcome = await runTests(copy, mutant.tests, LIMIT_EXTRA + LIMIT_FACTOR * usual * 1000, signal);
    const killed = outcome.failed !== undefined;
    const how = outcome.timedOut ? ', out of time' : '';
    print(
      `${killed ? 'killed  ' : 'SURVIVED'} ${list}: ${placeOf(mutant, ROOT)} ${mutant.what} ` +
        `(${outcome.seconds.toFixed(1)} s${how})`,
    );
    if (values.verbose) print(outcome.output);
    return killed;
  } finally {
    writeFileSync(path, original);
  }
}

function report(entries: readonly Entry[], survivors: readonly Entry[]): void {
  print('');
  for (const list of new Set(entries.map((entry) => entry.list))) {
    const all = entries.filter((entry) => entry.list === list).length;
    const killed = all - survivors.filter((entry) => entry.list === list).length;
    print(`${list}: ${killed} of ${all} killed (${((100 * killed) / all).toFixed(0)} %)`);
  }
}
