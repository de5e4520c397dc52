import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { BlindfitError, redisOutageOf } from '@blindfit/base';
import type { Logger } from './logger.ts';
import { redisRefusal } from './redis-refusal.ts';
import type { RedisAddress } from './redis-url.ts';
import { PatientSentinelConnector } from './sentinel-connector.ts';

/** One server, or a cluster of them: commands are the same, as long as all keys of one share a hash tag. */
export type RedisConnection = Redis | Cluster;

export type ConnectOptions = RedisAddress & Pick<RedisOptions, 'commandTimeout'>;

/** The key that `/readyz` writes goes by itself. Milliseconds. */
const PROBE_MS = 60_000;
/** Longest wait between two attempts to connect. Milliseconds. */
const MAX_BACKOFF_MS = 5_000;

/** A connection to a server that became a replica looks for its successor at most so often. Milliseconds. */
const RECONNECT_MS = 1_000;

/** A Sentinel that has not answered in this time hangs, and the next one is asked. Milliseconds. */
const SENTINEL_ANSWER_MS = 3_000;

/** When each connection was last cut because of an error reply; connections are told apart by their options. */
const lastCuts = new WeakMap<object, number>();

/**
 * What ioredis does on an error reply. A server that takes no writes any more has been demoted: the address may lead to
 * its successor, but only a new connection goes there. The command is sent again then (2), or fails with the reply
 * (false) when the connection is new already.
 */
function reconnectOnError(this: unknown, error: Error): 2 | false {
  const outage = redisOutageOf(error);
  if (outage !== 'READONLY' && outage !== 'UNBLOCKED') return false;
  const options = this as object;
  const now = performance.now();
  const last = lastCuts.get(options);
  if (last !== undefined && now - last < RECONNECT_MS) return false;
  lastCuts.set(options, now);
  return 2;
}

/** Why connections are away, by connection, for `/readyz`. */
const reasons = new WeakMap<RedisConnection, string>();

/**
 * Connects to Redis and stays connected: it retries without end, with a wait that doubles from 100 ms to 5 s, and
 * commands wait until then (which BullMQ needs). Returns at once. An outage is logged once when it begins and once when
 * it is over.
 */
export function connectRedis({ nodes, ...options }: ConnectOptions, logger: Logger): RedisConnection {
  const backoff = (times: number): number =>
    Math.min(MAX_BACKOFF_MS, 50 * 2 ** Math.min(times, 10)) * (0.75 + Math.random() / 4);
  const all = { ...options, maxRetriesPerRequest: null, enableReadyCheck: true, reconnectOnError };
  const redis: RedisConnection =
    nodes === undefined
      ? new Redis({
          ...all,
          replyMapping: 'legacy',
          retryStrategy: backoff,
          ...(options.sentinels !== undefined && sentinelOptions(backoff)),
        })
      : new Cluster(nodes, {
          redisOptions: { ...all, replyMapping: 'legacy' },
          clusterRetryStrategy: backoff,
          // While a replica takes over, which may take longer than sixteen redirections; the queues try again
          // themselves.
          slotsRefreshTimeout: 5_000,
          retryDelayOnFailover: 500,
          retryDelayOnClusterDown: 500,
          maxRedirections: 60,
          // The nodes of a cluster name each other by address: it is the certificates that need names.
          dnsLookup: (address, done) => done(null, address),
        });
  const server =
    (nodes ?? options.sentinels)?.map(({ host, port }) => `${host}:${port}`).join() ??
    options.path ??
    `${options.host ?? 'localhost'}:${options.port ?? 6379}`;
  let downSince: number | undefined;
  const down = (error?: Error): void => {
    if (error !== undefined) reasons.set(redis, error.message);
    if (downSince !== undefined) {
      logger.debug({ err: error, server }, 'Redis is still away');
      return;
    }
    downSince = Date.now();
    logger.error({ err: error, server }, 'Redis is away; trying again until it is back');
  };
  redis.on('error', down);
  // A server that goes down in good order causes no error, only a new attempt.
  redis.on('reconnecting', () => down());
  const up = async (): Promise<void> => {
    reasons.delete(redis);
    if (downSince === undefined) {
      logger.info({ server }, 'connected to Redis');
      return;
    }
    // A connection to a server that takes no writes is no end of an outage.
    while (redis instanceof Redis && redis.status === 'ready' && !(await isPrimary(redis))) await sleep(RECONNECT_MS);
    if (redis.status !== 'ready') return;
    logger.info({ server, outageSeconds: (Date.now() - downSince) / 1000 }, 'Redis is back');
    downSince = undefined;
  };
  // What fails here has its connection lost again.
  redis.on('ready', () => void up().catch(() => undefined));
  return redis;
}

