import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { resolveRedisBinary } from '@blindfit/redis-server';

export interface TestRedis {
  /** Unix socket it listens on. */
  path: string;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** A Redis server of its own for one test; not started yet. */
export async function prepareRedis(t: TestContext, ...options: string[]): Promise<TestRedis> {
  const binary = await resolveRedisBinary();
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-redis-'));
  const path = join(directory, 'socket');
  let child: ChildProcess | undefined;
  const server: TestRedis = {
    path,
    async start() {
      child = spawn(binary, ['--port', '0', '--unixsocket', path, '--dir', directory, '--save', '', ...options], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      if (child.stdout === null) throw new Error('no output to read');
      for await (const chunk of child.stdout.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        if (chunk.includes('ready to accept connections') || chunk.includes('now ready')) break;
      }
      child.stdout.resume();
    },
    async stop() {
      if (child?.exitCode !== null) return;
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
  t.after(async () => {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  });
  return server;
}
