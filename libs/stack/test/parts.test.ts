/** How a stack starts and ends its parts, with a small program in the place of the services. */
import assert from 'node:assert/strict';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { processesOf, runs, temporaryDirectory, until } from '@blindfit/testkit';
import { startStack, type RunningStack, type StackOptions } from '../src/index.ts';

/**
 * Is ready at once; writes to the file EVENTS when it is told to end. The scheduler ends with status 5 if FAIL is set,
 * and the others are never ready then. Its last words take a while, so that the order shows.
 */
const PROGRAM = `
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
const { env, argv } = process;
const [, , command] = argv;
console.error(command + ' has ' + env.BLINDFIT_THREADS + ' threads');
if (env.FAIL && command === 'scheduler') process.exit(5);
process.on('SIGTERM', () => setTimeout(() => {
  appendFileSync(env.EVENTS, command + '\\n');
  process.exit(0);
}, 30));
process.on('disconnect', () => process.exit(0));
const port = command === 'api' ? env.BLINDFIT_PORT : env.BLINDFIT_METRICS_PORT;
const server = createServer((request, response) => response.end()).listen(Number(port), '127.0.0.1', () => {
  if (!env.FAIL) console.log(JSON.stringify({ ready: true, url: 'http://127.0.0.1:' + server.address().port }));
});
`;

async function place(t: TestContext): Promise<{ dataDir: string; main: string; events: string }> {
  const directory = await temporaryDirectory(t);
  const main = join(directory, 'program.mjs');
  await writeFile(main, PROGRAM);
  const events = join(directory, 'events');
  process.env['EVENTS'] = events;
  t.after(() => {
    delete process.env['EVENTS'];
    delete process.env['FAIL'];
  });
  return { dataDir: join(directory, 'data'), main, events };
}

async function start(t: TestContext, main: string, options: Partial<StackOptions> & { dataDir: string }) {
  const given = { threads: 3, redisUrl: 'redis://127.0.0.1:1', log: () => undefined, ...options };
  const stack: RunningStack = await startStack(given, main);
  t.after(() => stack.stop());
  return stack;
}

test('the parts end in their order, other ends are told, and logs of the last run stay', async (t) => {
  const { dataDir, main, events } = await place(t);
  const exits: string[] = [];
  const stack = await start(t, main, { dataDir, workers: 2, onExit: (name) => void exits.push(name) });
  const [api, scheduler, worker] = stack.processes;
  assert.ok(api !== undefined && scheduler !== undefined && worker !== undefined);
  assert.equal(stack.url, api.url);
  for (const directory of [dataDir, stack.logDir]) assert.equal((await stat(directory)).mode & 0o777, 0o700);
  assert.equal(await readFile(worker.logFile, 'utf8'), 'worker has 3 threads\n');
  assert.equal(await readFile(scheduler.logFile, 'utf8'), 'scheduler has 1 threads\n');

  process.kill(worker.pid, 'SIGKILL');
  await until(() => exits.length > 0, 'the report');
  assert.deepEqual(exits, ['worker-1']);
  await worker.restart();
  const listeners = process.listenerCount('exit');
  const stopping = stack.stop();
  process.kill(api.pid, 'SIGKILL');
  await Promise.all([stopping, stack.stop()]);
  assert.deepEqual(exits, ['worker-1'], 'what ends while the stack stops is not told');
  assert.equal(process.listenerCount('exit'), listeners - 1);
  assert.equal(await readFile(events, 'utf8'), 'worker\nworker\nscheduler\n');
  await assert.rejects(worker.restart(), { code: 'STACK', message: /the stack is stopping/ });

  const again = await start(t, main, { dataDir });
  assert.ok((await readdir(again.logDir)).includes('worker-1.log.old'));
  assert.equal(await readFile(join(again.logDir, 'worker-1.log'), 'utf8'), 'worker has 3 threads\n');
  await again.stop();
  assert.deepEqual((await readFile(events, 'utf8')).split('\n').slice(3), ['worker', 'scheduler', 'api', '']);
});

test('when a part fails the others are not waited for, and nothing is left', async (t) => {
  const { dataDir, main } = await place(t);
  process.env['FAIL'] = '1';
  const began = performance.now();
  const exits: string[] = [];
  await assert.rejects(start(t, main, { dataDir, onExit: (name) => void exits.push(name) }), {
    message: /^scheduler-1 did not start: it ended with exit status 5\. .*\nscheduler has 1 threads$/,
  });
  assert.ok(performance.now() - began < 30_000);
  assert.deepEqual(await processesOf(main), []);
  assert.deepEqual(exits, []);
});

test('a port that another program uses is refused before anything starts', async (t) => {
  const { dataDir, main } = await place(t);
  const other = createServer();
  await new Promise<void>((done) => other.listen(0, '127.0.0.1', done));
  t.after(() => other.close());
  const { port } = other.address() as AddressInfo;
  await assert.rejects(start(t, main, { dataDir, port }), {
    code: 'STACK',
    message: /is in use/,
    hint: /or 0 for any/,
  });
  await assert.rejects(stat(dataDir), { code: 'ENOENT' });
  other.close();
});

test('an interrupted start ends with its reason', async (t) => {
  const { dataDir, main } = await place(t);
  process.env['FAIL'] = '';
  const abort = new AbortController();
  const stack = start(t, main, { dataDir, signal: abort.signal, log: () => undefined });
  abort.abort(new Error('no more'));
  await assert.rejects(stack, /^Error: no more$/);
  assert.deepEqual(await processesOf(main), []);
  assert.equal(await runs(process.pid), true);
});
