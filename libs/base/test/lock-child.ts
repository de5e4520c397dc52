/** Takes a lock in a process of its own. Prints `held`, then waits to be killed; with `exit` it ends and releases. */
import { takeLock } from '@blindfit/base/node';

const [path, after] = process.argv.slice(2);
if (path === undefined) throw new Error('no path');
const lock = await takeLock(path);
process.on('exit', () => lock.release());
process.stdout.write('held\n', () => {
  if (after === 'exit') process.exit(0);
});
setInterval(() => undefined, 60_000);
