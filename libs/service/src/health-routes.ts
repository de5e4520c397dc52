import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import { messageOf } from '@blindfit/base';

/** Resolves when all is well, rejects with the reason when not. */
export type ReadinessCheck = () => Promise<void>;

export interface HealthOptions {
  /** What must work before requests or jobs make sense, by name, for example `redis`. */
  checks: Readonly<Record<string, ReadinessCheck>>;
  registry: Registry;
  /** Milliseconds until a check counts as failed. @default 2000 */
  timeoutMs?: number;
}

/**
 * Adds three routes to a server: `/healthz` (200 as long as the process answers), `/readyz` (200, or 503 naming the
 * failing checks and their reasons) and `/metrics` (Prometheus).
 */
export function healthRoutes(app: FastifyInstance, options: HealthOptions): Promise<void> {
  const timeoutMs = options.timeoutMs ?? 2_000;
  // Probes come every few seconds and say nothing while all is well.
  const quiet = { logLevel: 'warn' } as const;

  app.get('/healthz', quiet, async (_request, reply) => {
    await reply.header('cache-control', 'no-store').send({ status: 'ok', uptimeSeconds: Math.round(process.uptime()) });
  });

  app.get('/readyz', quiet, async (_request, reply) => {
    const results = await Promise.all(
      Object.entries(options.checks).map(async ([name, check]) => [name, await outcomeOf(check, timeoutMs)] as const),
    );
    const failing = results.filter(([, outcome]) => outcome !== 'ok').map(([name]) => name);
    await reply
      .code(failing.length === 0 ? 200 : 503)
      .header('cache-control', 'no-store')
      .send({ status: failing.length === 0 ? 'ready' : 'unready', failing, checks: Object.fromEntries(results) });
  });

  app.get('/metrics', quiet, async (_request, reply) => {
    await reply.type(options.registry.contentType).send(await options.registry.metrics());
  });
  return Promise.resolve();
}

/** `ok` or the reason. A check that hangs, as commands to an absent Redis do, must not hang the probe. */
async function outcomeOf(check: ReadinessCheck, timeoutMs: number): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`no answer within ${timeoutMs} ms`), timeoutMs);
  });
  // Through an async function, so that a check that throws before it returns a promise is caught as well.
  const outcome = (async () => {
    await check();
    return 'ok';
  })().catch(messageOf);
  try {
    return await Promise.race([outcome, late]);
  } finally {
    clearTimeout(timer);
  }
}
