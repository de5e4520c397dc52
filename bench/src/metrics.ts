/** The time of a scrape of every service with a thousand jobs in the system. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { required } from '@blindfit/base';
import { AWAITING, JobStore } from '@blindfit/queue';
import { parseRedisUrl, variables } from '@blindfit/service';
import { startStack } from '@blindfit/stack';
import { DEFAULT_HYPERPARAMETERS } from '@blindfit/training';
import { median, ms, print } from './measure.ts';

const JOBS = 1000;
const SCRAPES = 50;
const DIGEST = `sha256:${'0'.repeat(64)}`;

export async function run(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-bench-'));
  const stack = await startStack({ dataDir: join(directory, 'data'), threads: 1, log: () => undefined });
  const redis = new Redis({ ...parseRedisUrl(stack.redisUrl), replyMapping: 'legacy' });
  try {
    const jobs = new JobStore(redis, required(variables.queuePrefix.default, 'prefix')(process.env));
    const targets = stack.processes.map(({ name, url }) => ({ name, url: `${url}/metrics` }));
    const rows = [['median, max ms of a scrape', 'no jobs', `${JOBS} jobs`]];
    const before = new Map<string, string>();
    for (const { name, url } of targets) before.set(name, await scrapes(url, stack.token));
    await seed(jobs);
    const all = [
      ...targets,
      { name: 'api, jobs as targets', url: `${stack.url}/metrics/jobs` },
      { name: 'api, one job', url: `${stack.url}/metrics/jobs/job-bench-0` },
    ];
    for (const { name, url } of all) rows.push([name, before.get(name) ?? '-', await scrapes(url, stack.token)]);
    print(
      `Metrics: ${SCRAPES} scrapes each; ${JOBS / 4} jobs each await a refresh, succeeded, failed, or were cancelled`,
      rows,
    );
  } finally {
    redis.disconnect();
    await stack.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

/** Makes jobs with recorded tasks, a quarter in each of four states that the scheduler leaves alone. */
async function seed(jobs: JobStore): Promise<void> {
  const operations = { rotations: 1, relinearisations: 1, multiplications: 1, plainMultiplications: 1, rescales: 1 };
  const request = { id: '0'.repeat(32), chain: 0, iteration: 1, weights: DIGEST, since: new Date().toISOString() };
  const { sigmoid } = DEFAULT_HYPERPARAMETERS;
  const hyperparameters = { ...DEFAULT_HYPERPARAMETERS, sigmoid: { ...sigmoid, odd: [...sigmoid.odd] } };
  for (let i = 0; i < JOBS; i++) {
    const id = `job-bench-${i}`;
    const shape = { samples: 128, features: 401, classes: 10 };
    await jobs.create({
      id,
      tenant: 'default',
      signer: `ed25519:${'0'.repeat(64)}`,
      manifest: DIGEST,
      shape,
      hyperparameters,
      parameters: 'N16384',
      tasksTotal: 100,
      levels: 6,
      chains: 1,
    });
    await jobs.start(id);
    for (let task = 0; task < 10; task++) {
      await jobs.recordTask(id, `${id}.${task}`, {
        kind: 'forward',
        iteration: 1,
        pair: 0,
        startedAt: Date.now() - 500,
        finishedAt: Date.now(),
        loadKeysSeconds: 0,
        operations,
      });
    }
    await jobs.setPlanned(id, []);
    await jobs.setChain(id, 0, undefined, { phase: AWAITING, segment: 0, history: [], request });
    if (i % 4 === 1) await jobs.succeed(id, [DIGEST]);
    if (i % 4 === 2) await jobs.fail(id, { code: 'JOB_FAILED', message: 'for the bench' });
    if (i % 4 === 3) await jobs.cancel(id);
  }
}

/** @returns the median and the largest time in milliseconds */
async function scrapes(url: string, token: string): Promise<string> {
  const times: number[] = [];
  for (let i = 0; i <= SCRAPES; i++) {
    const started = performance.now();
    const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
    await response.text();
    if (!response.ok) throw new Error(`${url} answered ${response.status}`);
    // The first one makes the connection.
    if (i > 0) times.push(performance.now() - started);
  }
  return `${ms(median(times))}, ${ms(Math.max(...times))}`;
}
