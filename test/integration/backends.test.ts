/**
 * The same small job, encrypted once, on everything a cluster may stand on: a Redis Cluster of three nodes, Redis
 * behind TLS with a user who may do little, and blobs in S3. Evaluation is deterministic: the models are the same, bit
 * for bit.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Redis } from 'ioredis';
import { Registry } from 'prom-client';
import { required } from '@blindfit/base';
import { isCollectable, openBlobStore } from '@blindfit/blobs';
import type { BlindfitClient } from '@blindfit/client';
import type { JobView } from '@blindfit/protocol';
import { JobStore } from '@blindfit/queue';
import { resolveRedisBinary } from '@blindfit/redis-server';
import { connectRedis, createLogger, parseRedisUrl } from '@blindfit/service';
import { type RunningStack } from '@blindfit/stack';
import { temporaryDirectory } from '@blindfit/testkit';
import { BUCKET, CREDENTIALS, startS3Server } from '../../libs/blobs/test/s3-server.ts';
import { startCollector } from '../../services/api/src/collector.ts';
import { addCollectorMetrics } from '../../services/api/src/metrics.ts';
import { finished, prepareJob, SHARED_KEYS, syntheticData, withStack, type Prepared } from './support.ts';

/**
 * What a user of Redis needs, as docs/reference/configuration.md has it.
 * @param prefix as in BLINDFIT_QUEUE_PREFIX
 */
async function documentedRules(prefix: string): Promise<string[]> {
  const text = await readFile(new URL('../../docs/reference/configuration.md', import.meta.url), 'utf8');
  const line = /^ACL SETUSER blindfit on >PASSWORD (.*)$/m.exec(text)?.[1];
  assert.ok(line !== undefined, 'docs/reference/configuration.md has the line for the user');
  return line.replaceAll('{blindfit}', prefix).split(' ');
}

async function freePort(): Promise<number> {
  // The port of a cluster's bus is 10000 above, and has to exist.
  for (;;) {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await new Promise((done) => server.close(done));
    if (port < 55_000) return port;
  }
}

