import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { defined, digestOf, parseDigest } from '@blindfit/base';
import { signingKey } from '@blindfit/base/signature';
import { FileBlobStore } from '@blindfit/blobs';
import { wrap, type WireFields } from '@blindfit/he';
import { canonicalJson, type TrainingManifest } from '@blindfit/protocol';
import { JobStore, openQueue, type ChainPayload, type JobPayload } from '@blindfit/queue';
import { startRedis, type RunningRedis } from '@blindfit/redis-server';
import { createLogger, parseRedisUrl, type RunningService } from '@blindfit/service';
import { temporaryDirectory } from '@blindfit/testkit';
import {
  choosePlan,
  DEFAULT_HYPERPARAMETERS,
  type Hyperparameters,
  type JobShape,
  type Plan,
  type PlanRequest,
} from '@blindfit/training';
import { startApi, type StartApiOptions } from '../src/start.ts';

/** Signs for the owner of all jobs of the tests. */
export const OWNER = signingKey(new Uint8Array(32).fill(7));

export const TOKEN = 'correct-horse-battery-staple';
export const BEARER = { authorization: `Bearer ${TOKEN}` };

let shared: Promise<RunningRedis> | undefined;
let sharedDirectory: string | undefined;
let prefixes = 0;

/** One Redis for all tests of a file that leave it alone. */
export function sharedRedis(): Promise<RunningRedis> {
  shared ??= (async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'blindfit-api-redis-'));
    sharedDirectory = dataDir;
    return startRedis({ dataDir, log: () => undefined });
  })();
  return shared;
}

// Here, because within a test it would be the end of that test.
after(async () => {
  await (await shared)?.stop();
  if (sharedDirectory !== undefined) await rm(sharedDirectory, { recursive: true, force: true });
});

export interface CallInit {
  method?: string;
  body?: string | Uint8Array<ArrayBuffer>;
  headers?: Record<string, string>;
}

/** A running API, and the other side of what it stands on: what a scheduler would see and change. */
export interface Service {
  api: RunningService;
  url: string;
  storeDirectory: string;
  store: FileBlobStore;
  redis: Redis;
  jobs: JobStore;
  queue: Queue<JobPayload>;
  chains: Queue<ChainPayload>;
  options: StartApiOptions;
  /** With the token. */
  call(path: string, init?: CallInit): Promise<Response>;
  submit(manifest: unknown, key?: string): Promise<Response>;
}

export async function startService(t: TestContext, options: Partial<StartApiOptions> = {}): Promise<Service> {
  const storeDirectory = await temporaryDirectory(t);
  const redisUrl = options.redisUrl ?? (await sharedRedis()).url;
  const queuePrefix = `{api-test-${prefixes++}}`;
  const all: StartApiOptions = {
    storeUrl: pathToFileURL(storeDirectory).href,
    token: TOKEN,
    port: 0,
    queuePrefix,
    tenantDefaults: { runningJobs: 16, jobs: 1000 },
    logger: createLogger({ service: 'api', level: 'silent' }),
    ...options,
    redisUrl,
  };
  const api = await startApi(all);
  const redis = new Redis({ ...parseRedisUrl(redisUrl), replyMapping: 'legacy', maxRetriesPerRequest: null });
  redis.on('error', () => undefined);
  const jobs = new JobStore(redis, queuePrefix);
  const queue = openQueue<JobPayload>('jobs', redis, queuePrefix);
  const chains = openQueue<ChainPayload>('chains', redis, queuePrefix);
  for (const each of [queue, chains]) each.on('error', () => undefined);
  t.after(async () => {
    await api.close();
    await Promise.all([queue.close(), chains.close()]);
    redis.disconnect();
  });
  const call: Service['call'] = (path, init = {}) =>
    fetch(api.url + path, { ...init, headers: { ...BEARER, ...init.headers } });
  return {
    api,
    url: api.url,
    storeDirectory,
    store: ownedStore(await FileBlobStore.open(storeDirectory, { durable: false }), jobs),
    redis,
    jobs,
    queue,
    chains,
    options: all,
    call,
    submit: (manifest, key) =>
      call('/v1/jobs', {
        method: 'POST',
        body: typeof manifest === 'string' ? manifest : JSON.stringify(manifest),
        headers: defined({ 'content-type': 'application/json', 'idempotency-key': key }),
      }),
  };
}

/** What tests put into the store is the default tenant's, as if it had been uploaded. */
function ownedStore(store: FileBlobStore, jobs: JobStore): FileBlobStore {
  const put = store.put.bind(store);
  store.put = async (digest, ...rest) => {
    const result = await put(digest, ...rest);
    await jobs.blobs.add('default', [digest]);
    return result;
  };
  return store;
}

export interface TestJob {
  plan: Plan;
  manifest: TrainingManifest;
}

/** Puts a blob into the store. @returns its digest */
export async function putBlob(store: FileBlobStore, bytes: Uint8Array): Promise<string> {
  const digest = digestOf(bytes);
  await store.put(digest, bytes);
  return digest;
}

/** A job whose blobs have the right headers and noise behind them: the API looks at headers only. */
export async function makeJob(
  store: FileBlobStore,
  overrides: Partial<Hyperparameters> = {},
  shape: JobShape = { samples: 100, features: 5, classes: 3 },
  request: Partial<PlanRequest> = {},
): Promise<TestJob> {
  const plan = choosePlan({
    shape,
    hyperparameters: { ...DEFAULT_HYPERPARAMETERS, iterations: 1, ...overrides },
    ...request,
  });
  const blob = (fields: WireFields): Promise<string> => putBlob(store, wrap(plan.parameters, fields, randomBytes(500)));
  const grid = (columns: number, fields: WireFields): Promise<string[][]> =>
    Promise.all(
      Array.from({ length: plan.layout.shards }, () =>
        Promise.all(Array.from({ length: columns }, () => blob(fields))),
      ),
    );
  const { layout, hyperparameters } = plan;
  const manifest: TrainingManifest = {
    format: 'blindfit-job/1',
    name: 'a test',
    signer: OWNER.name,
    parameters: { ...plan.parameters.toJSON(), dataBits: [...plan.parameters.dataBits] },
    shape: { ...shape },
    block: { rows: layout.rows, columns: layout.columns, turns: layout.turns },
    grouping: { ...plan.grouping },
    schedule: { ...plan.schedule },
    hyperparameters: {
      ...hyperparameters,
      sigmoid: { ...hyperparameters.sigmoid, odd: [...hyperparameters.sigmoid.odd] },
    },
    blobs: {
      features: await grid(layout.cells, { kind: 'ciphertext', ...plan.features }),
      gradientFeatures: await grid(layout.cells, { kind: 'ciphertext', ...plan.gradientFeatures }),
      labels: await grid(layout.pairs, { kind: 'ciphertext', ...plan.labels }),
      relinearisationKey: await blob({ kind: 'relinearisation-key' }),
      galoisKeys: Object.fromEntries(
        await Promise.all(
          plan.steps.map(async (step) => [String(step), await blob({ kind: 'galois-key', step })] as const),
        ),
      ),
    },
  };
  return { plan, manifest };
}

/** The manifest as the API must have stored it. */
export async function storedManifest(
  store: FileBlobStore,
  manifest: TrainingManifest,
): Promise<{ digest: string; text: string }> {
  const digest = digestOf(new TextEncoder().encode(canonicalJson(manifest)));
  return { digest, text: Buffer.from(await store.get(parseDigest(digest))).toString() };
}
