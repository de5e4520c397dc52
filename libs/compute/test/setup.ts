/** What tests share: a job whose blobs are in a real store, and a driver that runs the program of the job. */
import assert from 'node:assert/strict';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Worker } from 'node:worker_threads';
import { at, digestOf, parseDigest, valueOf, type Digest } from '@blindfit/base';
import { FileBlobStore } from '@blindfit/blobs';
import { addOperations, noOperations, type OperationCounts, type Ring } from '@blindfit/he';
import { resolveEvaluator, type ResolvedEvaluator } from '@blindfit/he/native';
import { encryptJob, manifestFor, RefreshSession, stepBound, type TrainingSet, type Keyset } from '@blindfit/owner';
import { openKeyset } from '@blindfit/owner/node';
import { canonicalJson, type BackwardTask, type TrainingManifest, type TaskResult } from '@blindfit/protocol';
import {
  bind,
  choosePlan,
  DEFAULT_HYPERPARAMETERS,
  derivePlan,
  fitSigmoid,
  layoutOf,
  stepsOf,
  trainClear,
  type BlockShape,
  type Grouping,
  type Hyperparameters,
  type JobShape,
  type Plan,
  type RefreshWork,
  type Schedule,
} from '@blindfit/training';
import { TaskError, ThreadPool, type PoolOptions, type ThreadStatistics } from '../src/index.ts';
import { noStatistics } from '../src/session.ts';

/** A directory with a store, which vanishes. */
export interface Place extends AsyncDisposable {
  readonly path: string;
  readonly store: FileBlobStore;
  readonly storeUrl: string;
}

