import { BlindfitError, messageOf } from '@blindfit/base';
import {
  FileBlobStore,
  InvalidStoreUrlError,
  isCollectable,
  openBlobStore,
  type CollectableBlobStore,
} from '@blindfit/blobs';
import { JobChanges, JobStore, openQueue, traceJobs, type ChainPayload, type JobPayload } from '@blindfit/queue';
import {
  addRedisMemory,
  addRedisUp,
  ConfigError,
  checkRedis,
  checkRedisPolicy,
  connectRedis,
  createLogger,
  createMetrics,
  parseRedisUrl,
  Tracing,
  waitForRedis,
  type Logger,
  type TracingOptions,
} from '@blindfit/service';
import packageJson from '../package.json' with { type: 'json' };
import { buildApi } from './app.ts';
import { startCollector } from './collector.ts';
import { addCollectorMetrics, addStoreMetrics } from './metrics.ts';

export interface StartApiOptions {
  /** `redis://...`, `rediss://...` or `unix:///path`. */
  redisUrl: string;
  /** `file:///absolute/directory` or `s3://bucket/prefix`. */
  storeUrl: string;
  /** What clients and workers must send as bearer token. */
  token: string;
  /** Token of the operators' page of queues at `/admin/queues`. @default no such page */
  operatorToken?: string | undefined;
  /** Address to listen on. @default '127.0.0.1' */
  host?: string;
  /** 0 for any free port. @default 8080 */
  port?: number;
  /** Prefix of all keys in Redis, with a hash tag. @default '{blindfit}' */
  queuePrefix?: string;
  /** Largest blob accepted, in bytes. @default 1 GiB */
  maxBlobBytes?: number;
  /** Largest manifest accepted, in bytes. @default 64 MiB */
  maxManifestBytes?: number;
  /** Milliseconds that blobs no job refers to are kept; `Infinity`: for ever. @default 24 hours */
  retentionMs?: number;
  /** Compute threads to plan jobs for even while fewer are there. @default 0 */
  planThreads?: number;
  /** Least important events that are logged, when no logger is given; they go to standard error. @default 'info' */
  logLevel?: string;
  logger?: Logger;
  /** @default no tracing */
  tracing?: TracingOptions | undefined;
  /** Milliseconds to wait for Redis before giving up. @default 10000 */
  redisTimeoutMs?: number;
  /** Milliseconds between heartbeats of event streams. @default 15000 */
  heartbeatMs?: number;
}

export interface RunningApi {
  /** Base URL, for example `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Ends event streams, lets other answers finish, and gives everything back. May be called repeatedly. */
  close(): Promise<void>;
}

/** Of a command to Redis, so that no request hangs when Redis goes away while it is being answered. Milliseconds. */
const COMMAND_TIMEOUT_MS = 10_000;

/**
 * Starts the API: connects to Redis and checks its policy, opens the blob store, listens. Installs no signal handlers.
 *
 * @throws {ConfigError} when one token opens both the API and the operators' page
 * @throws {BlindfitError} `REDIS_UNAVAILABLE`, `REDIS_POLICY`, `PORT_IN_USE`, `CANNOT_LISTEN`
 * @throws {StorageError} for a store that is neither a directory nor in S3, or cannot be used
 */
