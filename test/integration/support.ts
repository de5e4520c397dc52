/** Shared by the integration tests: a real stack of real processes, and a small job at real parameters. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BlindfitClient } from '@blindfit/client';
import { encryptJob, manifestFor, type TrainingSet, type Keyset } from '@blindfit/owner';
import { openKeyset } from '@blindfit/owner/node';
import { isFinal, type JobView, type TrainingManifest } from '@blindfit/protocol';
import { startStack, type RunningStack, type StackOptions } from '@blindfit/stack';
import { temporaryDirectory } from '@blindfit/testkit';
import {
  choosePlan,
  DEFAULT_HYPERPARAMETERS,
  trainClear,
  type Hyperparameters,
  type Plan,
  type PlanRequest,
} from '@blindfit/training';

/** Deterministic, standardised-looking data with classes that differ: enough to train on. */
export function syntheticData(samples: number, features: number, classes: number): TrainingSet {
  let state = 12345;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  const x = new Float64Array(samples * features);
  const labels = Array.from({ length: classes }, () => new Float64Array(samples));
  for (let i = 0; i < samples; i++) {
    const label = i % classes;
    const own = labels[label];
    if (own) own[i] = 1;
    x[i * features] = 1;
    for (let j = 1; j < features; j++) x[i * features + j] = random() + (j % classes === label ? 0.5 : 0);
  }
  return { x, samples, features, labels };
}

export interface Prepared extends Disposable {
  readonly plan: Plan;
  readonly keyset: Keyset;
  readonly manifest: TrainingManifest;
  readonly clear: readonly Float64Array[];
  /** The encrypted data, by digest. */
  readonly blobs: ReadonlyMap<string, Uint8Array>;
}

/** Keys that tests share where the keys are not what they are about: making them takes longer than most of the rest. */
export const SHARED_KEYS = fileURLToPath(new URL('../../.blindfit/test-keys', import.meta.url));

/** Plans, makes keys unless they are there, encrypts and uploads. */
export async function prepareJob(
  client: BlindfitClient,
  keysDirectory: string,
  data: TrainingSet,
  hyperparameters: Partial<Hyperparameters> = {},
  choices: Pick<PlanRequest, 'refreshEvery' | 'modelLevel'> = {},
): Promise<Prepared> {
  const all = { ...DEFAULT_HYPERPARAMETERS, ...hyperparameters };
  const plan = choosePlan({
    shape: { samples: data.samples, features: data.features, classes: data.labels.length },
    hyperparameters: all,
    ...choices,
  });
  const keyset = await openKeyset({ directory: keysDirectory, plan, create: true });
  const stored = new Map<string, Uint8Array>();
  const blobs = await encryptJob(keyset, plan, data, {
    store: async (blob) => {
      stored.set(blob.digest, blob.bytes);
      await client.putBlob(blob.digest, blob.bytes);
    },
  });
  for (const key of [keyset.relinearisationKey, ...keyset.galoisKeys.values()])
    await client.putBlob(key.digest, await readFile(key.path));
  return {
    plan,
    keyset,
    manifest: manifestFor(plan, blobs, keyset, 'test'),
    blobs: stored,
    clear: trainClear(data.x, data.samples, data.features, data.labels, all).weights,
    [Symbol.dispose]: () => keyset[Symbol.dispose](),
  };
}

/** The largest difference of a weight. */
export function largestError(weights: readonly ArrayLike<number>[], clear: readonly Float64Array[]): number {
  return Math.max(
    ...clear.flatMap((row, k) => Array.from(row, (value, j) => Math.abs(value - Number(weights[k]?.[j])))),
  );
}

/** Waits until the job is as wanted, or final. @throws Error after `timeoutMs` */
export async function waitFor(
  client: BlindfitClient,
  id: string,
  wanted: (job: JobView) => boolean,
  timeoutMs = 120_000,
): Promise<JobView> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const job = await client.job(id);
    if (wanted(job) || isFinal(job.state)) return job;
    if (Date.now() > deadline) throw new Error(`${id} is still ${JSON.stringify(job.progress)} after ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export function finished(client: BlindfitClient, id: string): Promise<JobView> {
  return waitFor(client, id, (job) => isFinal(job.state));
}

/** @throws what `body` throws, and an Error when a service ended that nobody ended */
export async function withStack<T>(
  options: Partial<StackOptions>,
  body: (stack: RunningStack, client: BlindfitClient, directory: string) => Promise<T>,
): Promise<T> {
  await using directory = await temporaryDirectory();
  const exits: string[] = [];
  const stack = await startStack({
    dataDir: join(directory.path, 'data'),
    threads: 2,
    log: () => undefined,
    onExit: (_name, reason) => void exits.push(reason),
    ...options,
  });
  const client = new BlindfitClient({ server: stack.url, token: stack.token });
  // More to the point than whatever the test found missing afterwards.
  const assertNoExits = (cause?: unknown): void => {
    if (exits.length > 0) throw new Error(exits.join('\n'), { cause });
  };
  try {
    const result = await body(stack, client, directory.path);
    assertNoExits();
    return result;
  } catch (error) {
    assertNoExits(error);
    throw error;
  } finally {
    await client.close();
    await stack.stop();
  }
}
