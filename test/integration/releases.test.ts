/**
 * This release and the one before side by side, as in a rolling update and on the way back: real processes, 128-bit
 * parameters, the same model.
 */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { BlindfitClient } from '@blindfit/client';
import type { JobView } from '@blindfit/protocol';
import { startRedis } from '@blindfit/redis-server';
import { temporaryDirectory } from '@blindfit/testkit';
import { hasReleaseBefore, RELEASE_BEFORE, ROOT, startSingle, unpackReleaseBefore } from './release-before.ts';
import { finished, prepareJob, SHARED_KEYS, syntheticData } from './support.ts';

const TOKEN = 'a-token-for-both-releases';
const skip = hasReleaseBefore() ? false : `git has no commit ${RELEASE_BEFORE}: clone with its history`;

test('services of this release and of the one before train together, to the same model', { skip }, async () => {
  await using directory = await temporaryDirectory();
  const redis = await startRedis({ dataDir: join(directory.path, 'redis'), log: () => undefined });
  after(() => redis.stop());
  const before = join(directory.path, 'before');
  const store = join(directory.path, 'store');
  for (const path of [before, store]) mkdirSync(path);
  unpackReleaseBefore(before);
  const environment = {
    BLINDFIT_REDIS_URL: redis.url,
    BLINDFIT_STORE: pathToFileURL(store).href,
    BLINDFIT_TOKEN: TOKEN,
    BLINDFIT_HOST: '127.0.0.1',
    BLINDFIT_PORT: '0',
    BLINDFIT_METRICS_PORT: '0',
    BLINDFIT_THREADS: '1',
    BLINDFIT_CACHE_DIR: join(directory.path, 'cache'),
  };
  // What the release before would have to compile first.
  const withoutCompiler = { ...environment, BLINDFIT_EVALUATOR: 'seal' };
  const start = (root: string, name: string): ReturnType<typeof startSingle> =>
    startSingle(root, name, root === ROOT ? environment : withoutCompiler);
  await using api = await start(ROOT, 'api');
  const client = new BlindfitClient({ server: api.url, token: TOKEN });
  const data = syntheticData(60, 12, 2);
  using prepared = await prepareJob(client, SHARED_KEYS, data, { iterations: 1 });
  const train = async (schedulerRoot: string, workerRoot: string, protocol: number): Promise<JobView> => {
    await using services = new AsyncDisposableStack();
    services.use(await start(schedulerRoot, 'scheduler'));
    services.use(await start(workerRoot, 'worker'));
    const cluster = await fetch(`${api.url}/v1/cluster`, { headers: { authorization: `Bearer ${TOKEN}` } });
    assert.equal(((await cluster.json()) as { protocol: number }).protocol, protocol);
    const { id } = await client.submit(prepared.manifest);
    return await finished(client, id);
  };
  const rolling = await train(ROOT, before, 1);
  assert.equal(rolling.state, 'succeeded', rolling.error?.message);
  const wayBack = await train(before, ROOT, 2);
  assert.equal(wayBack.state, 'succeeded', wayBack.error?.message);
  assert.deepEqual(wayBack.result?.models, rolling.result?.models);
  await client.close();
});
