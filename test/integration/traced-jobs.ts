/** Jobs on a stack that traces, and everything that operators see of them. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { digestOf } from '@blindfit/base';
import type { BlindfitClient } from '@blindfit/client';
import { parseHeader, WIRE_HEADER_BYTES, wrap } from '@blindfit/he';
import { decryptModel, followTraining, RefreshSession, stepBound } from '@blindfit/owner';
import type { JobView, TrainingManifest } from '@blindfit/protocol';
import { startRedis } from '@blindfit/redis-server';
import { temporaryDirectory } from '@blindfit/testkit';
import { DEFAULT_HYPERPARAMETERS, fitSigmoid, type Hyperparameters } from '@blindfit/training';
import { startReceiver, type ReceivedSpan } from './otlp-receiver.ts';
import { finished, prepareJob, syntheticData, waitFor, withStack, type Prepared } from './support.ts';

export const RECORDER = fileURLToPath(new URL('./record-modules.ts', import.meta.url));
/** What the client says its own work is part of. */
export const CLIENT_TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
export const CLIENT_SPAN = '00f067aa0ba902b7';
export const HEADER_SECRET = 'collector-token-8d1f';
const OPERATOR = 'operators-token-77aa21';
/** The servers know it, but neither logs nor traces have use for it. */
const JOB_NAME = 'ward-seven-c0ffee';
/** A straight line for a sigmoid: three levels an iteration, for which a small ring does. */
const HYPERPARAMETERS: Hyperparameters = { ...DEFAULT_HYPERPARAMETERS, iterations: 2, sigmoid: fitSigmoid(1, 8) };
export const DATA = syntheticData(60, 12, 3);
export const SERVICES = ['blindfit-api', 'blindfit-scheduler', 'blindfit-worker'];

/** Runs something with environment variables set, which the services of a stack inherit. */
export async function withEnvironment<T>(values: Readonly<Record<string, string>>, body: () => Promise<T>): Promise<T> {
  const before = Object.keys(values).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, values);
  try {
    return await body();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
  }
}

export async function modulesIn(file: string): Promise<string[]> {
  const lines = (await readFile(file, 'utf8')).split('\n');
  assert.ok(
    lines.some((line) => line.endsWith('/services/worker/src/start.ts')),
    'the modules of the services were recorded',
  );
  return lines;
}

export const isSdk = (url: string): boolean =>
  /\/@opentelemetry\/(?!api\/)/.test(url) && !url.endsWith('/package.json');

/** The same manifest with the first block of X~ replaced by noise of the right size, which SEAL refuses. */
async function damaged(client: BlindfitClient, { manifest, blobs, plan }: Prepared): Promise<TrainingManifest> {
  const digest = String(manifest.blobs.gradientFeatures[0]?.[0]);
  const bytes = blobs.get(digest);
  assert.ok(bytes);
  const { kind: _kind, ...header } = { ...parseHeader(bytes) };
  const { level, scale } = header as { level: number; scale: number };
  const bad = wrap(
    plan.parameters,
    { kind: 'ciphertext', level, scale },
    new Uint8Array(bytes.length - WIRE_HEADER_BYTES).fill(0x5a),
  );
  const named = digestOf(bad);
  await client.putBlob(named, bad);
  const gradientFeatures = manifest.blobs.gradientFeatures.map((row, shard) =>
    row.map((each, block) => (shard === 0 && block === 0 ? named : each)),
  );
  return { ...manifest, blobs: { ...manifest.blobs, gradientFeatures } };
}

export interface Run {
  readonly spans: readonly ReceivedSpan[];
  readonly headers: readonly NodeJS.Dict<string | string[]>[];
  /** Everything the collector got. */
  readonly sent: Buffer;
  /** Jobs by what became of them. */
  readonly jobs: Readonly<Record<'succeeded' | 'failed' | 'cancelled', JobView>>;
  readonly refreshes: number;
  /**
   * What the operators' page tells: of each queue whether anybody takes its entries, and of a task what waited for it.
   */
  readonly board: {
    readonly queues: readonly { readonly name: string; readonly hasWorkers: boolean | null }[];
    readonly flow: string;
  };
  readonly modules: readonly string[];
  /** By name of the process. */
  readonly logs: ReadonlyMap<string, string>;
  /** What nobody may see, by what it is. */
  readonly secrets: ReadonlyMap<string, Uint8Array>;
}

