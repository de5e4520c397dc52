import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, stat } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { BlindfitClient } from '@blindfit/client';
import type { JobView } from '@blindfit/protocol';
import { JobStore } from '@blindfit/queue';
import { startRedis } from '@blindfit/redis-server';
import { parseRedisUrl } from '@blindfit/service';
import { StackError, startStack, type RunningStack, type StackOptions } from '@blindfit/stack';
import { JOB_FACTS, processesOf, runs, temporaryDirectory, until, withoutSettings } from '@blindfit/testkit';

const PARENT = fileURLToPath(new URL('./parent.ts', import.meta.url));
const CLEAN = withoutSettings(process.env);

// The stack hands its environment on to the services.
for (const name of Object.keys(process.env)) if (!(name in CLEAN)) Reflect.deleteProperty(process.env, name);
process.env['NODE_OPTIONS'] = `${process.env['NODE_OPTIONS'] ?? ''} --no-deprecation`;

async function start(t: TestContext, options: Partial<StackOptions> & { dataDir: string }): Promise<RunningStack> {
  const stack = await startStack({ threads: 1, log: () => undefined, ...options });
  t.after(() => stack.stop());
  return stack;
}

function clientOf(t: TestContext, stack: RunningStack, token = stack.token): BlindfitClient {
  const client = new BlindfitClient({ server: stack.url, token, backoffMs: 50 });
  t.after(() => client.close());
  return client;
}

/** The records of jobs, as the services keep them. */
function storeOf(t: TestContext, redisUrl: string): JobStore {
  const redis = new Redis({ ...parseRedisUrl(redisUrl) });
  redis.on('error', () => undefined); // the server goes first
  t.after(() => redis.disconnect());
  return new JobStore(redis, '{blindfit}');
}

async function status(url: string): Promise<number | undefined> {
  return await fetch(url).then(
    (answer) => answer.status,
    () => undefined,
  );
}

test('a stack comes up, loses and regains its parts, and leaves nothing behind', { timeout: 300_000 }, async (t) => {
  const directory = join(await temporaryDirectory(t), 'da ta');
  const exits: string[] = [];
  const lines: string[] = [];
  const stack = await start(t, {
    dataDir: directory,
    workers: 2,
    log: (line) => void lines.push(line),
    onExit: (name, reason) => void exits.push(name, reason),
  });
  const named = (name: string): RunningStack['processes'][number] => {
    const found = stack.processes.find((each) => each.name === name);
    assert.ok(found !== undefined, name);
    return found;
  };
  const client = clientOf(t, stack);
  const pids = stack.processes.map(({ pid }) => pid);

  await t.test('all parts are ready and the API is protected', async () => {
    assert.deepEqual(
      stack.processes.map(({ name }) => name),
      ['api', 'scheduler-1', 'worker-1', 'worker-2'],
    );
    assert.equal(new Set(pids).size, 4);
    assert.ok((await Promise.all(pids.map(runs))).every(Boolean));
    for (const { url } of stack.processes) assert.equal(await status(`${url}/readyz`), 200, url);
    const { workers, threads } = await client.cluster();
    assert.deepEqual({ workers, threads }, { workers: 2, threads: 2 });
    await assert.rejects(clientOf(t, stack, 'the-wrong-token-of-the-test').cluster(), {
      status: 401,
      hint: /BLINDFIT_TOKEN/,
    });
    assert.equal((await stat(directory)).mode & 0o777, 0o700);
  });

  await t.test('the token shows neither in command lines nor in logs', async () => {
    assert.equal(stack.token.length, 64);
    for (const pid of pids) assert.ok(!(await readFile(`/proc/${pid}/cmdline`, 'utf8')).includes(stack.token));
    for (const name of await readdir(stack.logDir))
      assert.ok(!(await readFile(join(stack.logDir, name), 'utf8')).includes(stack.token), name);
    assert.ok(!lines.join('\n').includes(stack.token));
  });

  await t.test("options of Node reach all services, the API's own beside them", async () => {
    for (const { name, pid } of stack.processes) {
      const [options = ''] = /(?<=^|\0)NODE_OPTIONS=[^\0]*/.exec(await readFile(`/proc/${pid}/environ`, 'utf8')) ?? [];
      assert.match(options, /--no-deprecation$/, name);
      assert.equal(options.includes('--max-semi-space-size=8 '), name === 'api', name);
    }
  });

  await t.test('a killed worker is started again at the same address', async () => {
    const worker = named('worker-1');
    const [{ pid, url }] = [worker];
    await worker.kill('SIGKILL');
    assert.ok(!(await runs(pid)));
    assert.equal(worker.pid, 0);
    assert.equal(await status(`${url}/readyz`), undefined);
    const before = await readFile(worker.logFile, 'utf8');
    await worker.restart();
    assert.ok((await readFile(worker.logFile, 'utf8')).startsWith(before), 'its log goes on');
    assert.equal((await stat(worker.logFile)).mode & 0o777, 0o600);
    assert.equal(worker.url, url);
    assert.notEqual(worker.pid, pid);
    assert.equal(await status(`${url}/readyz`), 200);
    await worker.kill('SIGSTOP');
    await worker.kill('SIGCONT');
    assert.deepEqual(exits, [], 'what was asked for is not reported');
  });

  await t.test('an end nobody asked for is reported with the log', async () => {
    const scheduler = named('scheduler-1');
    process.kill(scheduler.pid, 'SIGKILL');
    await until(() => exits.length > 0, 'the report');
    assert.equal(exits[0], 'scheduler-1');
    assert.match(
      exits[1] as string,
      /^scheduler-1 was ended by SIGKILL\. The end of its log \(.*scheduler-1\.log\):\n.*scheduler/s,
    );
    const log = (await readFile(scheduler.logFile, 'utf8')).trimEnd().split('\n');
    assert.ok(exits[1]?.endsWith(log.slice(-15).join('\n')), 'the end of it, and no more');
    await scheduler.restart();
    assert.equal(await status(`${scheduler.url}/readyz`), 200);
  });

  await t.test('jobs and those who watch them survive a restart of the API', async () => {
    const jobs = storeOf(t, stack.redisUrl);
    await jobs.create({ id: 'job-survivor00000', ...JOB_FACTS });
    const states: JobView['state'][] = [];
    const watching = (async () => {
      for await (const { state } of client.events('job-survivor00000')) states.push(state);
    })();
    await until(() => states.length > 0, 'the first event');
    await named('api').kill('SIGKILL');
    await jobs.start('job-survivor00000');
    await named('api').restart();
    await until(() => states.includes('running'), 'the event after the restart');
    await jobs.fail('job-survivor00000', { code: 'TEST', message: 'on purpose' });
    await watching;
    assert.deepEqual(states, ['queued', 'running', 'failed']);
  });

  await t.test('stop ends everything, and the directory can be used again', async () => {
    const all = await processesOf(directory);
    assert.equal(all.length, 5, 'four services and Redis');
    const reported = exits.length;
    await Promise.all([stack.stop(), stack.stop()]);
    assert.deepEqual(await processesOf(directory), []);
    assert.equal(exits.length, reported, 'what ends because the stack does is not reported');
    assert.equal(await status(`${stack.url}/healthz`), undefined);
    await assert.rejects(named('worker-1').restart(), /the stack is stopping/);

    const ends = new Map<string, string>();
    const again = await start(t, {
      dataDir: directory,
      port: Number(new URL(stack.url).port),
      token: stack.token,
      onExit: (name, reason) => void ends.set(name, reason),
    });
    assert.equal(again.url, stack.url);
    assert.equal((await clientOf(t, again).job('job-survivor00000')).state, 'failed', 'jobs outlive the stack');
    assert.ok((await readdir(again.logDir)).includes('worker-2.log'));

    const redis = Number(await readFile(join(directory, 'redis/redis.pid'), 'utf8'));
    process.kill(redis, 'SIGKILL');
    await until(() => ends.has('redis'), 'the end of Redis');
    const began = performance.now();
    for (const { pid } of again.processes) process.kill(pid, 'SIGTERM');
    await until(() => ends.size === 4, 'the end of all services');
    assert.ok(performance.now() - began < 10_000, 'the time that services have for their end is 25 s');
    for (const { name } of again.processes) assert.match(String(ends.get(name)), /ended with exit status 0\./, name);
    await again.stop();
    assert.deepEqual(await processesOf(directory), []);
  });
});

