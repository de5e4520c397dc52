// A program that runs a stack and handles no signals, for tests of what happens to the stack when the program ends.
// Argument: the data directory. Prints one line of JSON when the stack is up.
import { required } from '@blindfit/base';
import { startStack } from '@blindfit/stack';

const stack = await startStack({
  dataDir: required(process.argv[2], 'the data directory'),
  threads: 1,
  log: (line) => console.error(line),
});
console.log(JSON.stringify({ pids: stack.processes.map(({ pid }) => pid) }));
if (process.argv[3] === 'exit') process.exit(7);
setInterval(() => undefined, 1000);
