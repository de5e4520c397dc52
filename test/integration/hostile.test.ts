/**
 * Bad blobs, and a store that loses or damages blobs, on a real stack: the job ends with a reason that
 * names the cause and the task, nothing of it goes on, and the next good job is as good as ever. 128-bit parameters.
 */
import assert from 'node:assert/strict';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { digestOf, parseDigest } from '@blindfit/base';
import { FileBlobStore } from '@blindfit/blobs';
import type { BlindfitClient } from '@blindfit/client';
import { parseHeader, WIRE_HEADER_BYTES, wrap } from '@blindfit/he';
import { decryptModel, ModelError } from '@blindfit/owner';
import { type JobView, type TrainingManifest } from '@blindfit/protocol';
import type { RunningStack, StackProcess } from '@blindfit/stack';
import { until } from '@blindfit/testkit';
import { finished, prepareJob, SHARED_KEYS, syntheticData, withStack, type Prepared } from './support.ts';

/** One iteration takes the small ring; five pairs of classes make siblings. */
const DATA = syntheticData(40, 20, 10);
const HYPERPARAMETERS = { iterations: 1 };

function processOf(stack: RunningStack, name: string): StackProcess {
  const found = stack.processes.find((process) => process.name === name);
  assert.ok(found, name);
  return found;
}

/** A number of a service's metrics; the sum over all labels that match. */
async function metric({ url }: StackProcess, pattern: RegExp): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => pattern.test(line))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

