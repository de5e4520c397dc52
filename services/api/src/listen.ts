/** The port of the API: first of a server that says what the start waits for, then of the API itself. */
import type { AddressInfo } from 'node:net';
import fastify, { type FastifyInstance } from 'fastify';
import { BlindfitError, errnoOf, messageOf } from '@blindfit/base';
import { healthRoutes, type HealthServer, type Logger, type Readiness } from '@blindfit/service';
import { SERVER_TIMEOUTS } from './bounds.ts';
import { MIN_TLS_VERSION, type TlsIdentity } from './tls.ts';

export interface Address {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
}

/** Seconds after which a client that came too early comes again. */
const RETRY_AFTER_S = 2;

/** Answers `/healthz` and `/readyz` while the API starts, and every other request with 503. */
export async function serveWhileStarting(
  readiness: Readiness,
  logger: Logger,
  { tls, ...address }: Address & { readonly tls: TlsIdentity | undefined },
): Promise<HealthServer> {
  const options = { loggerInstance: logger.child({}, { level: 'warn' }), forceCloseConnections: true };
  const app = (tls === undefined
    ? fastify({ ...options, http: SERVER_TIMEOUTS })
    : fastify({
        ...options,
        https: { ...tls, minVersion: MIN_TLS_VERSION, ...SERVER_TIMEOUTS },
      })) as unknown as FastifyInstance;
  // Another server takes the port over: no client shall wait for an answer on a connection to this one.
  app.addHook('onSend', (_request, reply, _payload, done) => {
    void reply.header('connection', 'close');
    done();
  });
  app.setNotFoundHandler(async (_request, reply) => {
    const problem = { type: 'about:blank', title: 'The API is starting', status: 503, code: 'STARTING' };
    await reply
      .code(503)
      .headers({
        'retry-after': RETRY_AFTER_S,
        'cache-control': 'no-store',
        'content-type': 'application/problem+json',
      })
      .send(JSON.stringify({ ...problem, detail: 'the API waits for what it needs; /readyz says for what' }));
  });
  await app.register(healthRoutes, { readiness });
  const url = await listen(app, address);
  const { port } = app.server.address() as AddressInfo;
  return { url, port, close: () => app.close() };
}

/** @throws {BlindfitError} `PORT_IN_USE`, `CANNOT_LISTEN` */
export async function listen(app: FastifyInstance, { host, port }: Address): Promise<string> {
  try {
    return await app.listen({ host, port });
  } catch (error) {
    if (errnoOf(error) === 'EADDRINUSE') {
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
