import type { AddressInfo } from 'node:net';
import fastify from 'fastify';
import { healthRoutes, type HealthOptions } from './health-routes.ts';
import type { Logger } from './logger.ts';

export interface HealthServerOptions extends HealthOptions {
  /** @default '127.0.0.1' */
  host?: string | undefined;
  /** 0 for any free port. @default 0 */
  port?: number | undefined;
  logger: Logger;
}

export interface HealthServer {
  /** Base URL, for example `http://127.0.0.1:9464`. */
  url: string;
  port: number;
  close(): Promise<void>;
}

/** Serves `/healthz`, `/readyz` and `/metrics` for a service that has no other HTTP server. */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const app = fastify({ loggerInstance: options.logger.child({}, { level: 'warn' }), forceCloseConnections: true });
  await app.register(healthRoutes, options);
  const url = await app.listen({ host: options.host ?? '127.0.0.1', port: options.port ?? 0 });
  const { port } = app.server.address() as AddressInfo;
  options.logger.info({ url }, 'health and metrics are served');
  return { url, port, close: () => app.close() };
}
