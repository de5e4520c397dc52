/** What a client may take of the API: connections, time, requests. */
import type { Socket } from 'node:net';
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Connection } from '@blindfit/queue';
import { Gate, type GateLimits } from './gate.ts';
import { ApiError, handleError, tooMany, type Limited } from './problems.ts';

/** Limits of clients; those of one address count for the clients behind one proxy together. */
export interface Bounds {
  /** Open connections, of an address and in all. */
  readonly connections: GateLimits;
  /** Event streams, of a tenant and in all. */
  readonly streams: GateLimits;
  /** Uploads and submissions under way, of a tenant and in all. */
  readonly uploads: GateLimits;
  /** Large submissions whose bodies are held in memory, of a tenant and in all. */
  readonly largeBodies: GateLimits;
  /** Requests a minute of a tenant; services and operators have no limit. */
  readonly requestsPerMinute: number;
  /** Failed authentications a minute of an address, after which it is not answered with their reason any more. */
  readonly refusalsPerMinute: number;
  /** Milliseconds that the body of a small request may take. */
  readonly bodyMs: number;
  /** An upload must have got this many bytes a second on average, after `bodyMs`. */
  readonly minUploadRate: number;
}

export const DEFAULT_BOUNDS: Bounds = {
  connections: { perKey: 1_000, total: 8_000 },
  streams: { perKey: 250, total: 4_000 },
  uploads: { perKey: 64, total: 512 },
  largeBodies: { perKey: 2, total: 3 },
  requestsPerMinute: 60_000,
  refusalsPerMinute: 600,
  bodyMs: 30_000,
  minUploadRate: 4_096,
};

/** Bodies up to here are parsed at once, and held in any number. Bytes. */
export const SMALL_BODY = 128 * 1024;

/** For Node's server: how long headers and silence may take. Milliseconds. */
export const SERVER_TIMEOUTS = {
  headersTimeout: 20_000,
  connectionsCheckingInterval: 5_000,
} as const;

/** Closes connections beyond the limit as soon as they are opened. */
export function limitConnections(app: FastifyInstance, limits: GateLimits): void {
  const gate = new Gate(limits);
  const admit = (socket: Socket): void => {
    const leave = gate.enter(socket.remoteAddress ?? '');
    if (leave === undefined) socket.destroy();
    else socket.once('close', leave);
  };
  app.server.on('connection', admit);
}

/**
 * Limits the requests of tenants, over all instances of the API. Call it behind the authentication and before routes
 * are added. Redis being away lifts the limit.
 */
export async function limitRequests(
  app: FastifyInstance,
  redis: Connection,
  prefix: string,
  requestsPerMinute: number,
): Promise<void> {
  await app.register(rateLimit, {
    max: requestsPerMinute,
    timeWindow: 60_000,
    redis,
    nameSpace: `${prefix}:requests:`,
    skipOnError: true,
    keyGenerator: (request) => request.principal?.tenant ?? request.ip,
    // Services ask as often as their tasks need; who holds such a token is no stranger.
    allowList: ({ principal }) =>
      principal === undefined || principal.scopes.has('work') || principal.scopes.has('operate'),
    errorResponseBuilder: (_request, { after }) => tooMany('requests', `try again in ${after}`),
  });
}

/** Whether a body may be large: it says so, or does not say how large it is. */
export function mayBeLarge({ headers }: FastifyRequest): boolean {
  const { 'content-length': length } = headers;
  return length === undefined || !(Number(length) <= SMALL_BODY);
}

/** Lets as many answers of a tenant be under way as the gate allows. @throws ApiError 429 */
export function enter(gate: Gate, request: FastifyRequest, reply: FastifyReply, what: Limited): void {
  const { principal } = request;
  if (principal === undefined || (principal.scopes.has('work') && what !== 'large submissions')) return;
  const leave = gate.enter(principal.tenant);
  if (leave === undefined) {
    void reply.header('retry-after', '1');
    throw tooMany(
      what,
      what === 'streams'
        ? 'one stream can carry all jobs: GET /v1/jobs/events'
        : 'try again when some of them have ended',
    );
  }
  reply.raw.once('close', leave);
}

/**
 * Gives a body so much time: it must be complete then, or, with a rate, have come at this rate so far. Else the client
 * gets 408 and is cut off.
 */
export function limitBodyTime(
  request: FastifyRequest,
  reply: FastifyReply,
  { bodyMs, minUploadRate }: Pick<Bounds, 'bodyMs'> & { readonly minUploadRate?: number },
): void {
  const { raw } = request;
  const { socket } = raw;
  if (raw.complete) return;
  const started = performance.now();
  const before = socket.bytesRead;
  const timer = setInterval(() => {
    if (raw.complete) return clearInterval(timer);
    const rate = (1000 * (socket.bytesRead - before)) / (performance.now() - started);
    if (minUploadRate !== undefined && rate >= minUploadRate) return;
    clearInterval(timer);
    const error = new ApiError(
      408,
      'BODY_TOO_SLOW',
      'The body took too long',
      `the body is not complete after ${Math.round((performance.now() - started) / 1000)} s`,
      'send it faster, or over a better connection',
    );
    request.log.info({ reason: error.message }, 'a client was too slow');
    if (reply.raw.headersSent) {
      socket.destroy();
      return;
    }
    void handleError(error, request, reply.header('connection', 'close')).finally(() => {
      setTimeout(() => socket.destroy(), 1000).unref();
    });
  }, bodyMs).unref();
  raw.once('close', () => clearInterval(timer));
}
