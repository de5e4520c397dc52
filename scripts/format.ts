/** Formats all files: `npm run format [-- --check]`. With `--check` it only says which files are not formatted. */
import { argv } from 'node:process';
import { formatters } from './formatters.ts';
import { runSteps } from './steps.ts';

process.exitCode = (await runSteps(formatters(argv.includes('--check')), 1)) ? 0 : 1;
