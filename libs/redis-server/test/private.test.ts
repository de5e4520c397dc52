/** What a private Redis promises: durable writes, no eviction, and nothing that another user could read or reach. */
import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Redis } from 'ioredis';
import { startRedis } from '@blindfit/redis-server';
import { temporaryDirectory } from '@blindfit/testkit';
import { configuration } from '../src/configuration.ts';
import { makeSocketDirectory } from '../src/listen.ts';
import { logTail } from '../src/log.ts';

const modeOf = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8);

test('every write is kept, files and socket are private, and the configuration goes with the server', async (t) => {
  const dataDir = join(await temporaryDirectory(t), 'data');
  // As an earlier run with another umask may have left it.
  await mkdir(join(dataDir, 'run'), { recursive: true });
  await chmod(join(dataDir, 'run'), 0o777);
  const before = process.umask(0);
  t.after(() => process.umask(before));
  const redis = await startRedis({ dataDir, log: () => undefined });
  const { socketPath = '' } = redis;
  const client = new Redis({ ...redis.connection });
  try {
    const setting = async (name: string): Promise<string> =>
      ((await client.call('CONFIG', 'GET', name)) as string[])[1] ?? 'none';
    for (const [name, value] of [
      ['appendonly', 'yes'],
      ['appendfsync', 'always'],
      ['maxmemory-policy', 'noeviction'],
      ['save', ''],
      ['unixsocketperm', '700'],
      ['protected-mode', 'yes'],
    ] as const)
      assert.equal(await setting(name), value, name);
  } finally {
    client.disconnect();
  }
  if (process.platform === 'linux') {
    const fields = (await readFile(`/proc/${redis.pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
    assert.deepEqual(fields.slice(2, 4), [String(redis.pid), String(redis.pid)], 'a group and a session of its own');
  }
  assert.equal(await modeOf(join(dataDir, 'run')), '700');
  assert.equal(await modeOf(socketPath), '700');
  assert.equal(await modeOf(join(dataDir, 'redis.conf')), '600');
  assert.equal(await modeOf(join(dataDir, 'redis.log')), '600');
  await redis.stop();
  await assert.rejects(stat(join(dataDir, 'redis.conf')), { code: 'ENOENT' });
  await assert.rejects(stat(socketPath), { code: 'ENOENT' });
});

test('a path for the socket of 100 bytes is used, a longer one is replaced', async (t) => {
  const base = await temporaryDirectory(t);
  for (const [bytes, isBeside] of [
    [100, true],
    [101, false],
  ] as const) {
    const rest = bytes - Buffer.byteLength(join(base, 'x', 'run', 'redis.sock')) + 1;
    const dataDir = join(base, 'd'.repeat(rest));
    const directory = await makeSocketDirectory(dataDir);
    t.after(() => rm(directory, { recursive: true, force: true }));
    assert.equal(directory === join(dataDir, 'run'), isBeside, `${bytes} bytes`);
    assert.equal(await modeOf(directory), '700');
  }
});

test('the configuration quotes paths, and on a port asks for the password', () => {
  const lines = configuration('/a "b"\\c\nd\te\rf', { host: '127.0.0.1', port: 7, password: 'p' }).split('\n');
  assert.ok(lines.includes('dir "/a \\"b\\"\\\\c\\nd\\te\\rf"'), lines.join(' | '));
  assert.deepEqual(lines.slice(1, 5), ['bind 127.0.0.1', 'port 7', 'requirepass p', 'protected-mode yes']);
});

test('the end of a log is its last fifteen lines', async (t) => {
  const dataDir = await temporaryDirectory(t);
  const lines = Array.from({ length: 20 }, (_, number) => `line ${number}`);
  await writeFile(join(dataDir, 'redis.log'), `${lines.join('\n')}\n`);
  assert.deepEqual((await logTail(dataDir)).split('\n'), lines.slice(5));
  await writeFile(join(dataDir, 'redis.log'), '');
  assert.equal(await logTail(dataDir), '(empty)');
  assert.match(await logTail(join(dataDir, 'none')), /cannot be read/);
});
