/** Shared by the tests: a Redis of their own, and jobs and tasks as the services record them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { Redis } from 'ioredis';
import { startRedis, type RunningRedis } from '@blindfit/redis-server';
import { JOB_FACTS } from '@blindfit/testkit';
import { JobStore, type NewJob, type TaskRecord } from '../src/index.ts';

let directory: string;
let server: RunningRedis;
let connection: Redis;
let count = 0;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'blindfit-jobs-'));
  server = await startRedis({ dataDir: directory, log: () => undefined });
  connection = new Redis({ ...server.connection, replyMapping: 'legacy' });
});

after(async () => {
  connection.disconnect();
  await server.stop();
  await rm(directory, { recursive: true, force: true });
});

/** Connected while tests run. */
export const redis = (): Redis => connection;

/** An empty one. */
export const newStore = (): JobStore => new JobStore(connection, `{jobs-test-${count++}}`);

/** The number of jobs in each state that some job is in. */
export async function jobsByState(jobs: JobStore): Promise<Record<string, number>> {
  const { byState } = await jobs.index.counts();
  return Object.fromEntries([...byState].filter(([, count]) => count > 0));
}

export function newJob(id: string, overrides: Partial<NewJob> = {}): NewJob {
  return { id, ...JOB_FACTS, ...overrides };
}

export function record(
  kind: string,
  startedAt: number,
  finishedAt: number,
  overrides: Partial<TaskRecord> = {},
): TaskRecord {
  const operations = { rotations: 10, relinearisations: 1, multiplications: 2, plainMultiplications: 3, rescales: 4 };
  return { kind, iteration: 1, operations, startedAt, finishedAt, loadKeysSeconds: 0, ...overrides };
}