async function startServer(directory: string, args: readonly string[]): Promise<ChildProcess> {
  await mkdir(directory, { recursive: true });
  const child = spawn(
    await resolveRedisBinary(),
    [
      '--dir',
      directory,
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--appendonly',
      'yes',
      '--maxmemory-policy',
      'noeviction',
      ...args,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>)
    if (chunk.includes('eady to accept connections')) break;
  child.stdout.resume();
  return child;
}

async function stopServer(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

describe('the same job', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let prepared: Prepared;
  /** Keys of the job by digest, besides its encrypted data. */
  const keys = new Map<string, Uint8Array>();
  let expected: readonly string[];

  const run = async (client: BlindfitClient): Promise<JobView> => {
    for (const [digest, bytes] of [...prepared.blobs, ...keys]) await client.putBlob(digest, bytes);
    const job = await finished(client, (await client.submit(prepared.manifest)).id);
    assert.equal(job.state, 'succeeded', job.error?.message);
    return job;
  };
  const sameModel = async (stack: RunningStack, client: BlindfitClient): Promise<JobView> => {
    const job = await run(client);
    assert.deepEqual(job.result?.models, expected);
    assert.equal((await fetch(`${stack.url}/readyz`)).status, 200);
    return job;
  };

  before(async () => {
    directory = await temporaryDirectory();
    await withStack({}, async (_stack, client) => {
      prepared = await prepareJob(client, SHARED_KEYS, syntheticData(60, 10, 3), { iterations: 1 });
      for (const key of [prepared.keyset.relinearisationKey, ...prepared.keyset.galoisKeys.values()])
        keys.set(key.digest, await readFile(key.path));
      expected = (await run(client)).result?.models ?? [];
      assert.ok(expected.length > 0);
    });
  });
  after(async () => {
    prepared[Symbol.dispose]();
    await directory[Symbol.asyncDispose]();
  });

  it('on a Redis Cluster of three nodes', async () => {
    const ports = [await freePort(), await freePort(), await freePort()];
    const servers: ChildProcess[] = [];
    const clients: Redis[] = [];
    try {
      for (const port of ports) {
        servers.push(
          await startServer(join(directory.path, `node-${port}`), [
            '--port',
            String(port),
            '--cluster-enabled',
            'yes',
            '--cluster-node-timeout',
            '5000',
          ]),
        );
        clients.push(new Redis({ host: '127.0.0.1', port, enableReadyCheck: false }));
      }
      // The slots in three parts; the nodes learn of each other from the first one.
      for (const [i, client] of clients.entries()) {
        await client.call(
          'CLUSTER',
          'ADDSLOTSRANGE',
          Math.floor((16_384 * i) / 3),
          Math.floor((16_384 * (i + 1)) / 3) - 1,
        );
        await clients[0]?.call('CLUSTER', 'MEET', '127.0.0.1', String(ports[i]));
      }
      const ready = async (): Promise<boolean> => {
        const infos = await Promise.all(clients.map((client) => client.call('CLUSTER', 'INFO')));
        return infos.every(
          (info) => /cluster_state:ok/.test(String(info)) && /cluster_known_nodes:3/.test(String(info)),
        );
      };
      const deadline = Date.now() + 60_000;
      while (!(await ready())) {
        assert.ok(Date.now() < deadline, 'the cluster is complete within a minute');
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      await withStack({ redisUrl: `redis-cluster://${ports.map((port) => `127.0.0.1:${port}`).join()}` }, sameModel);
      const sizes = await Promise.all(clients.map((client) => client.dbsize()));
      assert.equal(
        sizes.filter((size) => size > 0).length,
        1,
        `the hash tag keeps all keys on one node: ${sizes.join()}`,
      );
    } finally {
      for (const client of clients) client.disconnect();
      for (const server of servers) await stopServer(server);
    }
  });

  it('on a Redis behind TLS, as a user with rights to the prefix only', async (t) => {
    const path = (name: string): string => join(directory.path, name);
    try {
      const openssl = (...args: string[]): unknown => execFileSync('openssl', args, { stdio: 'pipe' });
      openssl(
        'req',
        '-x509',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-days',
        '2',
        '-subj',
        '/CN=CA of a test',
        '-keyout',
        path('ca.key'),
        '-out',
        path('ca.pem'),
      );
      openssl(
        'req',
        '-x509',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-days',
        '2',
        '-subj',
        '/CN=redis',
        '-addext',
        'subjectAltName=IP:127.0.0.1',
        '-addext',
        'basicConstraints=critical,CA:FALSE',
        '-CA',
        path('ca.pem'),
        '-CAkey',
        path('ca.key'),
        '-keyout',
        path('redis.key'),
        '-out',
        path('redis.pem'),
      );
    } catch (error) {
      t.skip(`openssl cannot make certificates here: ${error instanceof Error ? error.message : String(error)}`);
      return;
    }
    const port = await freePort();
    const server = await startServer(path('tls'), [
      '--port',
      '0',
      '--tls-port',
      String(port),
      '--tls-cert-file',
      path('redis.pem'),
      '--tls-key-file',
      path('redis.key'),
      '--tls-ca-cert-file',
      path('ca.pem'),
      '--tls-auth-clients',
      'no',
    ]);
    const admin = new Redis({ host: '127.0.0.1', port, tls: { ca: await readFile(path('ca.pem')) } });
    try {
      await admin.call(
        'ACL',
        'SETUSER',
        'blindfit',
        'on',
        '>secret-of-a-test',
        ...(await documentedRules('{blindfit}')),
      );
      await admin.call('ACL', 'SETUSER', 'default', 'resetpass', '>other-secret');
      await withStack(
        { redisUrl: `rediss://blindfit:secret-of-a-test@127.0.0.1:${port}?ca=${path('ca.pem')}` },
        async (stack, client) => {
          await sameModel(stack, client);
          assert.deepEqual(await admin.call('ACL', 'LOG'), [], 'nothing that a job needs was refused');
          const user = new Redis({
            host: '127.0.0.1',
            port,
            tls: { ca: await readFile(path('ca.pem')) },
            username: 'blindfit',
            password: 'secret-of-a-test',
          });
          await assert.rejects(user.get('another'), /NOPERM/);
          await assert.rejects(user.flushall(), /NOPERM/);
          await assert.rejects(user.config('GET', '*'), /NOPERM/);
          user.disconnect();
        },
      );
    } finally {
      admin.disconnect();
      await stopServer(server);
    }
  });

  it('with API, scheduler and worker on S3', async () => {
    Object.assign(process.env, CREDENTIALS);
    const s3 = await startS3Server(join(directory.path, 's3'));
    try {
      const storeUrl = `s3://${BUCKET}/cluster?endpoint=${encodeURIComponent(s3.endpoint)}`;
      await withStack({ storeUrl }, async (stack, client) => {
        const { result } = await sameModel(stack, client);
        const store = await openBlobStore(storeUrl);
        assert.ok(isCollectable(store));
        const logger = createLogger({ service: 'test', level: 'silent' });
        const redis = connectRedis(parseRedisUrl(stack.redisUrl), logger);
        const collector = startCollector({
          store,
          redis,
          jobs: new JobStore(redis, '{blindfit}'),
          prefix: '{blindfit}',
          retentionMs: 0,
          logger,
          metrics: addCollectorMetrics(new Registry()),
        });
        try {
          // Objects are dated by seconds.
          await new Promise((resolve) => setTimeout(resolve, 1_100));
          let collection = await collector.collect();
          // Another collector may be at work, or the store's clock may lag.
          for (let attempt = 0; attempt < 60 && !(collection !== undefined && collection.collected > 0); attempt++) {
            await new Promise((resolve) => setTimeout(resolve, 500));
            collection = await collector.collect();
          }
          assert.ok(collection !== undefined && collection.collected > 0, 'intermediate results go');
          assert.equal(
            collection.left,
            prepared.blobs.size +
              keys.size +
              1 +
              expected.length +
              required(result, 'the result').iterates.flat().length,
            'inputs, keys, manifest, model and iterates stay',
          );
          await sameModel(stack, client);
        } finally {
          await collector.close();
          redis.disconnect();
          await store.close();
        }
      });
      assert.ok(s3.requests.some(({ method, path }) => method === 'PUT' && path.includes('/cluster/blobs/sha256/')));
    } finally {
      await s3.close();
    }
  });
});
