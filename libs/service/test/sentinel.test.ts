/** A master that dies: Sentinels name another one, and the connection follows it. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { resolveRedisBinary } from '@blindfit/redis-server';
import { connectRedis, parseRedisUrl } from '@blindfit/service';
import { freePort, temporaryDirectory } from '@blindfit/testkit';
import { captureLog } from './support.ts';

test('the connection follows a failover', async (t) => {
  const directory = await temporaryDirectory(t);
  const binary = await resolveRedisBinary();
  const [first, second, sentinel] = [await freePort(), await freePort(), await freePort()];
  const children: ChildProcess[] = [];
  const start = (...args: string[]): ChildProcess => {
    const child = spawn(binary, args, { stdio: 'ignore', cwd: directory });
    children.push(child);
    return child;
  };
  t.after(async () => {
    for (const child of children)
      if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await once(child, 'exit');
  });
  const common = ['--bind', '127.0.0.1', '--save', '', '--repl-diskless-sync-delay', '0'];
  const master = start('--port', String(first), ...common);
  start('--port', String(second), '--replicaof', '127.0.0.1', String(first), ...common);
  const config = join(directory, 'sentinel.conf');
  const lines = [
    `port ${sentinel}`,
    'bind 127.0.0.1',
    `sentinel monitor group 127.0.0.1 ${first} 1`,
    'sentinel down-after-milliseconds group 300',
    'sentinel failover-timeout group 3000',
  ];
  await writeFile(config, `${lines.join('\n')}\n`);
  start(config, '--sentinel');
  const { logger } = captureLog();
  // One Sentinel hangs, and one is away: neither hinders, nor is it reported past the log.
  const hanging = createServer().listen(0, '127.0.0.1');
  t.after(() => hanging.close());
  await once(hanging, 'listening');
  const printed = t.mock.method(console, 'error', () => undefined);
  const others = [(hanging.address() as AddressInfo).port, await freePort()].map((port) => `127.0.0.1:${port}`).join();
  const redis = connectRedis(parseRedisUrl(`redis-sentinel://${others},127.0.0.1:${sentinel}/group`), logger);
  t.after(() => redis.disconnect());
  await redis.set('before', 'kept');
  // Sentinels find replicas by asking the master, every ten seconds.
  while (!/connected_slaves:1/.test(await redis.info('replication'))) await sleep(20);
  const watch = connectRedis({ host: '127.0.0.1', port: sentinel }, logger);
  t.after(() => watch.disconnect());
  const replicas = async (): Promise<unknown> => watch.call('SENTINEL', 'REPLICAS', 'group');
  while (((await replicas()) as unknown[]).length === 0) await sleep(100);
  master.kill('SIGKILL');
  await once(master, 'exit');
  // The command waits for the new master; a write to a replica that is no master yet is refused, and tried again.
  for (;;) {
    try {
      await redis.set('after', 'written');
      break;
    } catch {
      await sleep(50);
    }
  }
  assert.deepEqual([await redis.get('before'), await redis.get('after')], ['kept', 'written']);
  assert.match(await redis.info('server'), new RegExp(`tcp_port:${second}\\b`));
  assert.equal(printed.mock.callCount(), 0);
});