/** Three jobs on a stack that traces, and all that came of it once the stack has ended. */
export async function runJobs(): Promise<Run> {
  const receiver = await startReceiver();
  await using directory = await temporaryDirectory();
  const modulesFile = join(directory.path, 'modules');
  const redis = await startRedis({ dataDir: join(directory.path, 'redis'), tcp: true, log: () => undefined });
  const environment = {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_HEADERS: `x-collector-token=${HEADER_SECRET}`,
    BLINDFIT_LOG_LEVEL: 'trace',
    BLINDFIT_OPERATOR_TOKEN: OPERATOR,
    NODE_OPTIONS: `--import=${RECORDER}`,
    BLINDFIT_TEST_MODULES: modulesFile,
  };
  try {
    const seen = await withEnvironment(environment, () =>
      withStack({ redisUrl: redis.url, threads: 2 }, async (stack, client, own) => {
        using prepared = await prepareJob(client, join(own, 'keys'), DATA, HYPERPARAMETERS, { refreshEvery: 1 });
        const { plan, keyset } = prepared;
        const submitted = await client.submit(
          { ...prepared.manifest, name: JOB_NAME },
          { traceparent: `00-${CLIENT_TRACE}-${CLIENT_SPAN}-01` },
        );
        const session = new RefreshSession(keyset, plan, stepBound(DATA, HYPERPARAMETERS));
        const followed = await followTraining(client, submitted, { session, cancel: false });
        assert.equal(followed.job.state, 'succeeded', followed.job.error?.message);
        const weights = decryptModel(
          keyset,
          plan,
          await client.result(submitted.id, followed.job.result?.models ?? []),
        );
        assert.ok(
          weights.every((row, k) => row.every((value, j) => Math.abs(value - Number(prepared.clear[k]?.[j])) < 1e-3)),
          'the model is that of the clear twin',
        );
        const ask = async (path: string): Promise<string> => {
          const response = await fetch(`${stack.url}/admin/queues/api/queues${path}`, {
            headers: { authorization: `Basic ${Buffer.from(`operator:${OPERATOR}`).toString('base64')}` },
          });
          assert.equal(response.status, 200, path);
          return response.text();
        };
        const board = {
          ...(JSON.parse(await ask('?page=1&jobsPerPage=10')) as Pick<Run['board'], 'queues'>),
          flow: await ask(`/tasks/${submitted.id}.backward.1.0.0.0/flow`),
        };
        const failing = await client.submit(await damaged(client, prepared));
        const failed = await finished(client, failing.id);
        const doomed = await client.submit(prepared.manifest);
        // A quick stack may have the job at its first refresh before this looks.
        await waitFor(client, doomed.id, ({ state }) => state !== 'queued');
        const cancelled = await client.cancel(doomed.id);
        // The cancelled job's entries come to their own ends within moments.
        for (let patience = 600; ; patience--) {
          const { queues } = JSON.parse(await ask('?page=1&jobsPerPage=10')) as {
            queues: { counts: Record<string, number> }[];
          };
          if (
            queues.every(({ counts }) =>
              ['waiting', 'active', 'delayed', 'waiting-children'].every((state) => counts[state] === 0),
            )
          )
            break;
          assert.ok(patience > 0, 'the queues do not get empty');
          await sleep(100);
        }
        await stack.stop();
        const keyFiles = (await filesBelow(join(own, 'keys'))).filter((path) => !path.endsWith('.json'));
        assert.ok(keyFiles.some((path) => path.endsWith('secret.key')));
        const bytes = (text: string): Uint8Array => Buffer.from(text, 'utf8');
        const secrets = new Map<string, Uint8Array>([
          ['the token of the API', bytes(stack.token)],
          ['the password of Redis', bytes(decodeURIComponent(new URL(redis.url).password))],
          ['the token of the collector', bytes(HEADER_SECRET)],
          ['the token of the operators', bytes(OPERATOR)],
          ['the name of the job', bytes(JOB_NAME)],
          ...(await Promise.all(
            keyFiles.map(async (path): Promise<[string, Uint8Array]> => [path.slice(own.length), await readFile(path)]),
          )),
          ...[...prepared.blobs].map(([digest, blob]): [string, Uint8Array] => [`blob ${digest}`, blob]),
        ]);
        const logs = new Map(
          await Promise.all(
            stack.processes.map(async ({ name, logFile }): Promise<[string, string]> => [
              name,
              await readFile(logFile, 'utf8'),
            ]),
          ),
        );
        return {
          jobs: { succeeded: followed.job, failed, cancelled },
          refreshes: followed.refresh.count,
          board,
          secrets,
          logs,
        };
      }),
    );
    const { spans, headers, bodies } = receiver;
    return { ...seen, spans, headers, sent: Buffer.concat(bodies), modules: await modulesIn(modulesFile) };
  } finally {
    await redis.stop();
    await receiver.close();
  }
}

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/**
 * Texts that would show bytes: themselves if they are text, else pieces from all over them in hexadecimal, in base64 as
 * it would be at every offset, and as numbers.
 */
export function tracesOf(secret: Uint8Array): string[] {
  const bytes = Buffer.from(secret);
  if (bytes.length < 200)
    return [bytes.toString('utf8'), bytes.toString('base64').replace(/=+$/, ''), bytes.toString('hex')];
  return Array.from({ length: 40 }, (_, i) => Math.floor(((bytes.length - 40) * i) / 39)).flatMap((at) => {
    const piece = bytes.subarray(at, at + 36);
    // Zeroes and the like are in everything.
    if (new Set(piece).size < 12) return [];
    return [
      piece.toString('hex').slice(0, 24),
      ...[0, 1, 2].map((shift) =>
        piece
          .subarray(shift, shift + 33)
          .toString('base64')
          .slice(0, 24),
      ),
      Array.from(piece.subarray(0, 12)).join(','),
    ];
  });
}
