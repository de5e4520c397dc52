import { runCommandLine } from './program.ts';

// A reader that has seen enough, like `head`, is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

const status = await runCommandLine(process.argv.slice(2));
// Not by waiting until nothing is left to do: a service that failed half-way up may leave connections that try for ever.
process.exit(status);
