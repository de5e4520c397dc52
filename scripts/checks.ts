/** Type check, lint and formatting. */
import { join } from 'node:path';
import { formatters } from './formatters.ts';
import { ROOT, runSteps, type Step } from './steps.ts';

function ofModule(title: string, file: string, ...args: string[]): Step {
  return { title, command: process.execPath, args: [join(ROOT, 'node_modules', file), ...args] };
}

/** @returns whether the sources pass; each check uses one core, so two run at a time */
export function runChecks(): Promise<boolean> {
  const steps = [
    ofModule('Types (tsc)', 'typescript/bin/tsc', '-p', ROOT),
    ofModule('Lint (eslint)', 'eslint/bin/eslint.js', '.'),
    ...formatters(true),
  ];
  return runSteps(steps, 2);
}