/** Where Sentinels say who is the master: any of them may be away or hang, and the master may change at any time. */
function sentinelOptions(backoff: (times: number) => number) {
  return {
    Connector: PatientSentinelConnector,
    sentinelRetryStrategy: backoff,
    // No sentinelReconnectStrategy: ioredis leaves the rejection of a renewed subscription uncaught when the connection
    // is closed on purpose meanwhile. Every new connection subscribes to all Sentinels that are there.
    sentinelCommandTimeout: SENTINEL_ANSWER_MS,
    failoverDetector: true,
  };
}

async function isPrimary(redis: Redis): Promise<boolean> {
  return !/^role:slave/m.test(await redis.info('replication'));
}

/**
 * Waits until the connection is ready for commands.
 *
 * @throws {BlindfitError} `REDIS_UNAVAILABLE` after `timeoutMs` milliseconds, with the last reason
 */
export async function waitForRedis(redis: RedisConnection, timeoutMs: number): Promise<void> {
  if (redis.status === 'ready') return;
  let reason = 'no answer';
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const onReady = (): void => resolve(undefined);
  const onError = (error: Error): void => {
    reason = error.message;
  };
  redis.on('ready', onReady).on('error', onError);
  const timer = setTimeout(() => {
    reject(
      new BlindfitError('REDIS_UNAVAILABLE', `Redis did not become ready within ${timeoutMs} ms: ${reason}`, {
        hint: 'start Redis (Debian: apt-get install redis-server) or correct BLINDFIT_REDIS_URL',
        fault: 'world',
      }),
    );
  }, timeoutMs);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    redis.off('ready', onReady).off('error', onError);
  }
}

/**
 * Waits for the connection as long as it takes.
 * @throws {BlindfitError} `REDIS_REFUSED` when Redis refuses this user, or TLS this server
 */
export async function connected(redis: RedisConnection): Promise<void> {
  if (redis.status === 'ready') return;
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const onReady = (): void => resolve(undefined);
  const onError = (error: Error): void => {
    const refusal = redisRefusal(error);
    if (refusal !== undefined) reject(refusal);
  };
  redis.on('ready', onReady).on('error', onError);
  try {
    await promise;
  } finally {
    redis.off('ready', onReady).off('error', onError);
  }
}

/**
 * Rejects with a reason unless Redis takes writes: the check of `/readyz`. A replica, a server whose memory is full and
 * one that cannot write to its disk refuse the write, each with its own reply.
 * @param prefix of the keys that this user may write
 */
export async function checkRedis(redis: RedisConnection, prefix: string): Promise<void> {
  if (redis.status !== 'ready') {
    const reason = reasons.get(redis);
    throw new BlindfitError(
      'REDIS_UNAVAILABLE',
      `the connection to Redis is ${redis.status}${reason === undefined ? '' : `: ${reason}`}`,
      { fault: 'world' },
    );
  }
  await redis.set(`${prefix}:probe`, '1', 'PX', PROBE_MS);
}

/** How a Redis server treats our keys. */
export interface RedisPolicy {
  maxmemoryPolicy: string;
  /** Whether it writes an append-only file, so that a restart loses at most a second. */
  aof: boolean;
}

/**
 * Checks that Redis will not throw away queue keys when memory runs low, and warns when a crash would lose jobs. Uses
 * INFO, which managed servers allow where CONFIG is forbidden.
 *
 * @throws {BlindfitError} `REDIS_POLICY` when the eviction policy is not `noeviction`
 */
export async function checkRedisPolicy(redis: RedisConnection, logger: Logger): Promise<RedisPolicy> {
  // Each server of a cluster has its own settings, and any of them may come to hold our slot.
  const servers = redis instanceof Cluster ? redis.nodes('master') : [redis];
  const infos = await Promise.all(
    servers.map(async (each) => `${await each.info('memory')}\n${await each.info('persistence')}`),
  );
  const field = (name: string, good: string): string => {
    const values = infos.map((info) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? 'unknown');
    return values.find((value) => value !== good) ?? good;
  };
  const maxmemoryPolicy = field('maxmemory_policy', 'noeviction');
  const aof = field('aof_enabled', '1') === '1';
  if (maxmemoryPolicy !== 'noeviction') {
    throw new BlindfitError(
      'REDIS_POLICY',
      `Redis has maxmemory-policy ${maxmemoryPolicy}: it may drop jobs when memory runs low`,
      {
        hint:
          'run: redis-cli CONFIG SET maxmemory-policy noeviction (and set it in redis.conf); ' +
          'of a managed Redis, set it in its parameters',
        fault: 'world',
      },
    );
  }
  if (!aof)
    logger.warn('Redis writes no append-only file: a crash loses recent jobs. Set "appendonly yes" in redis.conf');
  return { maxmemoryPolicy, aof };
}