async function untilIdle(stack: RunningStack): Promise<void> {
  const [worker, scheduler] = [processOf(stack, 'worker-1'), processOf(stack, 'scheduler-1')];
  await until(
    async () =>
      (await metric(worker, /^blindfit_threads_busy /)) === 0 &&
      (await metric(
        scheduler,
        /^blindfit_queue_jobs\{.*state="(waiting|prioritized|active|delayed|waiting-children)"/,
      )) === 0,
    'no thread is busy and the queues are empty',
    { everyMs: 100 },
  );
}

function assertFailed(job: JobView, code: RegExp, message: RegExp, task: RegExp): void {
  assert.equal(job.state, 'failed');
  assert.match(String(job.error?.message), message);
  assert.match(String(job.error?.code), code);
  assert.match(String(job.error?.task), task);
  assert.equal(job.result, undefined);
}

it('a stack survives what stands in blobs, and what becomes of its store', { timeout: 300_000 }, async (t) => {
  await withStack({}, async (stack, client, directory) => {
    using prepared = await prepareJob(client, SHARED_KEYS, DATA, HYPERPARAMETERS);
    const reference = await finished(client, (await client.submit(prepared.manifest)).id);
    assert.equal(reference.state, 'succeeded', reference.error?.message);
    const worker = processOf(stack, 'worker-1');
    const store = await FileBlobStore.open(fileURLToPath(stack.storeUrl));

    const assertGood = async (): Promise<void> => {
      await untilIdle(stack);
      const job = await finished(client, (await client.submit(prepared.manifest)).id);
      assert.equal(job.state, 'succeeded', job.error?.message);
      assert.deepEqual(job.result?.models, reference.result?.models);
    };
    const changed = async (
      change: (
        blobs: TrainingManifest['blobs'],
      ) => Promise<Partial<TrainingManifest['blobs']>> | Partial<TrainingManifest['blobs']>,
    ): Promise<TrainingManifest> => ({
      ...prepared.manifest,
      blobs: { ...prepared.manifest.blobs, ...(await change(prepared.manifest.blobs)) },
    });
    const [[first = ''] = []] = prepared.manifest.blobs.gradientFeatures;
    /** A manifest with other bytes in the place of the first gradient features. */
    const withBlob = (bytes: Uint8Array): Promise<TrainingManifest> =>
      changed(async ({ gradientFeatures: [row = [], ...rows] }) => {
        const digest = digestOf(bytes);
        await client.putBlob(digest, bytes);
        return { gradientFeatures: [[digest, ...row.slice(1)], ...rows] };
      });

    await t.test('bytes flipped inside SEAL’s payload, under the right digest', async () => {
      const bytes = (await client.blob(first)).slice();
      bytes.fill(0x55, 5000, 5200);
      const job = await finished(client, (await client.submit(await withBlob(bytes))).id);
      // What the damage does to the compressed stream is a matter of luck; that it is noticed is not.
      assertFailed(
        job,
        /^HE_(WIRE|SEAL)$/,
        /^blobs\.gradientFeatures\[0\]\[0\] \(sha256:[0-9a-f]{64}\): .*(SEAL|not below its prime)/,
        new RegExp(`^${job.id}\\.backward\\.1\\.`),
      );
      await assertGood();
    });

    await t.test('a payload that is cut off, with a header that hides it', async () => {
      const bytes = await client.blob(first);
      const { level, scale } = parseHeader(bytes);
      const short = wrap(
        prepared.plan.parameters,
        { kind: 'ciphertext', level, scale },
        bytes.subarray(WIRE_HEADER_BYTES, bytes.length - 500),
      );
      const job = await finished(client, (await client.submit(await withBlob(short))).id);
      assertFailed(job, /^HE_WIRE$/, /it was cut off or damaged/, /\.backward\.1\./);
      await assertGood();
    });

    await t.test('keys of another keyset with the same parameters', async () => {
      using other = await prepareJob(client, join(directory, 'other-keys'), DATA, HYPERPARAMETERS);
      const { relinearisationKey, galoisKeys } = other.manifest.blobs;
      const job = await finished(
        client,
        (await client.submit(await changed(() => ({ relinearisationKey, galoisKeys })))).id,
      );
      // Nobody but the owner can tell: to the servers all ciphertexts look alike.
      assert.equal(job.state, 'succeeded', job.error?.message);
      const models = await client.result(job.id, job.result?.models ?? []);
      assert.throws(
        () => decryptModel(prepared.keyset, prepared.plan, models),
        (error) => {
          assert.ok(error instanceof ModelError);
          assert.match(
            error.message,
            /^the weight of class \d+ and feature \d+ is -?\d.*, beyond 32, the most this job can carry$/,
          );
          assert.match(error.hint ?? '', /^the server returned something else than the trained model/);
          return true;
        },
      );
      await assertGood();
    });

    /** What the host keeps of the owner's blobs, with which a job would go on. */
    const forgetInputs = (): Promise<void> =>
      rm(join(stack.dataDir, 'cache', 'inputs'), { recursive: true, force: true });

    await t.test('a blob that is deleted after the job was accepted', async () => {
      const job = await afterSubmission(worker, client, prepared, async () => {
        await forgetInputs();
        await rm(store.pathOf(parseDigest(first)));
      });
      assertFailed(
        job,
        /^BLOB_NOT_FOUND$/,
        new RegExp(`^${first} is lost: the store of the scheduler does not hold it either; upload it again`),
        /\.backward\.1\./,
      );
      await upload(client, prepared, first);
      await assertGood();
    });

    await t.test('a blob that is damaged on disk after the job was accepted', async () => {
      const path = store.pathOf(parseDigest(first));
      const bytes = await client.blob(first);
      const job = await afterSubmission(worker, client, prepared, async () => {
        await forgetInputs();
        await writeFile(path, bytes.slice().fill(0, 1000, 1010));
      });
      assertFailed(
        job,
        /^BLOB_NOT_FOUND$/,
        new RegExp(`^${first} is lost: the store of the scheduler does not hold it either; upload it again`),
        /\.backward\.1\./,
      );
      assert.deepEqual(
        await readdir(join(store.root, 'corrupt')),
        [first.replace('sha256:', '')],
        'the evidence is kept',
      );
      await client.putBlob(first, bytes);
      await assertGood();
    });
  });
});

/** Submits while no worker runs, does something, and starts the worker: its caches are empty then. */
async function afterSubmission(
  worker: StackProcess,
  client: BlindfitClient,
  { manifest }: Prepared,
  act: () => Promise<void>,
): Promise<JobView> {
  await worker.kill('SIGTERM');
  const { id } = await client.submit(manifest);
  await act();
  await worker.restart();
  return finished(client, id);
}

/** Makes the owner upload a blob again. */
async function upload(client: BlindfitClient, prepared: Prepared, digest: string): Promise<void> {
  const bytes = prepared.blobs.get(digest);
  assert.ok(bytes !== undefined);
  await client.putBlob(digest, bytes);
}
