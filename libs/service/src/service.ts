/** What the services without an HTTP API of their own have in common: how they are set up, watched and stopped. */
import { pino } from 'pino';
import type { Registry } from 'prom-client';
import { startHealthServer, type HealthServer } from './health-server.ts';
import { createLogger, type Logger } from './logger.ts';
import { createMetrics } from './metrics.ts';
import { addRedisUp } from './redis-metrics.ts';
import { parseRedisUrl } from './redis-url.ts';
import { checkRedis, checkRedisPolicy, connectRedis, waitForRedis, type RedisConnection } from './redis.ts';
import type { TracingOptions } from './span-export.ts';
import { Tracing } from './tracing.ts';

/** How long a service waits for Redis when it starts. Milliseconds. */
const REDIS_PATIENCE_MS = 30_000;

export interface ServiceOptions {
  readonly redisUrl: string;
  readonly storeUrl: string;
  /** For a store behind the API. */
  readonly token?: string | undefined;
  /** Local copies of blobs, for a store that is not a directory. */
  readonly cacheDir: string;
  readonly cacheBytes: number;
  readonly queuePrefix: string;
  /** Of the health and metrics server. @default '127.0.0.1' */
  readonly host?: string;
  /** 0 for any free port. @default 0 */
  readonly metricsPort?: number;
  readonly logLevel?: string;
  /** @default no tracing */
  readonly tracing?: TracingOptions | undefined;
  /** @default one that writes JSON to standard error */
  readonly logger?: Logger;
}

export interface ServiceBase {
  readonly logger: Logger;
  readonly redis: RedisConnection;
  readonly registry: Registry;
  readonly tracing: Tracing;
  /** Serves health and metrics; call it when the service is ready for work. */
  readonly serveHealth: () => Promise<HealthServer>;
}

/**
 * Connects to Redis and makes logger and metrics.
 * @throws {BlindfitError} `REDIS_UNAVAILABLE`, `REDIS_POLICY`
 */
export async function openService(service: string, options: ServiceOptions): Promise<ServiceBase> {
  const logger =
    options.logger ?? createLogger({ service, level: options.logLevel ?? 'info', destination: pino.destination(2) });
  const redis = connectRedis(parseRedisUrl(options.redisUrl), logger);
  await waitForRedis(redis, REDIS_PATIENCE_MS);
  await checkRedisPolicy(redis, logger);
  const registry = createMetrics({ service, version: '0.1.0' });
  addRedisUp(registry, redis);
  const { host, metricsPort } = options;
  return {
    logger,
    redis,
    registry,
    tracing: await Tracing.open(service, '0.1.0', options.tracing, logger),
    serveHealth: () =>
      startHealthServer({
        ...(host === undefined ? {} : { host }),
        ...(metricsPort === undefined ? {} : { port: metricsPort }),
        logger,
        registry,
        checks: { redis: () => checkRedis(redis) },
      }),
  };
}
