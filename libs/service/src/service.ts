/** The common part of all services: how they are set up, watched and stopped. */
import { pino } from 'pino';
import type { Registry } from 'prom-client';
import { defined } from '@blindfit/base';
import { startHealthServer, type HealthServer } from './health-server.ts';
import { createLogger, type Logger } from './logger.ts';
import { createMetrics } from './metrics.ts';
import { Readiness } from './readiness.ts';
import { addRedisUp } from './redis-metrics.ts';
import { parseRedisUrl } from './redis-url.ts';
import {
  checkRedis,
  checkRedisPolicy,
  connectRedis,
  waitForRedis,
  type ConnectOptions,
  type RedisConnection,
} from './redis.ts';
import type { TracingOptions } from './span-export.ts';
import { Tracing } from './tracing.ts';
import { REVISION, VERSION } from './version.ts';

/** How long a service waits for Redis when it starts. Milliseconds. */
const REDIS_PATIENCE_MS = 30_000;

export interface ServiceOptions {
  /** `redis://...`, `rediss://...`, the same with `-cluster`, or `unix:///path`. */
  readonly redisUrl: string;
  /** Milliseconds to wait for Redis at the start. @default 30000 */
  readonly redisTimeoutMs?: number | undefined;
  /** Milliseconds after which a command to Redis fails. @default no limit */
  readonly commandTimeoutMs?: number | undefined;
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
}

/** Options of the services that compute on ciphertexts. */
export interface ComputeOptions extends ServiceOptions {
  readonly storeUrl: string;
  /** Bearer token of a store behind the API. */
  readonly token?: string | undefined;
  /** Local copies of blobs, for a store that is not a directory. */
  readonly cacheDir: string;
  readonly cacheBytes: number;
  /** Prefix of all keys in Redis, with a hash tag. */
  readonly queuePrefix: string;
}

export interface ServiceBase {
  readonly logger: Logger;
  readonly redis: RedisConnection;
  readonly registry: Registry;
  readonly tracing: Tracing;
  /** The conditions of `/readyz`, among them `redis`. */
  readonly readiness: Readiness;
  /** Serves health and metrics; call it when the service is ready for work. */
  readonly serveHealth: () => Promise<HealthServer>;
  /** Sends the last spans and disconnects from Redis. */
  readonly close: () => Promise<void>;
}

/**
 * Connects to Redis and makes logger, metrics and tracing.
 * @throws {BlindfitError} `REDIS_UNAVAILABLE`, `REDIS_POLICY`; nothing is left open then
 */
export async function openService(service: string, options: ServiceOptions): Promise<ServiceBase> {
  const { logLevel = 'info', redisTimeoutMs = REDIS_PATIENCE_MS, commandTimeoutMs, host, metricsPort } = options;
  const { logger = createLogger({ service, level: logLevel, destination: pino.destination(2) }) } = options;
  const redis = connectRedis(
    defined<ConnectOptions>({ ...parseRedisUrl(options.redisUrl), commandTimeout: commandTimeoutMs }),
    logger,
  );
  try {
    await waitForRedis(redis, redisTimeoutMs);
    await checkRedisPolicy(redis, logger);
    const tracing = await Tracing.open(service, VERSION, options.tracing, logger);
    const registry = createMetrics({ service, version: VERSION, revision: REVISION });
    addRedisUp(registry, redis);
    const readiness = new Readiness({ redis: () => checkRedis(redis) });
    return {
      logger,
      redis,
      registry,
      tracing,
      readiness,
      serveHealth: () => startHealthServer({ host, port: metricsPort, logger, registry, readiness }),
      close: async () => {
        await tracing.close();
        redis.disconnect();
      },
    };
  } catch (error) {
    redis.disconnect();
    throw error;
  }
}
