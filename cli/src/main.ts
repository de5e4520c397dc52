import packageJson from '../package.json' with { type: 'json' };

// A reader such as `head` may close the pipe early, which is not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

const args = process.argv.slice(2);
// Scripts ask for the version: it is printed before the program is loaded.
if (args.length === 1 && /^(-V|--version)$/.test(args[0] as string)) {
  process.stdout.write(`${packageJson.version}\n`);
  process.exit(0);
}
const { runCommandLine } = await import('./program.ts');
const status = await runCommandLine(args);
// A service that failed to start may leave connections that retry, so the process does not wait for them to end.
process.exit(status);
