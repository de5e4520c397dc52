/** A cluster that strangers share: small jobs behind large and many ones, /healthz under hostile requests. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { at, parseDigest, required } from '@blindfit/base';
import { FileBlobStore } from '@blindfit/blobs';
import { BlindfitClient } from '@blindfit/client';
import { train } from '@blindfit/owner';
import { directoryKeys } from '@blindfit/owner/node';
import { isFinal, readTrainingManifest, type JobView, type TrainingManifest } from '@blindfit/protocol';
import { startStack, type RunningStack } from '@blindfit/stack';
import { DEFAULT_HYPERPARAMETERS, planOf } from '@blindfit/training';
import { median, note, print } from './measure.ts';
import { dataOf } from './soak.ts';

const THREADS = 2;
const ROUNDS = 9;
const BIG_TASKS = 5_000;
const MANY_JOBS = 2_000;
const STREAMS = 2_000;
const OWNER = ['submit', 'read', 'cancel', 'blobs'] as const;

/** /healthz and the memory of the API while one tenant sends what it should not. */
export function hostile(): Promise<void> {
  return onStack(async ({ operator, stack, b, manifest }) => health(operator, stack, b, manifest));
}

/** A small job of one tenant behind many tasks and many jobs of another. */
export function fairness(): Promise<void> {
  return onStack(async ({ operator, a, b, manifest }) => measureFairness(operator, a, b, manifest));
}

interface Scene {
  readonly operator: BlindfitClient;
  readonly stack: RunningStack;
  readonly a: BlindfitClient;
  readonly b: BlindfitClient;
  readonly manifest: TrainingManifest;
}

async function onStack(body: (scene: Scene) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-bench-'));
  const stack = await startStack({ dataDir: join(directory, 'data'), threads: THREADS, log: () => undefined });
  const operator = new BlindfitClient({ server: stack.url, token: stack.token });
  try {
    const a = await clientOf(operator, stack, 'a');
    const b = await clientOf(operator, stack, 'b');
    const manifest = await manifestOf(b, join(directory, 'data', 'blobs'), join(directory, 'keys'));
    await copyBlobs(manifest, join(directory, 'data', 'blobs'), a);
    await body({ operator, stack, a, b, manifest });
    await Promise.all([a.close(), b.close()]);
  } finally {
    await operator.close();
    await stack.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function clientOf(operator: BlindfitClient, stack: RunningStack, tenant: string): Promise<BlindfitClient> {
  const { token } = await operator.createToken({ tenant, scopes: [...OWNER] });
  return new BlindfitClient({ server: stack.url, token });
}

/** Trains a small job once, for its keys and blobs. */
export async function manifestOf(client: BlindfitClient, blobs: string, keys: string): Promise<TrainingManifest> {
  let id = '';
  await train(client, {
    data: dataOf(128, 16, 2),
    hyperparameters: { ...DEFAULT_HYPERPARAMETERS, iterations: 2 },
    keys: directoryKeys(keys),
    onSubmitted: (job) => {
      id = job.id;
    },
  });
  const store = await FileBlobStore.open(blobs);
  const bytes = await store.get(parseDigest((await client.job(id)).manifest));
  return readTrainingManifest(JSON.parse(new TextDecoder().decode(bytes)));
}

/** Makes the blobs of a manifest those of another tenant as well. */
async function copyBlobs(manifest: TrainingManifest, blobs: string, client: BlindfitClient): Promise<void> {
  const store = await FileBlobStore.open(blobs);
  const digests = new Set(JSON.stringify(manifest.blobs).match(/sha256:[0-9a-f]{64}/g));
  for (const digest of digests) await client.putBlob(digest, await store.get(parseDigest(digest)));
}

async function finish(client: BlindfitClient, id: string): Promise<JobView> {
  let last: JobView | undefined;
  for await (const view of client.events(id)) last = view;
  return required(last, 'the last view');
}

/** Seconds from the submission of a small job to its end. */
async function small(client: BlindfitClient, manifest: TrainingManifest): Promise<number> {
  const started = performance.now();
  const { state } = await finish(client, (await client.submit(manifest)).id);
  if (state !== 'succeeded') throw new Error(`a small job has ${state}`);
  return (performance.now() - started) / 1000;
}

async function rounds(client: BlindfitClient, manifest: TrainingManifest): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) times.push(await small(client, manifest));
  return median(times);
}