test('a start that fails tells why and leaves nothing behind', { timeout: 120_000 }, async (t) => {
  const dataDir = join(await temporaryDirectory(t), 'data');
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.after(() => listener.close());
  await assert.rejects(start(t, { dataDir, port: (listener.address() as AddressInfo).port }), (error) => {
    assert.ok(error instanceof StackError);
    assert.match(error.message, /^port \d+ of 127\.0\.0\.1 is in use/);
    return true;
  });
  await assert.rejects(start(t, { dataDir, token: 'too short' }), (error) => {
    assert.ok(error instanceof StackError);
    assert.match(
      error.message,
      /^(api|worker-1|scheduler-1) did not start: it ended with exit status 2\. The end of its log \(.*\.log\):\n[^]*BLINDFIT_TOKEN: the value given is not allowed/,
    );
    assert.ok(!error.message.includes('too short'));
    return true;
  });
  const began = performance.now();
  await assert.rejects(
    start(t, { dataDir, redisUrl: `unix://${dataDir}/none.sock`, signal: AbortSignal.timeout(3000) }),
    { name: 'TimeoutError' },
  );
  assert.ok(performance.now() - began < 20_000, 'services that wait for Redis for half a minute are not waited for');
  assert.deepEqual(await processesOf(dataDir), []);
});

for (const [how, signal] of [
  ['SIGKILL', 'SIGKILL'],
  ['SIGTERM', 'SIGTERM'],
  ['exit', undefined],
] as const) {
  test(`the services end with their program: ${how}`, { timeout: 120_000 }, async (t) => {
    const dataDir = join(await temporaryDirectory(t), 'data');
    const parent = spawn(process.execPath, [PARENT, dataDir, how], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: CLEAN,
    });
    t.after(() => parent.kill('SIGKILL'));
    const ended = once(parent, 'exit');
    const [line] = (await once(createInterface(parent.stdout), 'line')) as [string];
    const { pids } = JSON.parse(line) as { pids: number[] };
    assert.equal(pids.length, 3);
    if (signal !== undefined) parent.kill(signal);
    await ended;
    await until(async () => !(await Promise.all(pids.map(runs))).some(Boolean), 'the services have ended', {
      seconds: 15,
    });
    // Redis is left behind by kill -9 only, and then ended by whoever starts on that directory next.
    if (how === 'SIGKILL') await (await startRedis({ dataDir: join(dataDir, 'redis'), log: () => undefined })).stop();
    await until(async () => (await processesOf(dataDir)).length === 0, 'Redis has ended', { seconds: 15 });
  });
}
