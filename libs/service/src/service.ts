/** The common part of all services: how they are set up, watched and stopped. */
import { pino } from 'pino';
import type { Registry } from 'prom-client';
import { defined } from '@blindfit/base';
import { startHealthServer, type HealthServer } from './health-server.ts';
import { closedOrLeft } from './leave.ts';
import { createLogger, type Logger } from './logger.ts';
import { createMetrics, spansLostCounter } from './metrics.ts';
import { Readiness, type Condition } from './readiness.ts';
import { addRedisUp } from './redis-metrics.ts';
import { parseRedisUrl } from './redis-url.ts';
import {
  checkRedis,
  checkRedisPolicy,
  connectRedis,
  connected,
  type ConnectOptions,
  type RedisConnection,
} from './redis.ts';
import type { TracingOptions } from './span-export.ts';
import { Tracing } from './tracing.ts';
import { REVISION, VERSION } from './version.ts';
import { waitFor } from './waiting.ts';

export interface ServiceOptions {
  /** `redis://...`, `rediss://...`, the same with `-cluster`, or `unix:///path`. */
  readonly redisUrl: string;
  /** Milliseconds after which a command to Redis fails. @default no limit */
  readonly commandTimeoutMs?: number | undefined;
  /** Prefix of all keys in Redis, with a hash tag. @default '{blindfit}' */
  readonly queuePrefix?: string | undefined;
  /** Address to listen on. @default '127.0.0.1' */
  readonly host?: string | undefined;
  /** Port of the health and metrics server; 0 for any free port. @default 0 */
  readonly metricsPort?: number | undefined;
  /** Least important events that are logged, when no logger is given. @default 'info' */
  readonly logLevel?: string | undefined;
  /** @default no tracing */
  readonly tracing?: TracingOptions | undefined;
  /** @default one that writes JSON to standard error */
  readonly logger?: Logger | undefined;
  /** Serves health from the start on. @default a server of its own for health and metrics */
  readonly openHealth?: ((readiness: Readiness, logger: Logger) => Promise<HealthServer>) | undefined;
}

/** Options of the services that compute on ciphertexts. */
export interface ComputeOptions extends ServiceOptions {
  readonly storeUrl: string;
  /** Bearer token of a store behind the API. */
  readonly token?: string | undefined;
  /** Local copies of blobs, for a store that is not a directory. */
  readonly cacheDir: string;
  readonly cacheBytes: number;
  readonly queuePrefix: string;
}

export interface ServiceBase {
  readonly logger: Logger;
  readonly redis: RedisConnection;
  readonly registry: Registry;
  readonly tracing: Tracing;
  /** The conditions of `/readyz`, among them `redis` and `start`. */
  readonly readiness: Readiness;
  /** Does not hold until the service clears it: it says what the start waits for. */
  readonly start: Condition;
  /** Served since before Redis was there. */
  readonly health: HealthServer;
  /** Stops serving health, sends the last spans and disconnects from Redis. */
  readonly close: () => Promise<void>;
  /**
   * Stops the service: waits for `stop` and closes; without Redis it waits only while `isBusy`.
   * @param stop takes no new work, lets what runs end
   */
  readonly end: (stop: () => Promise<void>, isBusy?: () => boolean) => Promise<void>;
}

/**
 * Serves health, connects to Redis and makes logger, metrics and tracing. Waits for a Redis that is not there.
 * @throws {BlindfitError} `REDIS_REFUSED`, `REDIS_POLICY`; what `openHealth` throws. Nothing is left open then.
 */
export async function openService(service: string, options: ServiceOptions): Promise<ServiceBase> {
  const { logLevel = 'info', queuePrefix = '{blindfit}', commandTimeoutMs, host, metricsPort } = options;
  const { logger = createLogger({ service, level: logLevel, destination: pino.destination(2) }) } = options;
  const address = parseRedisUrl(options.redisUrl);
  const registry = createMetrics({ service, version: VERSION, revision: REVISION });
  const readiness = new Readiness();
  const start = readiness.condition('start');
  start.fail('starting');
  const open =
    options.openHealth ?? (() => startHealthServer({ host, port: metricsPort, logger, registry, readiness }));
  await using resources = new AsyncDisposableStack();
  const health = await open(readiness, logger);
  resources.defer(() => health.close());
  const redis = connectRedis(defined<ConnectOptions>({ ...address, commandTimeout: commandTimeoutMs }), logger);
  resources.defer(() => redis.disconnect());
  readiness.check('redis', () => checkRedis(redis, queuePrefix));
  addRedisUp(registry, redis);
  start.fail('waiting for Redis');
  await connected(redis);
  await waitFor({ what: 'Redis', condition: start, logger }, () => checkRedisPolicy(redis, logger));
  const tracing = await Tracing.open(service, VERSION, options.tracing, logger, spansLostCounter(registry));
  resources.defer(() => tracing.close());
  const held = resources.move();
  const close = (): Promise<void> => held.disposeAsync();
  const end: ServiceBase['end'] = async (stop, isBusy) => {
    if (await closedOrLeft(stop(), { redis, logger, isBusy })) return close();
    // Spans would be sent with a time limit of their own; the process ends now.
    redis.disconnect();
    await health.close();
  };
  return { logger, redis, registry, tracing, readiness, start, health, close, end };
}
