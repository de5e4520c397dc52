import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Queue, QueueEvents, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { required } from '@blindfit/base';
import { processInfo } from '@blindfit/base/node';
import {
  resolveRedisBinary,
  RedisStartError,
  startRedis,
  type RunningRedis,
  type StartRedisOptions,
} from '@blindfit/redis-server';

const PARENT = fileURLToPath(new URL('./parent.ts', import.meta.url));
const binary = await resolveRedisBinary();

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-test-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function start(t: TestContext, dataDir: string, more: Partial<StartRedisOptions> = {}): Promise<RunningRedis> {
  const redis = await startRedis({ dataDir, binary, log: () => undefined, ...more });
  t.after(() => redis.stop());
  return redis;
}

/** Runs `work` with a client of its own. */
async function withClient<T>(redis: Pick<RunningRedis, 'connection'>, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis({ ...redis.connection });
  try {
    return await work(client);
  } finally {
    client.disconnect();
  }
}

async function goneSoon(pid: number): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (processInfo(pid) !== undefined) {
    assert.ok(Date.now() < deadline, `process ${pid} still runs`);
    await sleep(20);
  }
}

test('keeps acknowledged writes over kill -9 of the server', async (t) => {
  const dataDir = join(await temporaryDirectory(t), 'not', 'there', 'yet');
  const first = await start(t, dataDir);
  await withClient(first, async (client) => {
    for (const [name, value] of [
      ['appendonly', 'yes'],
      ['appendfsync', 'always'],
      ['save', ''],
      ['maxmemory-policy', 'noeviction'],
    ] as const) {
      assert.deepEqual(await client.call('CONFIG', 'GET', name), [name, value]);
    }
    await client.set('key', 'value');
  });
  process.kill(first.pid, 'SIGKILL');
  assert.match(
    required(await first.exited, 'the reason'),
    /^Redis was ended by SIGKILL\. The end of its log \(.*redis\.log\):\n.*ready to accept connections/is,
  );
  await first.stop();

  const second = await start(t, dataDir);
  assert.equal(await withClient(second, (client) => client.get('key')), 'value');
  await Promise.all([second.stop(), second.stop()]);
  assert.equal(await second.exited, undefined);
  assert.deepEqual(
    (await readdir(dataDir)).sort(),
    ['appendonlydir', 'redis.log', 'redis.log.old'],
    'no socket, lock or password is left',
  );
});

test('serves BullMQ', async (t) => {
  const redis = await start(t, join(await temporaryDirectory(t), 'data'));
  const connection = { ...redis.connection, maxRetriesPerRequest: null };
  const queue = new Queue<number>('squares', { connection, prefix: '{blindfit}' });
  const events = new QueueEvents('squares', { connection, prefix: '{blindfit}' });
  const worker = new Worker<number, number>('squares', (job) => Promise.resolve(job.data ** 2), {
    connection,
    prefix: '{blindfit}',
  });
  await events.waitUntilReady();
  const job = await queue.add('square', 12);
  assert.equal(await job.waitUntilFinished(events), 144);
  await Promise.all([worker.close(), events.close(), queue.close()]);
});

