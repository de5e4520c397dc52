import { createHash, timingSafeEqual } from 'node:crypto';

import type { FastifyInstance } from 'fastify';

import { ApiError } from './problems.ts';

export interface BearerAuthOptions {
  /** The token every client must send. */
  token: string;
  /** Routes that answer without it. @default /healthz and /readyz, which probes ask without credentials */
  open?: readonly string[];
}

/**
 * Asks for `Authorization: Bearer <token>` on every route but the open ones, and answers 401 before anything of the request
 * body is read. Unknown routes ask as well, so that a stranger cannot tell them apart. Call it on the root instance, before
 * routes are added.
 */
export function addBearerAuth(app: FastifyInstance, options: BearerAuthOptions): void {
  const expected = sha256(options.token);
  const open = new Set(options.open ?? ['/healthz', '/readyz']);
  app.addHook('onRequest', (request, reply, done) => {
    const route = request.routeOptions.url;
    if (route !== undefined && open.has(route)) {
      done();
      return;
    }
    const given = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    // Hashes have one length, so that neither length nor content of the token shows in the time this takes.
    if (given !== undefined && timingSafeEqual(sha256(given), expected)) {
      done();
      return;
    }
    void reply.header('www-authenticate', 'Bearer realm="blindfit"');
    const detail = given === undefined ? 'the request carries no bearer token' : 'the bearer token is not the one this API was started with';
    done(new ApiError(401, 'UNAUTHORIZED', 'Not authorized', detail, 'send "Authorization: Bearer TOKEN" with the value of BLINDFIT_TOKEN'));
  });
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