/** The same shards again and again: as many tasks as are asked for, from a small manifest. */
function bigManifest(manifest: TrainingManifest, tasks: number): TrainingManifest {
  const { turns = 1, rows } = manifest.block;
  const { features, gradientFeatures, labels } = manifest.blobs;
  // Two iterations from a start at zero: a forward and two backward tasks for each shard and block.
  for (let shards = Math.ceil(tasks / 4); ; shards += 100) {
    const repeat = (grid: string[][]): string[][] => Array.from({ length: shards }, () => at(grid, 0, 'shards'));
    const big: TrainingManifest = {
      ...manifest,
      name: 'large',
      shape: { ...manifest.shape, samples: shards * rows * turns },
      grouping: { ...manifest.grouping, shardsPerTask: 1 },
      blobs: {
        ...manifest.blobs,
        features: repeat(features),
        gradientFeatures: repeat(gradientFeatures),
        labels: repeat(labels),
      },
    };
    const { plan } = planOf(big);
    if (plan.tasks >= tasks) return big;
  }
}

async function measureFairness(
  operator: BlindfitClient,
  a: BlindfitClient,
  b: BlindfitClient,
  manifest: TrainingManifest,
): Promise<void> {
  await rounds(b, manifest);
  const lone = await rounds(b, manifest);
  const { id, progress } = await a.submit(bigManifest(manifest, BIG_TASKS));
  for await (const view of a.events(id)) if (view.progress.tasksDone > 2 * THREADS) break;
  const behindTasks = await rounds(b, manifest);
  const during = await a.job(id);
  if (isFinal(during.state)) throw new Error('the large job is over');
  const task = (await a.usage()).computeSeconds.used / during.progress.tasksDone;
  await operator.cancel(id);

  const started = performance.now();
  const ids: string[] = [];
  for (let from = 0; from < MANY_JOBS; from += 16)
    ids.push(...(await Promise.all(Array.from({ length: 16 }, () => a.submit(manifest)))).map((job) => job.id));
  const rate = MANY_JOBS / ((performance.now() - started) / 1000);
  const behindJobs = await rounds(b, manifest);
  const usage = await a.usage();
  const row = (name: string, seconds: number): string[] => [name, seconds.toFixed(3), (seconds / lone).toFixed(2)];
  print(`A small job of one tenant behind the work of another, ${THREADS} threads, medians of ${ROUNDS}`, [
    ['in front', 'seconds to the end', '/ alone'],
    row('nothing', lone),
    row(`${progress.tasksTotal} tasks of one job`, behindTasks),
    row(`${MANY_JOBS} jobs`, behindJobs),
  ]);
  note([
    `limit: three times alone and a running task of ${(task * 1000).toFixed(0)} ms: ${(3 * lone + task).toFixed(3)} s`,
    `submissions: ${rate.toFixed(0)} a second, while jobs ran`,
    `jobs of the other tenant that had not ended at the end: ${usage.jobs.used}, ${usage.runningJobs.used} of them ran`,
  ]);
}

/** Asks /healthz from a thread, so that only the API is measured. */
const PROBE = `
const { parentPort, workerData } = require('node:worker_threads');
let worst = 0; let stopped = false;
parentPort.on('message', () => { stopped = true; });
(async () => {
  while (!stopped) {
    const started = performance.now();
    await fetch(workerData + '/healthz').then((answer) => answer.text()).catch(() => undefined);
    worst = Math.max(worst, performance.now() - started);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  parentPort.postMessage(worst);
})();`;

