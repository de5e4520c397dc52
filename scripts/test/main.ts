/**
 * Runs the tests: `npm test [-- PATTERN... FLAG...]`. Without a pattern the checks of the sources come first. With
 * patterns only the test files run whose path contains one of them; small ones share processes. Flags go to
 * `node --test`.
 * `BLINDFIT_TEST_ALL=1` turns skipped tests into failures.
 */
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNative } from '../../libs/he/native/build.mjs';
import { runChecks } from '../checks.ts';
import { ROOT, runSteps } from '../steps.ts';
import { bundlePackages } from './bundles.ts';
import { groupFiles } from './groups.ts';

/** Milliseconds that one test file may take, also beside others on two busy cores. */
const FILE_LIMIT = 1_200_000;

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const flags = args.filter((arg) => arg.startsWith('-'));
  const patterns = args.filter((arg) => !arg.startsWith('-')).map((pattern) => pattern.replace(/^\.\//, ''));
  const all = globSync('**/*.test.ts', {
    cwd: ROOT,
    exclude: (path) => /(^|\/)(node_modules|dist|\..+)$/.test(path),
  }).sort();
  const files = patterns.length === 0 ? all : all.filter((file) => patterns.some((pattern) => file.includes(pattern)));
  if (files.length === 0) {
    const wanted = patterns.map((pattern) => `'${pattern}'`).join(' or ');
    process.stderr.write(`No test file has ${wanted} in its path. There are:\n  ${all.join('\n  ')}\n`);
    return 1;
  }
  const checked = patterns.length > 0 || (await runChecks());
  // Ahead of the tests, because several of them would build it at the same time.
  const built = await buildNative();
  if ('reason' in built) process.stderr.write(`blindfit: no native evaluator: ${built.reason}\n`);
  process.env['NODE_OPTIONS'] = `${process.env['NODE_OPTIONS'] ?? ''} --import=${await bundlePackages()}`;
  const passed = await runTests(files, flags);
  return checked && passed ? 0 : 1;
}

async function runTests(files: readonly string[], flags: readonly string[]): Promise<boolean> {
  const directory = mkdtempSync(join(tmpdir(), 'blindfit-tests-'));
  const skips = join(directory, 'skips.txt');
  const reporters = [
    ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
    ...[`--test-reporter=${fileURLToPath(new URL('skips.ts', import.meta.url))}`],
    `--test-reporter-destination=${skips}`,
  ];
  // One file more at a time than there are cores, because several tests mostly wait.
  const limits = [`--test-timeout=${FILE_LIMIT}`, `--test-concurrency=${availableParallelism() + 1}`];
  try {
    const args = ['--test', ...reporters, ...limits, ...flags, ...groupFiles(files, directory)];
    const passed = await runSteps([{ title: `Tests (${files.length} files)`, command: process.execPath, args }], 1);
    return noSkips(readFileSync(skips, 'utf8')) && passed;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Says what was skipped. @returns false if that counts as a failure */
function noSkips(skipped: string): boolean {
  if (skipped === '') return true;
  const strict = process.env['BLINDFIT_TEST_ALL'] === '1';
  process.stdout.write(`\n${strict ? 'FAIL Skipped, although BLINDFIT_TEST_ALL=1' : 'Skipped'}:\n${skipped}`);
  return !strict;
}
