/** Everyday outages under running jobs, one after another: jobs lost, hands needed, results that differ. */
import { mkdir, mkdtemp, open, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { at, messageOf, required } from '@blindfit/base';
import { BlindfitClient } from '@blindfit/client';
import { isFinal, type JobView, type TrainingManifest } from '@blindfit/protocol';
import { connectRedis, createLogger, parseRedisUrl } from '@blindfit/service';
import { startStack, type RunningStack, type StackProcess } from '@blindfit/stack';
import { note, print } from './measure.ts';
import { manifestOf } from './strangers.ts';

/** Of each kind. */
const ROUNDS = 4;
const KILLS = 200;
/** How long an outage lasts. Milliseconds. */
const LASTS_MS = 5_000;
/** Jobs that run at a time. */
const JOBS = 2;
/** A job that has not ended so long after the last fault needs a hand. Milliseconds. */
const PATIENCE_MS = 180_000;

interface Scene {
  readonly stack: RunningStack;
  readonly client: BlindfitClient;
  readonly redis: Redis;
  readonly named: (prefix: string) => StackProcess[];
}

type Fault = (scene: Scene) => Promise<void>;

const FAULTS: Readonly<Record<string, Fault>> = {
  'worker killed': restarted('worker'),
  'scheduler killed': restarted('scheduler'),
  'API killed': restarted('api'),
  'API rolled': async ({ named }) => at(named('api'), 0, 'APIs').restart(),
  'worker rolled': async ({ named }) => one(named('worker')).restart(),
  'API away': async ({ named }) => {
    const api = at(named('api'), 0, 'APIs');
    await api.kill();
    await sleep(LASTS_MS);
    await api.restart();
  },
  'worker frozen': frozen('worker'),
  'scheduler frozen': frozen('scheduler'),
  'Redis frozen': async ({ redis }) => {
    const pid = await pidOf(redis);
    process.kill(pid, 'SIGSTOP');
    await sleep(LASTS_MS);
    process.kill(pid, 'SIGCONT');
  },
  'Redis killed': async ({ stack, redis }) => {
    process.kill(await pidOf(redis), 'SIGKILL');
    await sleep(LASTS_MS);
    await stack.restartRedis();
  },
  'Redis OOM': async ({ redis }) => {
    await redis.config('SET', 'maxmemory', '1');
    await sleep(LASTS_MS);
    await redis.config('SET', 'maxmemory', '0');
  },
  'Redis READONLY': async ({ redis }) => {
    await redis.config('SET', 'replica-serve-stale-data', 'yes');
    await redis.replicaof('127.0.0.1', 1);
    await sleep(LASTS_MS);
    await redis.replicaof('NO', 'ONE');
  },
  'Redis MISCONF': async ({ stack, redis }) => {
    // A directory in the place of its file: no snapshot can be saved.
    const dump = join(stack.dataDir, 'redis', 'dump.rdb');
    await rm(dump, { force: true });
    await mkdir(dump);
    await redis.config('SET', 'save', '3600 1');
    await redis.bgsave();
    await sleep(LASTS_MS);
    await redis.config('SET', 'save', '');
    await rmdir(dump);
  },
  'store away': async ({ stack }) => {
    const blobs = join(stack.dataDir, 'blobs');
    await rename(blobs, `${blobs}.away`);
    await sleep(LASTS_MS);
    // A service may have made an empty one.
    await rm(blobs, { recursive: true, force: true });
    await rename(`${blobs}.away`, blobs);
  },
  'cache damaged': async ({ stack }) => {
    for (const file of await filesIn(join(stack.dataDir, 'cache'))) await flipBit(file);
  },
};

function restarted(prefix: string): Fault {
  return async ({ named }) => {
    const process_ = one(named(prefix));
    await process_.kill();
    await process_.restart();
  };
}

function frozen(prefix: string): Fault {
  return async ({ named }) => {
    const process_ = one(named(prefix));
    await process_.kill('SIGSTOP');
    await sleep(LASTS_MS);
    await process_.kill('SIGCONT');
  };
}

function one<T>(list: readonly T[]): T {
  return at(list, Math.floor(Math.random() * list.length), 'choices');
}

async function pidOf(redis: Redis): Promise<number> {
  return Number(required(/process_id:(\d+)/.exec(await redis.info('server'))?.[1], 'the process of Redis'));
}

async function filesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

async function flipBit(path: string): Promise<void> {
  await using file = await open(path, 'r+');
  const { size } = await file.stat();
  if (size === 0) return;
  const byte = new Uint8Array(1);
  const position = Math.floor(Math.random() * size);
  await file.read(byte, 0, 1, position);
  byte[0] = at(byte, 0, 'bytes') ^ (1 << Math.floor(Math.random() * 8));
  await file.write(byte, 0, 1, position);
}

export async function run(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-bench-'));
  const stack = await startStack({
    dataDir: join(directory, 'data'),
    threads: 1,
    workers: 2,
    schedulers: 2,
    log: () => undefined,
  });
  const client = new BlindfitClient({ server: stack.url, token: stack.token, patienceMs: PATIENCE_MS });
  const redis = connectRedis(parseRedisUrl(stack.redisUrl), createLogger({ service: 'bench', level: 'silent' }));
  if (!(redis instanceof Redis)) throw new Error('the stack has a single Redis');
  try {
    const manifest = await manifestOf(client, join(directory, 'data', 'blobs'), join(directory, 'keys'));
    const named = (prefix: string): StackProcess[] => stack.processes.filter(({ name }) => name.startsWith(prefix));
    const jobs = new Jobs(client, manifest);
    await jobs.reference();
    jobs.start();
    const rows: string[][] = [];
    for (const [kind, fault] of Object.entries(FAULTS)) {
      const before = jobs.counts;
      for (let round = 0; round < ROUNDS; round++) {
        await fault({ stack, client, redis, named });
        await jobs.next();
      }
      rows.push([kind, String(ROUNDS), ...difference(before, jobs.counts)]);
      process.stderr.write(`${rows.at(-1)?.join('  ')}\n`);
    }
    const before = jobs.counts;
    for (let kill = 0; kill < KILLS; kill++) {
      const process_ = one(stack.processes);
      await process_.kill();
      await process_.restart();
    }
    rows.push(['kill -9 at random', String(KILLS), ...difference(before, jobs.counts)]);
    await jobs.stop();
    print(`Faults under ${JOBS} running jobs; an outage lasts ${LASTS_MS / 1000} s`, [
      ['fault', 'times', 'jobs ended', 'lost', 'other bytes'],
      ...rows,
    ]);
    note([`jobs in all: ${jobs.counts.ended}, lost: ${jobs.counts.lost}, with other bytes: ${jobs.counts.other}`]);
  } finally {
    redis.disconnect();
    await client.close();
    await stack.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

interface Counts {
  readonly ended: number;
  readonly lost: number;
  readonly other: number;
}

function difference(before: Counts, after: Counts): string[] {
  return [after.ended - before.ended, after.lost - before.lost, after.other - before.other].map(String);
}

/** The same job again and again, a few at a time. */
class Jobs {
  readonly #client: BlindfitClient;
  readonly #manifest: TrainingManifest;
  #expected = '';
  #counts: Counts = { ended: 0, lost: 0, other: 0 };
  #stopped = false;
  #lanes: readonly Promise<void>[] = [];
  #waiting: (() => void)[] = [];

  constructor(client: BlindfitClient, manifest: TrainingManifest) {
    this.#client = client;
    this.#manifest = manifest;
  }

  get counts(): Counts {
    return this.#counts;
  }

  /** Runs the job once, undisturbed. */
  async reference(): Promise<void> {
    this.#expected = resultOf(await this.#finish());
  }

  start(): void {
    this.#lanes = Array.from({ length: JOBS }, async () => {
      while (!this.#stopped)
        await this.#runOne().catch((error: unknown) => {
          process.stderr.write(`${messageOf(error)}\n`);
          this.#counts = { ...this.#counts, lost: this.#counts.lost + 1 };
        });
    });
  }

  /** Resolves when each of the jobs that run now, and one more, has ended. @throws Error when they need a hand */
  async next(): Promise<void> {
    const aborter = new AbortController();
    for (let i = 0; i < JOBS; i++) {
      const ended = new Promise<void>((resolve) => this.#waiting.push(resolve));
      const late = sleep(PATIENCE_MS, undefined, { signal: aborter.signal }).then(() => {
        throw new Error('a job needs a hand: none has ended for too long');
      });
      await Promise.race([ended, late]);
    }
    aborter.abort();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#lanes);
  }

  async #runOne(): Promise<void> {
    const view = await this.#finish();
    const lost = view.state === 'succeeded' ? 0 : 1;
    if (lost === 1) process.stderr.write(`${view.id} ${view.state}: ${JSON.stringify(view.error)}\n`);
    const other = lost === 0 && resultOf(view) !== this.#expected ? 1 : 0;
    const { ended, lost: lostBefore, other: otherBefore } = this.#counts;
    this.#counts = { ended: ended + 1, lost: lostBefore + lost, other: otherBefore + other };
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  async #finish(): Promise<JobView> {
    const { id } = await this.#client.submit(this.#manifest);
    let last: JobView | undefined;
    for await (const view of this.#client.events(id)) last = view;
    const view = required(last, 'the last view');
    if (!isFinal(view.state)) throw new Error(`${id} has not ended`);
    return view;
  }
}

function resultOf({ result }: JobView): string {
  return required(result, 'the result').models.join(' ');
}
