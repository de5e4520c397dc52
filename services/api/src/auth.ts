import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { ApiError, handleError } from './problems.ts';

export interface BearerAuthOptions {
  /** The token every client must send. */
  token: string;
  /** Routes that answer without it. @default /healthz and /readyz, which probes ask without credentials */
  open?: readonly string[];
  /**
   * Path below which HTTP Basic with the token as password is accepted, too: browsers can ask for that by themselves,
   * and they send it to nothing else.
   */
  basicBelow?: string;
  /** Path below which another token is asked for, and only that: the operators', as bearer or with HTTP Basic. */
  operators?: { readonly below: string; readonly token: string } | undefined;
}

/**
 * Asks for `Authorization: Bearer <token>` on every route but the open ones, and answers 401 before anything of the
 * request body is read. Unknown routes ask as well, so that a stranger cannot tell them apart. Call it on the root
 * instance, before routes are added.
 */
export function addBearerAuth(app: FastifyInstance, options: BearerAuthOptions): void {
  const { basicBelow, operators } = options;
  const clients = { expected: sha256(options.token), variable: 'BLINDFIT_TOKEN' };
  const staff =
    operators === undefined
      ? undefined
      : { below: operators.below, expected: sha256(operators.token), variable: 'BLINDFIT_OPERATOR_TOKEN' };
  const open = new Set(options.open ?? ['/healthz', '/readyz']);
  app.addHook('onRequest', (request, reply, done) => {
    const route = request.routeOptions.url;
    if (route !== undefined && open.has(route)) {
      done();
      return;
    }
    const forStaff = staff !== undefined && isBelow(route, staff.below);
    const { expected, variable } = forStaff ? staff : clients;
    const basic = forStaff || isBelow(route, basicBelow);
    const given = tokenOf(request.headers.authorization ?? '', basic);
    // Hashes have one length, so that neither length nor content of the token shows in the time this takes.
    if (given !== undefined && timingSafeEqual(sha256(given), expected)) {
      done();
      return;
    }
    void reply.header(
      'www-authenticate',
      basic ? ['Bearer realm="blindfit"', 'Basic realm="blindfit", charset="UTF-8"'] : 'Bearer realm="blindfit"',
    );
    const detail =
      given === undefined
        ? 'the request carries no bearer token'
        : `the ${basic ? '' : 'bearer '}token is not the one this API was started with`;
    // Not through done(): plugins may have error handlers of their own.
    void handleError(
      new ApiError(
        401,
        'UNAUTHORIZED',
        'Not authorized',
        detail,
        `send "Authorization: Bearer TOKEN" with the value of ${variable}`,
      ),
      request,
      reply,
    );
  });
}

function isBelow(route: string | undefined, path: string | undefined): boolean {
  return route !== undefined && path !== undefined && (route === path || route.startsWith(`${path}/`));
}

function tokenOf(header: string, basic: boolean): string | undefined {
  const bearer = /^Bearer +(\S+)$/i.exec(header)?.[1];
  const credentials = basic ? /^Basic +(\S+)$/i.exec(header)?.[1] : undefined;
  if (bearer !== undefined || credentials === undefined) return bearer;
  // user:password; a user name has no colon, and whatever it is does not matter.
  return /^[^:]*:(.*)$/s.exec(Buffer.from(credentials, 'base64').toString('utf8'))?.[1];
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
