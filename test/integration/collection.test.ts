/**
 * Blobs are collected while a job runs, with the shortest times: the job does not notice, and afterwards only what is
 * needed is left.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { utimes } from 'node:fs/promises';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Registry } from 'prom-client';
import { digestOf, parseDigest } from '@blindfit/base';
import { FileBlobStore } from '@blindfit/blobs';
import { decryptModel } from '@blindfit/owner';
import { readTrainingManifest } from '@blindfit/protocol';
import { JobStore } from '@blindfit/queue';
import { connectRedis, createLogger, parseRedisUrl } from '@blindfit/service';
import { expectedBlobs, trainingPlanOf } from '@blindfit/training';
import { startCollector } from '../../services/api/src/collector.ts';
import { addCollectorMetrics } from '../../services/api/src/metrics.ts';
import { finished, prepareJob, SHARED_KEYS, syntheticData, waitFor, withStack } from './support.ts';

const PREFIX = '{blindfit}';
const RETENTION_MS = 400;
const INTERVAL_MS = 100;
/** Less than any ciphertext has. */
const GARBAGE_BYTES = 1_000;

it('collection during a running job: the model is the right one, and nothing but what is needed is left', async (t) => {
  await withStack({}, async (stack, client) => {
    using prepared = await prepareJob(client, SHARED_KEYS, syntheticData(120, 20, 9));
    const store = await FileBlobStore.open(fileURLToPath(stack.storeUrl));
    const warnings: string[] = [];
    const logger = createLogger({
      service: 'test',
      level: 'warn',
      destination: { write: (line: string) => void warnings.push(line) },
    });
    const redis = connectRedis(parseRedisUrl(stack.redisUrl), createLogger({ service: 'test', level: 'silent' }));
    const jobs = new JobStore(redis, PREFIX);
    const collected: { bytes: number; at: number }[] = [];
    const all = async (): Promise<Set<string>> =>
      new Set((await Array.fromAsync(store.list())).map(({ digest }) => digest));
    const makeOld = async (digests: Iterable<string>): Promise<void> => {
      const lastWeek = new Date(Date.now() - 7 * 86_400_000);
      for (const digest of digests) await utimes(store.pathOf(parseDigest(digest)), lastWeek, lastWeek);
    };
    const putGarbage = async (): Promise<void> => {
      const bytes = randomBytes(GARBAGE_BYTES);
      const digest = digestOf(bytes);
      await store.put(digest, bytes);
      await makeOld([digest]);
    };
    const metrics = {
      ...addCollectorMetrics(new Registry()),
      collected: (bytes: number): void => void collected.push({ bytes, at: Date.now() }),
    };
    const collector = startCollector({
      store,
      redis,
      jobs,
      prefix: PREFIX,
      retentionMs: RETENTION_MS,
      firstMs: INTERVAL_MS,
      intervalMs: INTERVAL_MS,
      logger,
      metrics,
    });
    try {
      const { id, manifest } = await client.submit(prepared.manifest);
      const inputs = new Set([
        manifest,
        ...expectedBlobs(trainingPlanOf(readTrainingManifest(prepared.manifest))).map(({ digest }) => digest),
      ]);
      assert.deepEqual(await all(), inputs, 'the submission refers to all there is');
      await makeOld(inputs);
      await putGarbage();
      let garbage = 1;
      const worker = stack.processes.find(({ name }) => name === 'worker-1');
      for (let tasks = 1; ; tasks++) {
        const job = await waitFor(client, id, ({ progress }) => progress.tasksDone >= tasks);
        if (job.state !== 'running') break;
        // However fast the machine is, the job outlasts the retention time.
        if (tasks === 1) await worker?.kill('SIGSTOP');
        // Whatever the job has made so far is older than the retention time before it is used for the last time.
        await putGarbage();
        garbage++;
        if (tasks === 1) {
          await sleep(2 * RETENTION_MS);
          await worker?.kill('SIGCONT');
        }
      }
      const job = await finished(client, id);
      assert.equal(job.state, 'succeeded', job.error?.message);
      const seconds = (Date.parse(job.finishedAt ?? '') - Date.parse(job.startedAt ?? '')) / 1000;
      assert.ok(seconds > (2 * RETENTION_MS) / 1000, `the job took ${seconds} s, longer than the retention time`);
      const weights = decryptModel(prepared.keyset, prepared.plan, await client.result(id, job.result?.models ?? []));
      const error = Math.max(
        ...weights.flatMap((row, k) => Array.from(row, (value, j) => Math.abs(value - Number(prepared.clear[k]?.[j])))),
      );
      assert.ok(error < 1e-5, `largest weight error ${error}`);

      const needed = new Set([...inputs, ...(job.result?.models ?? []), ...(job.result?.iterates ?? []).flat()]);
      const deadline = Date.now() + 30_000;
      while ((await all()).size > needed.size && Date.now() < deadline)
        await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
      assert.deepEqual(await all(), needed, 'intermediates have gone, everything else is there');
      const [small, large] = [
        collected.filter(({ bytes }) => bytes === GARBAGE_BYTES),
        collected.filter(({ bytes }) => bytes !== GARBAGE_BYTES),
      ];
      const whileItRan = ({ at }: { at: number }): boolean => at < Date.parse(job.finishedAt ?? '');
      t.diagnostic(
        `${seconds} s; ${small.filter(whileItRan).length} of ${garbage} left-overs collected meanwhile, ` +
          `${large.length} intermediates afterwards`,
      );
      assert.equal(small.length, garbage);
      assert.ok(small.filter(whileItRan).length >= 2, 'it was collected while the job ran');
      assert.ok(large.length > 5, 'there were intermediates');
      assert.deepEqual(large.filter(whileItRan), [], 'none of which went before the job had ended');

      // The same again, from blobs that are old, makes the very same model.
      await makeOld(needed);
      const again = await finished(client, (await client.submit(prepared.manifest)).id);
      assert.equal(again.state, 'succeeded', again.error?.message);
      assert.deepEqual(again.result?.models, job.result?.models);
      assert.deepEqual(again.result?.iterates, job.result?.iterates);
      assert.deepEqual(warnings, []);
    } finally {
      await collector.close();
      redis.disconnect();
    }
  });
});
