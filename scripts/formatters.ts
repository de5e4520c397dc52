/** The formatters of the sources: prettier, and clang-format for the C++. */
import { globSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { ROOT, type Step } from './steps.ts';

/** clang-format comes from npm as a program for some processors. */
const CLANG_FORMAT = `bin/${process.platform}_${process.arch}/clang-format`;

export function formatters(check: boolean): Step[] {
  const prettier = { title: 'Format (prettier)', command: process.execPath };
  const args = [join(ROOT, 'node_modules/prettier/bin/prettier.cjs'), '--log-level=warn', '.'];
  const steps: Step[] = [{ ...prettier, args: [...args, check ? '--check' : '--write'] }];
  const directory = dirname(createRequire(import.meta.url).resolve('clang-format/package.json'));
  const [program] = globSync(join(directory, CLANG_FORMAT));
  if (program !== undefined) {
    const files = globSync('libs/*/native/**/*.{cpp,hpp}', { cwd: ROOT });
    const mode = check ? ['--dry-run', '--Werror'] : ['-i'];
    steps.push({ title: 'Format (clang-format)', command: program, args: [...mode, ...files] });
  }
  return steps;
}
