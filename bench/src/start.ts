/** How long services take from nothing to ready: on a host that has to compile the evaluator, and later. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { required } from '@blindfit/base';
import { startRedis } from '@blindfit/redis-server';
import { median, note, print } from './measure.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = join(ROOT, 'cli/src/main.ts');
/** Where a checkout keeps what it has compiled. */
const NATIVE = join(ROOT, '.blindfit/native');
const SERVICES = ['api', 'scheduler', 'scheduler', 'worker', 'worker'] as const;
const LATER_STARTS = 5;
/** What the figures have to keep. Seconds. */
const LIMITS = { first: 40, later: 3 };

export async function run(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-start-'));
  const before = new Set(await compiled());
  const redis = await startRedis({ dataDir: join(directory, 'redis'), log: () => undefined });
  try {
    // A compiler that no build has seen: everything is compiled again.
    const compiler = join(directory, 'c++');
    await writeFile(compiler, '#!/bin/sh\nexec g++ "$@"\n');
    await chmod(compiler, 0o755);
    const env = {
      ...process.env,
      CXX: compiler,
      XDG_CACHE_HOME: join(directory, 'cache'),
      NODE_COMPILE_CACHE: join(directory, 'compile-cache'),
      BLINDFIT_REDIS_URL: redis.url,
      BLINDFIT_STORE: pathToFileURL(join(directory, 'blobs')).href,
      BLINDFIT_TOKEN: 'a-token-of-the-bench-of-starts',
      BLINDFIT_PORT: '0',
      BLINDFIT_METRICS_PORT: '0',
      BLINDFIT_THREADS: '1',
      BLINDFIT_LOG_LEVEL: 'warn',
    };
    const first = await startAll(env);
    const later: number[][] = [];
    for (let i = 0; i < LATER_STARTS; i++) later.push(await startAll(env));
    const mostOf = (times: readonly number[]): string => Math.max(...times).toFixed(2);
    const medians = SERVICES.map((_, service) =>
      median(later.map((times) => required(times[service], 'a time')).toSorted((a, b) => a - b)),
    );
    print('Five services started at once, seconds until ready', [
      ['', ...SERVICES, 'all'],
      ['first start, compiler included', ...first.map((time) => time.toFixed(2)), mostOf(first)],
      [`later starts, median of ${LATER_STARTS}`, ...medians.map((time) => time.toFixed(2)), mostOf(medians)],
      [
        'later starts, most',
        ...SERVICES.map((_, i) => mostOf(later.map((times) => required(times[i], 'a time')))),
        mostOf(later.flat()),
      ],
    ]);
    note([`limits: all ready within ${LIMITS.first} s at the first start, within ${LIMITS.later} s later`]);
  } finally {
    await redis.stop();
    await rm(directory, { recursive: true, force: true });
    for (const name of await compiled())
      if (!before.has(name)) await rm(join(NATIVE, name), { recursive: true, force: true });
  }
}

async function compiled(): Promise<string[]> {
  return await readdir(NATIVE).catch(() => []);
}

/** Starts all services at once, and stops them. @returns seconds until each was ready, in their order */
async function startAll(env: NodeJS.ProcessEnv): Promise<number[]> {
  const began = performance.now();
  const children = SERVICES.map((service) =>
    spawn(process.execPath, [MAIN, service, '--ready-json'], { env, stdio: ['ignore', 'pipe', 'inherit'] }),
  );
  try {
    return await Promise.all(
      children.map(async (child, i) => {
        await ready(child, SERVICES[i]);
        return (performance.now() - began) / 1000;
      }),
    );
  } finally {
    await Promise.all(children.map(stop));
  }
}

async function ready(child: ChildProcess, name: string | undefined): Promise<void> {
  if (child.stdout === null) throw new Error('a service without an output');
  for await (const line of createInterface(child.stdout)) if (line.includes('"ready":true')) return;
  throw new Error(`${String(name)} ended before it was ready`);
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}
