/** Damaged and wrong blobs under their right digests, and a pool whose tasks read them. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { zstdCompressSync } from 'node:zlib';
import { at, parseDigest, valueOf } from '@blindfit/base';
import { WIRE_HEADER_BYTES, wrap, type WireFields } from '@blindfit/he';
import type { ResolvedEvaluator } from '@blindfit/he/native';
import type { SealBackend } from '@blindfit/he/seal';
import type { TrainingManifest } from '@blindfit/protocol';
import { TaskError } from '../src/index.ts';
import {
  firstTask,
  makeJob,
  makePlace,
  makePool,
  planFor,
  putBytes,
  putManifest,
  smallPlan,
  type Job,
  type Place,
  type Watched,
} from './setup.ts';

export const SEAL_HEADER = 16;
const MB = 2 ** 20;

export let place: Place;
export let job: Job;
/** A job of the same ring and another chain of primes. */
export let foreign: Job;
export let watched: Watched;
export let expected: readonly string[];
let heap = 0;

/** Makes the jobs. */
export async function setUp(): Promise<void> {
  place = await makePlace();
  job = await makeJob(place, smallPlan());
  foreign = await makeJob(place, planFor(40, 20, 3, { iterations: 1 }, 8192));
}

export async function tearDown(): Promise<void> {
  for (const each of [job, foreign]) each[Symbol.dispose]();
  await place[Symbol.asyncDispose]();
}

/** Opens a pool and runs a good task on it. */
export async function openPool(evaluator: ResolvedEvaluator): Promise<void> {
  watched = makePool(place, { evaluator });
  expected = (await watched.pool.run(firstTask(job))).outputs;
  heap = watched.statistics.heapBytes;
}

export const labelsDigest = (of: Job): string => at(at(of.manifest.blobs.labels, 0, 'labels'), 0, 'labels');
export const blob = (digest: string): Promise<Uint8Array> => place.store.get(parseDigest(digest));
export const payloadOf = (bytes: Uint8Array): Uint8Array => bytes.slice(WIRE_HEADER_BYTES);
/** The payload of the labels of the first pair of classes. */
export const labels = async (of: Job = job): Promise<Uint8Array> => payloadOf(await blob(labelsDigest(of)));

export const labelFields = (): WireFields => ({
  kind: 'ciphertext',
  level: job.plan.labels.level,
  scale: job.plan.labels.scale,
});

/** SEAL's header with the size that the payload really has. */
export function withSealSize(payload: Uint8Array): Uint8Array {
  new DataView(payload.buffer, payload.byteOffset).setBigUint64(8, BigInt(payload.length), true);
  return payload;
}

export function changed(bytes: Uint8Array, index: number, value: number): Uint8Array {
  const copy = bytes.slice();
  copy[index] = value;
  return copy;
}

/** A SEAL object that is marked as compressed and inflates to zeros: zstd blocks of one repeated byte. */
export function bomb(megabytes: number): Uint8Array {
  const frame = [0x28, 0xb5, 0x2f, 0xfd, 0, 0x58];
  const blocks = megabytes * 8;
  for (let block = 1; block <= blocks; block++) frame.push(block === blocks ? 3 : 2, 0, 0x10, 0);
  return marked(Uint8Array.from(frame));
}

export function compressed(members: Uint8Array): Uint8Array {
  return marked(zstdCompressSync(members));
}

/** Puts the header of a compressed SEAL object before the content. */
function marked(content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(SEAL_HEADER + content.length);
  bytes.set([0x5e, 0xa1, SEAL_HEADER, 4, 1, 2]);
  bytes.set(content, SEAL_HEADER);
  return withSealSize(bytes);
}

/** The payload of the labels after a change. */
export async function rewritten(
  change: (backend: SealBackend, payload: Uint8Array) => Uint8Array,
): Promise<Uint8Array> {
  const { backend } = job.keyset;
  return change(backend, await labels());
}

/** A product that was not relinearised, as SEAL saves it. */
export async function squared(level: number): Promise<Uint8Array> {
  return await rewritten((backend, payload) => {
    using ciphertext = backend.loadCiphertext(payload);
    backend.evaluator.cipherModSwitchToInplace(ciphertext.raw, backend.parmsId(level));
    ciphertext.raw.setScale(1024);
    const square = new backend.seal.Ciphertext();
    try {
      backend.evaluator.square(ciphertext.raw, square);
      return square.saveToArray(backend.seal.ComprModeType.none) as Uint8Array;
    } finally {
      square.delete();
    }
  });
}

export async function runWith(
  change: (blobs: TrainingManifest['blobs']) => Partial<TrainingManifest['blobs']>,
): Promise<unknown> {
  const manifest: TrainingManifest = {
    ...job.manifest,
    blobs: { ...job.manifest.blobs, ...change(job.manifest.blobs) },
  };
  return await watched.pool
    .run(firstTask({ plan: job.plan, digest: await putManifest(place, manifest) }))
    .catch((error: unknown) => error);
}

/** Puts the payload in the place of the first labels. */
export async function runWithLabels(payload: Uint8Array, fields: WireFields = labelFields()): Promise<unknown> {
  const digest = await putBytes(place, wrap(job.plan.parameters, fields, payload));
  return runWith(({ labels: [first = [], ...rest] }) => ({ labels: [[digest, ...first.slice(1)], ...rest] }));
}

export async function runWithKey(step: number, payload: Uint8Array): Promise<unknown> {
  const digest = await putBytes(place, wrap(job.plan.parameters, { kind: 'galois-key', step }, payload));
  return runWith(({ galoisKeys }) => ({ galoisKeys: { ...galoisKeys, [String(step)]: digest } }));
}

export async function keyPayload(step: number, of: Job = job): Promise<Uint8Array> {
  return payloadOf(await readFile(valueOf(of.keyset.galoisKeys, step, 'keys').path));
}

export async function assertStillGood(): Promise<void> {
  assert.deepEqual((await watched.pool.run(firstTask(job))).outputs, expected);
  assert.ok(
    watched.statistics.heapBytes <= heap + 64 * MB,
    `${watched.statistics.heapBytes} bytes of WebAssembly memory, ${heap} before`,
  );
}

export function assertRefused(outcome: unknown, code: string, message: RegExp): void {
  assert.ok(outcome instanceof TaskError, `it should have been refused: ${JSON.stringify(outcome)}`);
  assert.match(outcome.message, message);
  assert.equal(outcome.code, code);
  assert.ok(!outcome.retryable, 'trying again cannot help');
}