export async function makePlace(): Promise<Place> {
  const path = await mkdtemp(join(tmpdir(), 'blindfit-compute-'));
  const store = await FileBlobStore.open(join(path, 'blobs'));
  return {
    path,
    store,
    storeUrl: pathToFileURL(store.root).href,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

/** Two iterations with 128-bit security in the small ring: a straight line for a sigmoid saves the levels. */
export function smallPlan(samples = 40, features = 20, classes = 3): Plan {
  return planFor(samples, features, classes, { sigmoid: fitSigmoid(1, 8) }, 8192, 1e-2);
}

/** A job with a constant start, which takes another kind of task. */
export function constantStartPlan(): Plan {
  return planFor(40, 20, 3, { iterations: 1, initialWeight: 0.0128 }, 8192, 1e-2);
}

export function planFor(
  samples: number,
  features: number,
  classes: number,
  hyperparameters: Partial<Hyperparameters>,
  ring: Ring,
  precision = 1e-5,
): Plan {
  return choosePlan({
    shape: { samples, features, classes },
    hyperparameters: { ...DEFAULT_HYPERPARAMETERS, ...hyperparameters },
    ring,
    precision,
  });
}

/**
 * Like {@link planFor}, with block, schedule and grouping set by hand.
 * @param grouping @default one task for everything, a chain for every pair
 */
export function planWith(
  shape: JobShape,
  hyperparameters: Partial<Hyperparameters>,
  ring: Ring,
  block: BlockShape,
  schedule: Schedule,
  grouping: Partial<Grouping> = {},
): Plan {
  const all: Hyperparameters = { ...DEFAULT_HYPERPARAMETERS, ...hyperparameters };
  const { parameters } = choosePlan({ shape, hyperparameters: all, ring, precision: 1e-1, ...schedule });
  const layout = layoutOf(block, shape.samples, shape.features, shape.classes, all.batch?.size);
  return derivePlan(
    parameters,
    block,
    shape,
    all,
    { blocksPerTask: layout.blocks, shardsPerTask: layout.shardsPerBatch, pairsPerChain: 1, ...grouping },
    schedule,
  );
}

/** Standardised-looking features behind a bias column, with classes that differ. */
export function dataFor({ layout: { samples, features, classes } }: Plan): TrainingSet {
  let state = 99;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  const x = Float64Array.from({ length: samples * features }, (_, at) => {
    const [i, j] = [Math.floor(at / features), at % features];
    return j === 0 ? 1 : random() + (j % classes === i % classes ? 0.5 : 0);
  });
  const labels = Array.from({ length: classes }, (_, k) =>
    Float64Array.from({ length: samples }, (_unused, i) => (i % classes === k ? 1 : 0)),
  );
  return { x, samples, features, labels };
}

export interface Job extends Disposable {
  readonly plan: Plan;
  readonly keyset: Keyset;
  readonly store: FileBlobStore;
  readonly data: TrainingSet;
  readonly manifest: TrainingManifest;
  /** The digest of the stored manifest. */
  readonly digest: Digest;
  /** Weights of the clear twin. */
  readonly clear: readonly Float64Array[];
}

/** Keys that tests share where the keys are not what they are about: making them takes longer than most of the rest. */
export const SHARED_KEYS = fileURLToPath(new URL('../../../.blindfit/test-keys', import.meta.url));

/** Keys, encrypted data and the manifest, all in the store. @param keys the keyset's directory */
export async function makeJob(place: Place, plan: Plan, keys = SHARED_KEYS): Promise<Job> {
  const data = dataFor(plan);
  const keyset = await openKeyset({ directory: keys, plan, create: true });
  const blobs = await encryptJob(keyset, plan, data, {
    store: async ({ digest, bytes }) => {
      await place.store.put(digest, bytes);
    },
  });
  for (const { digest, path } of [keyset.relinearisationKey, ...keyset.galoisKeys.values()])
    await place.store.put(digest, await readFile(path));
  const manifest = manifestFor(plan, blobs, keyset);
  const { weights } = trainClear(data.x, data.samples, data.features, data.labels, plan.hyperparameters);
  return {
    plan,
    keyset,
    store: place.store,
    data,
    manifest,
    digest: await putManifest(place, manifest),
    clear: weights,
    [Symbol.dispose]: () => keyset[Symbol.dispose](),
  };
}

export async function putManifest(place: Place, manifest: TrainingManifest): Promise<Digest> {
  return putBytes(place, new TextEncoder().encode(canonicalJson(manifest)));
}

export async function putBytes(place: Place, bytes: Uint8Array): Promise<Digest> {
  const digest = digestOf(bytes);
  await place.store.put(digest, bytes);
  return digest;
}

/** Changes one bit of a file in place, also for those who have it mapped. */
export function flipBit(path: string, byte: number, bit: number): void {
  const file = openSync(path, 'r+');
  const one = Buffer.alloc(1);
  readSync(file, one, 0, 1, byte);
  writeSync(file, Buffer.of(at(one, 0, 'bytes') ^ (1 << bit)), 0, 1, byte);
  closeSync(file);
}

/** What a worker here would use. */
export const HERE = await resolveEvaluator();
/** The reference, for tests of what is special about it. */
export const SEAL: ResolvedEvaluator = { kind: 'seal', why: 'the test asks for it' };
/** Every evaluator there is here. */
export const EVALUATORS: readonly ResolvedEvaluator[] = HERE.kind === 'native' ? [SEAL, HERE] : [SEAL];

export interface Watched extends AsyncDisposable {
  readonly pool: ThreadPool;
  /** Sums of what threads reported; `heapBytes` is the last level. */
  readonly statistics: ThreadStatistics;
}

/** @param entry another module for the threads than the pool's own */
export function makePool(place: Place, options: Partial<PoolOptions> = {}, entry?: URL): Watched {
  const statistics = noStatistics();
  const pool = new ThreadPool(
    {
      storeUrl: place.storeUrl,
      cacheDirectory: join(place.path, 'cache'),
      cacheBytes: 2 ** 30,
      keyBytes: 2 ** 30,
      threads: 1,
      evaluator: HERE,
      onStatistics: (_thread, delta) => {
        for (const name of Object.keys(statistics) as (keyof ThreadStatistics)[]) {
          if (name !== 'levelsWritten' && name !== 'storeCalls')
            statistics[name] = name === 'heapBytes' ? delta[name] : statistics[name] + delta[name];
        }
        for (const [level, count] of delta.levelsWritten.entries()) {
          const { [level]: written = 0 } = statistics.levelsWritten;
          statistics.levelsWritten[level] = written + count;
        }
      },
      ...options,
    },
    entry,
  );
  return { pool, statistics, [Symbol.asyncDispose]: () => pool.close() };
}

/** The threads that are started while `body` runs: Node announces every one. */
export async function threadsOf<T>(body: () => Promise<T>): Promise<{ result: T; threads: Worker[] }> {
  const threads: Worker[] = [];
  const listen = (worker: Worker): void => void threads.push(worker);
  process.on('worker', listen);
  try {
    const result = await body();
    await nextTurn(); // the announcement comes a little later
    return { result, threads };
  } finally {
    process.off('worker', listen);
  }
}

/** The first task that needs keys and data of this job: the gradient of the first pair of classes. */
export function firstTask({ plan, digest }: Pick<Job, 'plan' | 'digest'>): BackwardTask {
  const { layout } = plan;
  const all = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
  return {
    kind: 'backward',
    job: 'job-000000000000',
    manifest: digest,
    iteration: 1,
    pair: 0,
    shards: all(layout.shards),
    blocks: all(layout.blocks),
  };
}

export interface Trained {
  /** Packed model, by digest. */
  readonly models: readonly string[];
  /** Results of every task in the order of the plan. */
  readonly outputs: readonly (readonly string[])[];
  readonly operations: OperationCounts;
}

/** Runs the program of a job on a pool, one step after the other. Its owner answers every refresh at once. */
export async function trainOn(pool: ThreadPool, job: Job): Promise<Trained> {
  const { plan, digest: manifest } = job;
  const session = new RefreshSession(job.keyset, plan, stepBound(job.data, plan.hyperparameters));
  const read = (digest: string): Promise<Uint8Array> => job.store.get(parseDigest(digest));
  const refresh = async ({ chain, iteration, weights, previous }: RefreshWork<string>): Promise<string[]> => {
    const published = previous === undefined ? undefined : await read(previous);
    const answer = session.answer({ chain, iteration }, await read(weights), published);
    for (const { digest, bytes } of [answer.weights, answer.momentum]) await job.store.put(digest, bytes);
    return [answer.weights.digest, answer.momentum.digest];
  };
  const results = new Map<string, readonly string[]>();
  const outputs: (readonly string[])[] = [];
  let operations = noOperations();
  for (const step of stepsOf(plan)) {
    const work = bind(step, (id) => valueOf(results, id, 'results'));
    if (work.kind === 'refresh') {
      results.set(step.id, await refresh(work));
      continue;
    }
    const result: TaskResult = await pool.run({ job: 'job-000000000000', manifest, ...work });
    results.set(step.id, result.outputs);
    outputs.push(result.outputs);
    operations = addOperations(operations, result.operations);
  }
  return { models: at(outputs, outputs.length - 1, 'outputs'), outputs, operations };
}

/** The error of a task that must fail. */
export async function rejection(promise: Promise<unknown>): Promise<TaskError> {
  const error: unknown = await promise.then(
    () => assert.fail('it should have been rejected'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof TaskError, String(error));
  return error;
}

/** Largest absolute difference; NaN counts as infinite. */
export function largestError(actual: readonly ArrayLike<number>[], expected: readonly ArrayLike<number>[]): number {
  let error = actual.length === expected.length ? 0 : Infinity;
  for (const [k, row] of expected.entries()) {
    if (actual[k]?.length !== row.length) return Infinity;
    for (let j = 0; j < row.length; j++) {
      const difference = Math.abs(at(actual[k], j, 'values') - at(row, j, 'values'));
      error = Math.max(error, Number.isNaN(difference) ? Infinity : difference);
    }
  }
  return error;
}
