/** Three pods of the component redis-sentinel as processes: the scripts of the config map, on addresses of loopback. */
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { at } from '@blindfit/base';
import { resolveRedisBinary } from '@blindfit/redis-server';
import { freePort } from '@blindfit/testkit';
import { ROOT } from './support.ts';

export const SCRIPTS = 'deploy/kubernetes/components/redis-sentinel';
const PASSWORD = '0123456789abcdef';

/** A directory with `redis-server` and `redis-cli` of one release; undefined where there is no redis-cli. */
async function programs(directory: string): Promise<string | undefined> {
  const server = await resolveRedisBinary();
  const library = join(dirname(server), 'root/usr/lib/x86_64-linux-gnu');
  const own = join(dirname(server), 'root/usr/bin/redis-cli');
  const path = (process.env['PATH'] ?? '').split(delimiter).map((each) => join(each, 'redis-cli'));
  const cli = [own, join(dirname(server), 'redis-cli'), ...path].find((each) => existsSync(each));
  if (cli === undefined) return undefined;
  const bin = join(directory, 'bin');
  await mkdir(bin);
  const wrappers = { 'redis-server': server, 'redis-cli': cli };
  for (const [name, program] of Object.entries(wrappers)) {
    const set = cli === own ? `LD_LIBRARY_PATH='${library}' ` : '';
    await writeFile(join(bin, name), `#!/bin/sh\n${set}exec '${program}' "$@"\n`);
    await chmod(join(bin, name), 0o755);
  }
  return bin;
}

/** A pod: its two containers, which restart when they end, as long as it is there. */
class Pod {
  readonly host: string;
  readonly #env: NodeJS.ProcessEnv;
  #children: ChildProcess[] = [];
  #log = '';

  constructor(host: string, env: NodeJS.ProcessEnv) {
    this.host = host;
    this.#env = env;
  }

  get log(): string {
    return this.#log;
  }

  start(): void {
    for (const script of ['redis.sh', 'sentinel.sh']) {
      const child = spawn(
        'sh',
        [join(String(this.#env['SCRIPTS']), script), '--bind', this.host, ...this.#port(script)],
        {
          env: this.#env,
          stdio: ['ignore', 'pipe', 'pipe'],
        },
      );
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => (this.#log += chunk.toString()));
      this.#children.push(child);
    }
  }

  #port(script: string): string[] {
    return script === 'redis.sh' ? ['--port', String(this.#env['REDIS_PORT'])] : [];
  }

  /** As Kubernetes ends a pod: Sentinel has no hook and goes at once, Redis after its own. */
  async end(): Promise<void> {
    const [redis, sentinel] = this.#children;
    sentinel?.kill('SIGTERM');
    assert.equal(await this.script('stop.sh'), 0);
    redis?.kill('SIGTERM');
    await this.#gone();
  }

  async kill(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    await this.#gone();
  }

  async #gone(): Promise<void> {
    const children = this.#children;
    this.#children = [];
    for (const child of children) if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }

  /** Runs a script of the pod. @returns its exit status */
  async script(name: string): Promise<unknown> {
    const child = spawn('sh', [join(String(this.#env['SCRIPTS']), name)], { env: this.#env, stdio: 'ignore' });
    const [status] = (await once(child, 'exit')) as [number | null];
    return status;
  }

  /** How many replicas the Sentinel of this pod knows; it asks the master every ten seconds. */
  get replicas(): number {
    const text = this.cli('-p', String(this.#env['SENTINEL_PORT']), 'sentinel', 'master', 'blindfit');
    return Number(/^num-slaves\n(\d+)$/m.exec(text)?.[1]);
  }

  /** What redis-cli prints. */
  cli(...args: string[]): string {
    const target = ['-h', this.host, '-p', String(this.#env['REDIS_PORT'])];
    return spawnSync('redis-cli', [...target, ...args], { env: this.#env, encoding: 'utf8', timeout: 5_000 }).stdout;
  }

  get role(): string {
    return at(this.cli('role').split('\n'), 0, 'lines');
  }
}

export interface RedisGroup {
  readonly pods: readonly Pod[];
  readonly url: string;
  stop(): Promise<void>;
}

/** @returns undefined where there is no redis-cli */
export async function startRedisGroup(directory: string): Promise<RedisGroup | undefined> {
  const bin = await programs(directory);
  if (bin === undefined) return undefined;
  const hosts = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];
  const [redisPort, sentinelPort] = [String(await freePort()), String(await freePort())];
  const pods = await Promise.all(
    hosts.map(async (host) => {
      const data = join(directory, host);
      await mkdir(data);
      const scripts = join(data, 'scripts');
      await cp(join(ROOT, SCRIPTS), scripts, { recursive: true });
      const config = await readFile(join(scripts, 'redis.conf'), 'utf8');
      assert.match(config, /^dir \/data$/m);
      await writeFile(
        join(scripts, 'redis.conf'),
        `${config.replace('dir /data', `dir ${data}`)}\nrepl-diskless-sync-delay 0\n`,
      );
      return new Pod(host, {
        PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}`,
        SCRIPTS: scripts,
        DATA: data,
        SELF: host,
        PEERS: hosts.join(' '),
        REDIS_PASSWORD: PASSWORD,
        REDISCLI_AUTH: PASSWORD,
        REDIS_PORT: redisPort,
        SENTINEL_PORT: sentinelPort,
        FIRST_START_SECONDS: '1',
        DOWN_AFTER_MS: '3000',
        FAILOVER_TIMEOUT_MS: '6000',
      });
    }),
  );
  const sentinels = hosts.map((host) => `${host}:${sentinelPort}`).join();
  return {
    pods,
    url: `redis-sentinel://:${PASSWORD}@${sentinels}/blindfit?sentinel-password=${PASSWORD}`,
    stop: async () => {
      await Promise.all(pods.map((pod) => pod.kill()));
    },
  };
}

/** Waits until one is the master, the others have caught up with it, and all Sentinels know them. */
export async function settled(pods: readonly Pod[]): Promise<Pod> {
  for (let tries = 0; tries < 120; tries++) {
    const [master, ...others] = pods.filter((pod) => pod.role === 'master');
    if (master !== undefined && others.length === 0 && pods.every((pod) => pod.replicas >= pods.length - 1)) {
      const ready = await Promise.all(pods.map(async (pod) => (await pod.script('ready.sh')) === 0));
      if (ready.every((each) => each)) return master;
    }
    await sleep(500);
  }
  throw new Error(
    `no single master: ${pods.map((pod) => `${pod.host} ${pod.role}\n${pod.log.slice(-2000)}`).join('\n')}`,
  );
}
