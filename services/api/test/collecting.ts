/** What tests of the collector share: a service with a collector that works when it is told to, and aged blobs. */
import assert from 'node:assert/strict';
import { utimes } from 'node:fs/promises';
import type { TestContext } from 'node:test';
import { Registry } from 'prom-client';
import { parseDigest, type Digest } from '@blindfit/base';
import { readTrainingManifest, type JobView, type TrainingManifest } from '@blindfit/protocol';
import { createLogger } from '@blindfit/service';
import { expectedBlobs, trainingPlanOf } from '@blindfit/training';
import { startCollector, type Collector } from '../src/collector.ts';
import { addCollectorMetrics } from '../src/metrics.ts';
import { putBlob, startService, type Service } from './service.ts';
import { randomBlob } from './support.ts';

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

interface LogLine {
  level: string;
  msg: string;
  [field: string]: unknown;
}

export interface Setup {
  service: Service;
  collector: Collector;
  log: LogLine[];
  /** The value of a metric, undefined where there is no sample. */
  metric: (name: string) => Promise<number | undefined>;
}

/** An API, and a collector on its store that works when it is told to. */
export async function setup(
  t: TestContext,
  times: { firstMs?: number; intervalMs?: number; retentionMs?: number; recordRetentionMs?: number } = {},
): Promise<Setup> {
  const service = await startService(t, { retentionMs: Infinity });
  const registry = new Registry();
  const log: LogLine[] = [];
  const logger = createLogger({
    service: 'test',
    level: 'debug',
    destination: { write: (line: string) => void log.push(JSON.parse(line) as LogLine) },
  });
  const { store, redis, jobs } = service;
  const collector = startCollector({
    store,
    redis,
    jobs,
    prefix: service.options.queuePrefix ?? '',
    retentionMs: DAY,
    logger,
    metrics: addCollectorMetrics(registry),
    ...times,
  });
  t.after(() => collector.close());
  const metric = async (name: string): Promise<number | undefined> => {
    const line = (await registry.metrics()).split('\n').find((each) => each.startsWith(`${name} `));
    return line === undefined ? undefined : Number(line.split(' ')[1]);
  };
  return { service, collector, log, metric };
}

/** Submits a job and gives it a past. */
export async function submitAged(service: Service, manifest: TrainingManifest, ageMs: number): Promise<JobView> {
  const response = await service.submit(manifest);
  assert.equal(response.status, 201);
  const job = (await response.json()) as JobView;
  await service.redis.hset(service.jobs.keys.job(job.id), 'createdAt', Date.now() - ageMs);
  return job;
}

export async function age({ store }: Service, digests: Iterable<string>, ageMs: number): Promise<void> {
  const time = new Date(Date.now() - ageMs);
  for (const digest of digests) await utimes(store.pathOf(parseDigest(digest)), time, time);
}

export async function all({ store }: Service): Promise<Set<string>> {
  return new Set((await Array.fromAsync(store.list())).map(({ digest }) => digest));
}

/** Stores blobs nobody but their maker knows. */
export async function intermediates({ store }: Service, count: number): Promise<Digest[]> {
  const digests: Digest[] = [];
  for (let i = 0; i < count; i++) {
    const { bytes, digest } = randomBlob(1000);
    await putBlob(store, bytes);
    digests.push(digest);
  }
  return digests;
}

export const inputsOf = (manifest: TrainingManifest): string[] => [
  ...new Set(expectedBlobs(trainingPlanOf(readTrainingManifest(manifest))).map(({ digest }) => digest)),
];