async function worstDuring(stack: RunningStack, body: () => Promise<unknown>): Promise<[ms: number, mib: number]> {
  const probe = new Worker(PROBE, { eval: true, workerData: stack.url });
  const pid = required(
    stack.processes.find(({ name }) => name === 'api'),
    'the API',
  ).pid;
  let peak = 0;
  const watch = setInterval(() => {
    readFile(`/proc/${pid}/status`, 'utf8').then(
      (status) => (peak = Math.max(peak, Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024)),
      () => undefined,
    );
  }, 50);
  await body();
  clearInterval(watch);
  const worst = new Promise<number>((resolve) => probe.once('message', resolve));
  probe.postMessage('stop');
  const milliseconds = await worst;
  await probe.terminate();
  return [milliseconds, peak];
}

async function health(
  operator: BlindfitClient,
  stack: RunningStack,
  owner: BlindfitClient,
  manifest: TrainingManifest,
): Promise<void> {
  const { token } = await operator.createToken({ tenant: 'hostile', scopes: [...OWNER] });
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const post = (body: string) => async (): Promise<void> => {
    for (let i = 0; i < 3; i++)
      await fetch(`${stack.url}/v1/jobs`, { method: 'POST', headers, body }).then(
        (answer) => answer.text(),
        () => undefined,
      );
  };
  const keys = Object.fromEntries(Array.from({ length: 1_000_000 }, (_, i) => [`key${i}`, i]));
  const cases: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['nothing', () => new Promise((resolve) => setTimeout(resolve, 2_000))],
    ['[[[[..., 20 million deep', post('['.repeat(20_000_000))],
    ['[[[[..., 15 million deep', post('['.repeat(15_000_000))],
    ['15 MB of small objects', post(`[${'{},'.repeat(5_000_000)}{}]`)],
    ['a million wrong rotation keys', post(JSON.stringify({ blobs: { galoisKeys: keys } }))],
    ['one string of 15 MB', post(JSON.stringify('x'.repeat(15_000_000)))],
    ['100,000 digests in one grid', post(gridOf(manifest, 100_000))],
    ['8 large manifests at once', () => Promise.all(Array.from({ length: 8 }, post(gridOf(manifest, 100_000))))],
    [`${STREAMS} streams of all jobs, while jobs run`, () => streams(stack, owner, manifest)],
  ];
  const rows: string[][] = [];
  for (const [name, body] of cases) {
    const [worst, memory] = await worstDuring(stack, body);
    rows.push([name, worst.toFixed(0), memory.toFixed(0)]);
  }
  print('The API under hostile requests', [['request', 'worst /healthz ms', 'API peak MiB'], ...rows]);
}

function gridOf(manifest: TrainingManifest, digests: number): string {
  const digest = at(at(manifest.blobs.features, 0, 'shards'), 0, 'cells');
  const features = Array.from({ length: digests / 10 }, () => Array<string>(10).fill(digest));
  return JSON.stringify({ ...manifest, blobs: { ...manifest.blobs, features } });
}

async function streams(stack: RunningStack, owner: BlindfitClient, manifest: TrainingManifest): Promise<void> {
  const aborter = new AbortController();
  let [opened, refused, bytes] = [0, 0, 0];
  // The one token whose streams are not limited.
  const open = async (): Promise<void> => {
    const answer = await fetch(`${stack.url}/v1/jobs/events`, {
      headers: { authorization: `Bearer ${stack.token}` },
      signal: aborter.signal,
    });
    if (answer.status !== 200) {
      refused++;
      return;
    }
    opened++;
    void answer.body
      ?.pipeTo(new WritableStream({ write: (chunk: Uint8Array) => void (bytes += chunk.length) }))
      .catch(() => undefined);
  };
  for (let i = 0; i < STREAMS; i += 50)
    await Promise.all(Array.from({ length: 50 }, () => open().catch(() => refused++)));
  for (let i = 0; i < 5; i++) await small(owner, manifest);
  aborter.abort();
  note([`streams: ${opened} opened, ${refused} refused, ${(bytes / 1e6).toFixed(1)} MB read`]);
}
