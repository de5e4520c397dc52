/**
 * What finished jobs cost Redis: 10,000 jobs of 600 tasks each, as services record them, and finished entries in the
 * queues; and how long a list of 50 of them takes.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { JOB_OPTIONS, JobStore, openQueue, taskId, type NewJob } from '@blindfit/queue';
import { startRedis } from '@blindfit/redis-server';
import { median, print } from './measure.ts';

const JOBS = 10_000;
const TASKS = 600;
const ITERATIONS = 20;
const CHAINS = 5;
/** Finished tasks that pass through the queue: more than it keeps. */
const ENTRIES = 6_000;

const digest = (n: number): string => `sha256:${n.toString(16).padStart(64, '0')}`;
const digests = (count: number, from: number): string[] => Array.from({ length: count }, (_, i) => digest(from + i));

export async function run(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-retention-'));
  const server = await startRedis({ dataDir: directory, log: () => undefined });
  const redis = new Redis({ ...server.connection, replyMapping: 'legacy', maxRetriesPerRequest: null });
  try {
    // What it costs to wait for the disk is not measured here.
    await redis.config('SET', 'appendfsync', 'no');
    const jobs = new JobStore(redis, '{retention}');
    const memory = async (): Promise<number> =>
      Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]) / 2 ** 20;
    const empty = await memory();
    for (let from = 0; from < JOBS; from += 50)
      await Promise.all(Array.from({ length: 50 }, (_, i) => finishJob(jobs, redis, from + i)));
    const records = (await memory()) - empty;
    await finishTasks(redis);
    const all = (await memory()) - empty;
    const times: number[] = [];
    for (let i = 0; i < 20; i++) {
      const started = performance.now();
      await jobs.list(50);
      times.push(performance.now() - started);
    }
    const rows: [string, string, string][] = [
      ['a finished job of 600 tasks', `${((records * 1024) / JOBS).toFixed(2)} KiB`, 'below 4 kB'],
      [`${JOBS} finished jobs`, `${records.toFixed(1)} MiB`, ''],
      ['with finished entries of the queues', `${all.toFixed(1)} MiB`, 'below 64 MB'],
      ['list of 50 jobs, median of 20', `${median(times).toFixed(1)} ms`, 'below 50 ms'],
    ];
    print('What finished jobs keep in Redis', [['what', 'measured', 'aim'], ...rows]);
  } finally {
    redis.disconnect();
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function finishJob(jobs: JobStore, redis: Redis, n: number): Promise<void> {
  const id = `job-${n.toString(16).padStart(24, '0')}`;
  const job: NewJob = {
    id,
    tenant: 'default',
    name: `training ${n}`,
    signer: `ed25519:${'5'.repeat(64)}`,
    manifest: digest(n),
    shape: { samples: 4096, features: 513, classes: 10 },
    hyperparameters: {
      iterations: ITERATIONS,
      learningRate: 10,
      initialWeight: 0,
      sigmoid: { degree: 3, range: 8, odd: [0.10679534503216294, -0.00038503259805075] },
    },
    parameters: 'N16384-q50.40x6-p50',
    tasksTotal: TASKS,
    levels: 6,
    chains: CHAINS,
  };
  await jobs.create(job);
  await jobs.start(id);
  await jobs.setPlanned(id, []);
  const started = Date.now();
  const operations = { rotations: 12, relinearisations: 3, multiplications: 9, plainMultiplications: 4, rescales: 5 };
  // A task of each kind; of the others only what they leave.
  for (const kind of ['forward', 'backward', 'step']) {
    await jobs.recordTask(id, taskId(id, kind, 1, 0), {
      kind,
      iteration: 1,
      pair: 0,
      operations,
      evaluator: 'native (ifma)',
      startedAt: started,
      finishedAt: started + 321.5,
      loadKeysSeconds: 0.013,
    });
  }
  const marks = Array.from({ length: TASKS - 3 }, (_, i) => [
    `t:${taskId(id, 'backward', i % ITERATIONS, 1 + Math.floor(i / ITERATIONS), 0)}`,
    '1',
  ]);
  const times = Array.from({ length: ITERATIONS }, (_, t) => [
    `start:${t + 1}`,
    started,
    `end:${t + 1}`,
    started + 500,
  ]);
  await redis.hset(jobs.keys.tasks(id), ...marks.flat(), ...times.flat());
  for (let chain = 0; chain < CHAINS; chain++) {
    const answer = {
      id: taskId(id, 'refresh', chain, 3),
      weights: digest(1),
      momentum: digest(2),
      signature: '7'.repeat(128),
      chain,
      iteration: 15,
    };
    const history = digests(5, 100 * n);
    await jobs.setChain(id, chain, undefined, { phase: 'done', segment: 3, history, weights: digest(3), answer });
    await jobs.setIteration(id, chain, ITERATIONS, 1);
  }
  await jobs.setPhase(id, 'aggregating');
  await jobs.succeed(id, digests(2, n));
}

/** Puts tasks through the queue as the scheduler and the workers do. */
async function finishTasks(redis: Redis): Promise<void> {
  const queue = openQueue<unknown>('tasks', redis, '{retention}');
  const outputs = digests(2, 0);
  const connection = redis.duplicate();
  const worker = new Worker(
    'tasks',
    () => Promise.resolve({ outputs, startedAt: Date.now(), finishedAt: Date.now() }),
    {
      connection,
      prefix: '{retention}',
      concurrency: 100,
    },
  );
  let done = 0;
  const finished = new Promise<void>((resolve) => {
    worker.on('completed', () => {
      if (++done === ENTRIES) resolve();
    });
  });
  const data = { job: 'job-000000000000', manifest: digest(1), kind: 'backward', shards: [...Array(16).keys()] };
  for (let from = 0; from < ENTRIES; from += 500)
    await queue.addBulk(
      Array.from({ length: 500 }, (_, i) => ({
        name: 'task',
        data: { ...data, weights: digests(4, from + i) },
        opts: { ...JOB_OPTIONS, jobId: `job-0.backward.${from + i}` },
      })),
    );
  await finished;
  await worker.close();
  await queue.close();
  connection.disconnect();
}