export async function startApi(options: StartApiOptions): Promise<RunningApi> {
  if (options.operatorToken === options.token) {
    throw new ConfigError([
      'BLINDFIT_OPERATOR_TOKEN: the same as BLINDFIT_TOKEN; allowed: another one, so that who may look at ' +
        'queues may not submit jobs, and the other way round',
    ]);
  }
  const logger =
    options.logger ?? createLogger({ service: 'api', level: options.logLevel ?? 'info', destination: process.stderr });
  const stops: (() => unknown)[] = [];
  let closed: Promise<void> | undefined;
  const stopAll = async (): Promise<void> => {
    for (let stop = stops.pop(); stop !== undefined; stop = stops.pop()) await stop();
  };
  try {
    const tracing = await Tracing.open('api', packageJson.version, options.tracing, logger);
    stops.push(() => tracing.close());
    const retention = options.retentionMs ?? 24 * 3_600_000;
    const store = await openStore(options.storeUrl);
    stops.push(() => store.close());
    const redis = connectRedis({ ...parseRedisUrl(options.redisUrl), commandTimeout: COMMAND_TIMEOUT_MS }, logger);
    stops.push(() => redis.disconnect());
    await waitForRedis(redis, options.redisTimeoutMs ?? 10_000);
    await checkRedisPolicy(redis, logger);

    const prefix = options.queuePrefix ?? '{blindfit}';
    const jobs = new JobStore(redis, prefix);
    traceJobs(tracing, jobs, (error) => logger.debug({ err: error }, 'the span of a job is lost'));
    const changes = await JobChanges.open(redis, jobs.keys);
    stops.push(() => changes.close());
    const queues = {
      jobs: openQueue<JobPayload>('jobs', redis, prefix),
      chains: openQueue<ChainPayload>('chains', redis, prefix),
      tasks: openQueue<unknown>('tasks', redis, prefix),
    };
    for (const queue of Object.values(queues)) {
      // Its only errors are those of the connection, which reports them itself.
      queue.on('error', () => undefined);
      stops.push(() => queue.close());
    }
    const registry = createMetrics({ service: 'api', version: packageJson.version });
    addRedisUp(registry, redis);
    addRedisMemory(registry, redis);
    if (store instanceof FileBlobStore) addStoreMetrics(registry, store.root);
    const collectorMetrics = addCollectorMetrics(registry);
    const app = await buildApi({
      redis,
      jobs,
      changes,
      queues,
      store,
      checks: { redis: () => checkRedis(redis), store: () => store.check() },
      registry,
      tracing,
      logger,
      version: packageJson.version,
      token: options.token,
      ...(options.operatorToken === undefined ? {} : { operatorToken: options.operatorToken }),
      maxBlobBytes: options.maxBlobBytes ?? 2 ** 30,
      ...(options.planThreads === undefined ? {} : { planThreads: options.planThreads }),
      ...(options.maxManifestBytes === undefined ? {} : { maxManifestBytes: options.maxManifestBytes }),
      ...(options.heartbeatMs === undefined ? {} : { heartbeatMs: options.heartbeatMs }),
    });
    stops.push(() => app.close());
    const url = await listen(app, options.host ?? '127.0.0.1', options.port ?? 8080);
    if (retention < Infinity) {
      const collector = startCollector({
        store,
        redis,
        jobs,
        prefix,
        retentionMs: retention,
        logger,
        metrics: collectorMetrics,
      });
      stops.push(() => collector.close());
    }
    logger.info({ url, docs: `${url}/docs` }, 'the API is listening');
    return {
      url,
      close: () => {
        closed ??= stopAll();
        return closed;
      },
    };
  } catch (error) {
    await stopAll();
    throw error;
  }
}

async function openStore(url: string): Promise<CollectableBlobStore> {
  const store = await openBlobStore(url);
  try {
    // It would be this API, or one that could be asked directly.
    if (!isCollectable(store))
      throw new InvalidStoreUrlError(url, 'the API itself keeps the blobs, in a directory or in S3');
    await store.check();
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function listen(app: Awaited<ReturnType<typeof buildApi>>, host: string, port: number): Promise<string> {
  try {
    return await app.listen({ host, port });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EADDRINUSE') {
      throw new BlindfitError('PORT_IN_USE', `port ${port} of ${host} is in use by another program`, {
        hint:
          `stop that program (ss -ltnp "sport = :${port}" shows it) or choose another port with BLINDFIT_PORT ` +
          '(0: any free one)',
        cause: error,
      });
    }
    throw new BlindfitError('CANNOT_LISTEN', `cannot listen on port ${port} of ${host}: ${messageOf(error)}`, {
      hint:
        'correct BLINDFIT_HOST (127.0.0.1: this machine only, 0.0.0.0: all interfaces) and BLINDFIT_PORT ' +
        '(from 1024, unless root)',
      cause: error,
    });
  }
}
