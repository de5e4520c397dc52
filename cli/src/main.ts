import packageJson from '../package.json' with { type: 'json' };

// A reader that has seen enough, like `head`, is no error of ours.
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
// Not by waiting until nothing is left to do: a service that failed half-way up may leave connections that try for ever.
process.exit(status);
