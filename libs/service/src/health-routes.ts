import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import type { Readiness } from './readiness.ts';

export interface HealthOptions {
  /** What must hold before requests or jobs make sense. */
  readiness: Readiness;
  /** @default no `/metrics` */
  registry?: Registry | undefined;
}

/**
 * Adds three routes to a server: `/healthz` (200 as long as the process answers), `/readyz` (200, or 503 naming the
 * failing checks and their reasons) and `/metrics` (Prometheus).
 */
export function healthRoutes(app: FastifyInstance, { readiness, registry }: HealthOptions): Promise<void> {
  // Probes come every few seconds and say nothing while all is well.
  const quiet = { logLevel: 'warn' } as const;

  app.get('/healthz', quiet, async (_request, reply) => {
    await reply.header('cache-control', 'no-store').send({ status: 'ok', uptimeSeconds: Math.round(process.uptime()) });
  });

  app.get('/readyz', quiet, async (_request, reply) => {
    const checks = await readiness.outcomes();
    const failing = Object.keys(checks).filter((name) => checks[name] !== 'ok');
    await reply
      .code(failing.length === 0 ? 200 : 503)
      .header('cache-control', 'no-store')
      .send({ status: failing.length === 0 ? 'ready' : 'unready', failing, checks });
  });

  if (registry !== undefined)
    app.get('/metrics', quiet, async (_request, reply) => {
      await reply.type(registry.contentType).send(await registry.metrics());
    });
  return Promise.resolve();
}