test('listens on a private socket only, wherever the data directory is', async (t) => {
  const base = await temporaryDirectory(t);
  for (const name of [`odd "name" with 100% #signs? and 'é'`, 'a-long-name-'.repeat(12)]) {
    await t.test(name, async (t) => {
      const redis = await start(t, join(base, name));
      const { socketPath } = redis;
      assert.ok(socketPath !== undefined && Buffer.byteLength(socketPath) <= 100);
      for (const directory of [dirname(socketPath), join(base, name)])
        assert.equal((await stat(directory)).mode & 0o777, 0o700);
      assert.deepEqual(redis.connection, { path: socketPath });
      assert.match(redis.url, /^unix:\/\/\/[^ "?#]+\?db=0$/);
      assert.equal(decodeURIComponent(new URL(redis.url).pathname), socketPath);
      assert.deepEqual(await withClient(redis, (client) => client.call('CONFIG', 'GET', 'port')), ['port', '0']);
      await redis.stop();
      await assert.rejects(stat(dirname(socketPath)), { code: 'ENOENT' });
    });
  }
});

test('listens on loopback TCP with a password when asked to', async (t) => {
  const redis = await start(t, join(await temporaryDirectory(t), 'data'), { tcp: true });
  assert.ok('port' in redis.connection && redis.socketPath === undefined);
  const { host, port, password } = redis.connection;
  assert.equal(host, '127.0.0.1');
  assert.equal(redis.url, `redis://:${password}@127.0.0.1:${port}/0`);
  assert.ok(password.length >= 32);
  assert.deepEqual(await withClient(redis, (client) => client.call('CONFIG', 'GET', 'bind')), ['bind', '127.0.0.1']);

  const stranger = new Redis({ host, port, enableReadyCheck: false, retryStrategy: () => null });
  stranger.on('error', () => undefined);
  await assert.rejects(stranger.get('key'), /NOAUTH/);
  stranger.disconnect();
});

test('tells why the server ended while starting, and leaves the directory usable', async (t) => {
  const dataDir = join(await temporaryDirectory(t), 'data');
  await mkdir(join(dataDir, 'appendonlydir'), { recursive: true });
  await writeFile(join(dataDir, 'appendonlydir/appendonly.aof.manifest'), 'garbage\n');
  await assert.rejects(start(t, dataDir), (error) => {
    assert.ok(error instanceof RedisStartError);
    assert.match(
      error.message,
      /^Redis ended with exit status 1\. The end of its log \(.*redis\.log\):\n.*AOF manifest/s,
    );
    return true;
  });
  await rm(join(dataDir, 'appendonlydir'), { recursive: true });
  const redis = await start(t, dataDir);
  assert.equal(await withClient(redis, (client) => client.ping()), 'PONG');
});

test('tells when the program cannot be started or dislikes its configuration', async (t) => {
  const dataDir = join(await temporaryDirectory(t), 'data');
  await assert.rejects(start(t, dataDir, { binary: '/nonexistent/redis-server' }), /could not be started: .*ENOENT/);
  await assert.rejects(
    start(t, dataDir, { binary: '/bin/cat' }),
    /Redis ended with exit status 0.*appendfsync always/s,
  );
});

test('refuses a data directory that is in use', async (t) => {
  const dataDir = join(await temporaryDirectory(t), 'data');
  const redis = await start(t, dataDir);
  await assert.rejects(start(t, dataDir), (error) => {
    assert.ok(error instanceof RedisStartError);
    assert.match(
      error.message,
      new RegExp(`in use by process ${process.pid}\\b.*stop that process or choose another directory`),
    );
    return true;
  });
  assert.equal(await withClient(redis, (client) => client.ping()), 'PONG');

  await redis.stop();
  const results = await Promise.allSettled([start(t, dataDir), start(t, dataDir), start(t, dataDir)]);
  assert.equal(
    results.filter(({ status }) => status === 'fulfilled').length,
    1,
    'one of several that start at once wins',
  );
});

test('a pid file that names somebody else is no reason to stop them', async (t) => {
  const dataDir = join(await temporaryDirectory(t), 'data');
  await mkdir(dataDir);
  const bystander = spawn('sleep', ['600']);
  t.after(() => bystander.kill());
  await writeFile(join(dataDir, 'redis.pid'), `${bystander.pid ?? 0}\n`);
  // The same id, long ago.
  await writeFile(join(dataDir, 'redis.lock'), JSON.stringify({ pid: bystander.pid, started: '1' }));
  const redis = await start(t, dataDir);
  assert.equal(await withClient(redis, (client) => client.ping()), 'PONG');
  assert.equal(bystander.exitCode ?? bystander.signalCode, null);
});

async function runParent(t: TestContext, mode: string, dataDir: string) {
  const parent = spawn(process.execPath, [PARENT, mode, dataDir, binary], { stdio: ['ignore', 'pipe', 'ignore'] });
  const exit = once(parent, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  t.after(() => parent.kill('SIGKILL'));
  const lines = createInterface(parent.stdout);
  const [line] = (await once(lines, 'line')) as [string];
  const { pid, connection } = JSON.parse(line) as Pick<RunningRedis, 'pid' | 'connection'>;
  t.after(() => goneSoon(pid)); // whatever happens above, nothing stays behind
  return { parent, exit, pid, connection };
}

test('ends with its program', async (t) => {
  const directory = await temporaryDirectory(t);
  for (const [mode, signal, ending] of [
    ['return', undefined, [0, null]],
    ['exit', undefined, [3, null]],
    ['throw', undefined, [1, null]],
    ['wait', 'SIGINT', [null, 'SIGINT']],
    ['wait', 'SIGTERM', [null, 'SIGTERM']],
    ['wait', 'SIGHUP', [null, 'SIGHUP']],
  ] as const) {
    await t.test(signal ?? mode, async (t) => {
      const dataDir = join(directory, signal ?? mode);
      const { parent, exit, pid } = await runParent(t, mode, dataDir);
      if (signal !== undefined) parent.kill(signal);
      assert.deepEqual(await exit, ending);
      await goneSoon(pid);
      assert.ok(!(await readdir(dataDir)).includes('run'), 'no socket is left');
    });
  }
});

test('lets a program with its own signal handler finish first', async (t) => {
  const dataDir = join(await temporaryDirectory(t), 'data');
  const { parent, exit, pid } = await runParent(t, 'own-handler', dataDir);
  parent.kill('SIGINT');
  assert.deepEqual(await exit, [5, null]);
  await goneSoon(pid);
  const redis = await start(t, dataDir);
  assert.equal(await withClient(redis, (client) => client.get('written')), 'after SIGINT');
});

test('stops what a killed program left behind', async (t) => {
  const dataDir = join(await temporaryDirectory(t), 'data');
  const { parent, exit, pid, connection } = await runParent(t, 'wait', dataDir);
  await withClient({ connection }, (client) => client.set('key', 'value'));
  parent.kill('SIGKILL');
  await exit;
  assert.ok(processInfo(pid) !== undefined, 'the server outlives a killed program');

  const lines: string[] = [];
  const redis = await start(t, dataDir, { log: (line) => void lines.push(line) });
  assert.equal(processInfo(pid), undefined);
  assert.deepEqual(lines, [`Stopping the Redis (process ${pid}) that an earlier run left behind in ${dataDir}`]);
  assert.equal(await withClient(redis, (client) => client.get('key')), 'value');
});
