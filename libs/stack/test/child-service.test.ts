/** A service as a child process, with a small program in its place: how it starts, ends, and what is told of that. */
import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { runs, temporaryDirectory, until } from '@blindfit/testkit';
import { ChildService, StackError, type ChildServiceOptions } from '../src/child-service.ts';

/**
 * Answers `/readyz` with 503 twice and with 200 from then on; `/die` ends it with status 3. By its environment:
 * SILENT says nothing, STUBBORN ignores SIGTERM, REFUSES ends at once after 20 lines.
 */
const PROGRAM = `
import { createServer } from 'node:http';
const { env } = process;
console.error('started ' + process.argv[2]);
if (env.REFUSES) {
  for (let i = 1; i <= 20; i++) console.error('line ' + i);
  process.exit(4);
}
if (env.STUBBORN) process.on('SIGTERM', () => console.error('not yet'));
let asked = 0;
const server = createServer((request, response) => {
  if (request.url === '/die') process.exit(3);
  response.writeHead(++asked > 2 ? 200 : 503).end(String(asked));
}).listen(Number(env.PORT_OF_TEST ?? 0), '127.0.0.1', () => {
  const url = 'http://127.0.0.1:' + server.address().port;
  if (env.SILENT) return;
  console.log('{"url":"http://127.0.0.1:1"}');
  console.log('no JSON');
  console.log(JSON.stringify({ ready: true, url }));
});
process.on('disconnect', () => process.exit(0));
`;

interface Child {
  readonly service: ChildService;
  /** What was told of ends that nobody asked for. */
  readonly ends: string[];
}

async function child(t: TestContext, options: Partial<ChildServiceOptions> = {}): Promise<Child> {
  const directory = await temporaryDirectory(t);
  const main = join(directory, 'program.mjs');
  await writeFile(main, PROGRAM);
  const ends: string[] = [];
  const service = new ChildService({
    name: 'api',
    command: 'api',
    onExit: (reason) => void ends.push(reason),
    logFile: join(directory, 'api.log'),
    portVariable: 'PORT_OF_TEST',
    main,
    ...options,
    env: { PATH: process.env['PATH'], ...options.env },
  });
  t.after(() => service.kill('SIGKILL'));
  return { service, ends };
}

test('a service is ready when it says so and answers, and keeps its port and its log over restarts', async (t) => {
  const { service, ends } = await child(t);
  assert.deepEqual([service.pid, service.alive, service.url], [0, false, '']);
  await service.start();
  const { pid, url } = service;
  assert.equal(await (await fetch(`${url}/readyz`)).text(), '4', 'it was asked until it answered 200');
  assert.ok(process.kill(-pid, 0), 'a group of its own, which the terminal does not interrupt');
  assert.equal((await stat(service.logFile)).mode & 0o777, 0o600);

  await service.stop();
  assert.deepEqual([service.pid, service.alive, await runs(pid)], [0, false, false]);
  await service.start();
  assert.notEqual(service.pid, pid);
  assert.equal(service.url, url);
  assert.equal(await readFile(service.logFile, 'utf8'), 'started api\n'.repeat(2));
  await service.kill();
  await service.stop();
  assert.ok(!process.getActiveResourcesInfo().includes('Timeout'), 'nothing keeps this process for half a minute');
  assert.deepEqual(ends, [], 'what was asked for is not reported');
});

test('an end that nobody asked for is reported once, also after a signal that ends nothing', async (t) => {
  const { service, ends } = await child(t);
  await service.start();
  await service.kill('SIGSTOP');
  await service.kill('SIGCONT');
  await fetch(`${service.url}/die`).catch(() => undefined);
  await until(() => ends.length > 0, 'the report');
  const log = `The end of its log (${service.logFile}):\nstarted api`;
  assert.deepEqual(ends, [`api ended with exit status 3. ${log}`]);
  await service.start();
  process.kill(service.pid, 'SIGABRT');
  await until(() => ends.length > 1, 'the second report');
  assert.equal(ends[1], `api was ended by SIGABRT. ${log}\nstarted api`);
  await service.start();
  assert.equal(ends.length, 2);
});

test('a start that fails tells the last 15 lines of the log', async (t) => {
  const { service, ends } = await child(t, { name: 'first', env: { REFUSES: '1' } });
  await assert.rejects(service.start(), (error) => {
    assert.ok(error instanceof StackError);
    const lines = Array.from({ length: 15 }, (_, i) => `line ${i + 6}`);
    assert.equal(
      error.message,
      `first did not start: it ended with exit status 4. The end of its log (${service.logFile}):\n${lines.join('\n')}`,
    );
    return true;
  });
  assert.deepEqual(ends, []);
});

test('a start that takes too long, or is interrupted, leaves no process behind', async (t) => {
  const { service } = await child(t, { env: { SILENT: '1', STUBBORN: '1' }, startTimeoutMs: 300 });
  await assert.rejects(service.start(), /^StackError: api did not start: it was not ready within 0.3 s\./);
  assert.equal(service.alive, false);

  const { service: patient } = await child(t, { env: { SILENT: '1', STUBBORN: '1' } });
  const abort = new AbortController();
  const start = patient.start(abort.signal);
  await until(() => patient.alive, 'the process');
  abort.abort(new Error('no more'));
  await assert.rejects(start, /^Error: no more$/);
  assert.equal(patient.alive, false);
});

test('a service that does not end in its time is ended by force', async (t) => {
  const { service, ends } = await child(t, { env: { STUBBORN: '1' }, stopTimeoutMs: 200 });
  await service.start();
  const { pid } = service;
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  await service.stop();
  assert.equal(await runs(pid), false);
  assert.equal(timers(), before);
  assert.match(await readFile(service.logFile, 'utf8'), /not yet/, 'it was asked first');
  assert.deepEqual(ends, []);
});

test('workers leave the processors to the other services', async (t) => {
  const priorities = await Promise.all(
    (['worker', 'scheduler'] as const).map(async (command) => {
      const { service } = await child(t, { command });
      await service.start();
      return getPriority(service.pid) - getPriority();
    }),
  );
  assert.deepEqual(priorities, [5 - getPriority(), 0]);
});
