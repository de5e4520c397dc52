/** The procedure of docs/operations/deploy.md: a backup while a job runs, restored elsewhere, gives the same model. */
import assert from 'node:assert/strict';
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { BlindfitClient } from '@blindfit/client';
import { parseRedisUrl } from '@blindfit/service';
import { startStack } from '@blindfit/stack';
import { fitSigmoid } from '@blindfit/training';
import { finished, prepareJob, SHARED_KEYS, syntheticData, waitFor, withStack } from './support.ts';

it('a job that runs during a backup goes on from it in another place, with the same bytes', async (t) => {
  await withStack({ threads: 1 }, async (stack, client, directory) => {
    using prepared = await prepareJob(client, SHARED_KEYS, syntheticData(120, 40, 16), { sigmoid: fitSigmoid(1, 8) });
    const { id } = await client.submit(prepared.manifest);
    const met = await waitFor(client, id, ({ progress }) => progress.tasksDone >= 2);
    assert.equal(met.state, 'running', 'the job runs during the backup');

    const backup = join(directory, 'backup');
    const redis = new Redis({ ...parseRedisUrl(stack.redisUrl), replyMapping: 'legacy' });
    await redis.config('SET', 'auto-aof-rewrite-percentage', '0');
    assert.match(await redis.info('persistence'), /aof_rewrite_in_progress:0/);
    await cp(join(stack.dataDir, 'redis', 'appendonlydir'), join(backup, 'redis', 'appendonlydir'), {
      recursive: true,
    });
    redis.disconnect();
    // Blobs come second: whatever the records name was there before them.
    await cp(fileURLToPath(stack.storeUrl), join(backup, 'blobs'), { recursive: true });
    const undisturbed = await finished(client, id);
    assert.equal(undisturbed.state, 'succeeded', undisturbed.error?.message);

    const dataDir = join(directory, 'restored');
    await mkdir(dataDir, { mode: 0o700 });
    await cp(join(backup, 'blobs'), join(dataDir, 'blobs'), { recursive: true });
    await cp(join(backup, 'redis'), join(dataDir, 'redis'), { recursive: true });
    const restored = await startStack({ dataDir, threads: 1, log: () => undefined });
    t.after(() => restored.stop());
    const other = new BlindfitClient({ server: restored.url, token: restored.token });
    t.after(() => other.close());
    const before = await other.job(id);
    assert.ok(before.progress.tasksDone >= 2, `${before.progress.tasksDone} tasks are not done again`);
    const job = await finished(other, id);
    assert.equal(job.state, 'succeeded', job.error?.message);
    assert.deepEqual(job.result?.models, undisturbed.result?.models);
    assert.deepEqual(job.result?.operations, undisturbed.result?.operations, 'no task counts twice');
  });
});
