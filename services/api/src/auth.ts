import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Scope } from '@blindfit/protocol';
import type { Authenticator, Principal } from './principals.ts';
import { ApiError, handleError, tooMany } from './problems.ts';
import type { RateWindow } from './rate-window.ts';
import { SCOPE_RULES, scopesFor, type ScopeRules } from './scopes.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; undefined on open routes. */
    principal: Principal | undefined;
    /** Code of a failed authentication. */
    refusal: string | undefined;
    /** Whether the token opens the route still, for answers that go on for long. */
    mayGoOn: () => Promise<boolean>;
  }
}

export interface BearerAuthOptions {
  readonly authenticate: Authenticator;
  /** @default those of the API */
  readonly rules?: ScopeRules | undefined;
  /** Routes that answer without a token. @default /healthz and /readyz, which probes ask without credentials */
  readonly open?: readonly string[] | undefined;
  /**
   * Path below which any token opens everything, also as the password of HTTP Basic: browsers can ask for that by
   * themselves, and they send it to nothing else.
   */
  readonly basicBelow?: string | undefined;
  /** Failed authentications of addresses; beyond the limit they are answered without their reason. */
  readonly refusals?: RateWindow | undefined;
  /**
   * Path below which an own token is asked for, or one with the scope `operate` that was made for it; as bearer or with
   * HTTP Basic.
   */
  readonly operators?: { readonly below: string; readonly token: string } | undefined;
}

/**
 * Asks for `Authorization: Bearer <token>` on every route but the open ones, and for a scope of the route's rule.
 * Answers 401 or 403 before anything of the request body is read. Unknown routes ask as well, so that a stranger cannot
 * tell them apart. Call it on the root instance, before routes are added.
 */
export function addBearerAuth(app: FastifyInstance, options: BearerAuthOptions): void {
  const { authenticate, rules = SCOPE_RULES, basicBelow, operators } = options;
  const open = new Set(options.open ?? ['/healthz', '/readyz']);
  const staff = operators && { below: operators.below, expected: sha256(operators.token) };
  const refuseOrLimit: typeof refuse = (request, reply, error, basic) => {
    if (error.status !== 401 || options.refusals?.admit(request.ip) !== false)
      return refuse(request, reply, error, basic);
    request.refusal = error.code;
    void reply.header('retry-after', '60');
    return refuse(request, reply, tooMany('refusals', 'send a token that opens the API'));
  };
  app.decorateRequest('principal', undefined);
  app.decorateRequest('refusal', undefined);
  app.decorateRequest('mayGoOn', () => Promise.resolve(true));
  app.addHook('onRoute', ({ method, url }) => {
    if (open.has(url) || isBelow(url, basicBelow) || isBelow(url, staff?.below)) return;
    for (const each of [method].flat()) scopesFor(rules, each, url);
  });
  app.addHook('onRequest', async (request, reply) => {
    const route = request.routeOptions.url;
    if (route !== undefined && open.has(route)) return;
    const forStaff = staff !== undefined && isBelow(route, staff.below);
    const basic = forStaff || isBelow(route, basicBelow);
    const given = tokenOf(request.headers.authorization ?? '', basic);
    if (forStaff && given !== undefined && timingSafeEqual(sha256(given), staff.expected)) return;
    let principal: Principal | undefined;
    try {
      principal = given === undefined ? undefined : await authenticate(given);
    } catch (error) {
      if (error instanceof ApiError) return refuseOrLimit(request, reply, error, basic);
      throw error;
    }
    if (principal === undefined || (forStaff && principal.name === 'root'))
      return refuseOrLimit(request, reply, unauthorized(given, basic, forStaff), basic);
    request.principal = narrowed(principal, request.headers[SCOPE_HEADER]);
    const needed: readonly Scope[] = forStaff
      ? ['operate']
      : route === undefined || basic
        ? []
        : scopesFor(rules, request.method, route);
    const opens = ({ scopes }: Principal): boolean => needed.length === 0 || needed.some((scope) => scopes.has(scope));
    if (opens(request.principal)) {
      request.mayGoOn = async () => {
        try {
          const now = given === undefined ? undefined : await authenticate(given);
          return now?.tenant === principal.tenant && opens(narrowed(now, request.headers[SCOPE_HEADER]));
        } catch (error) {
          // Redis or the issuer may be away, which says nothing about the token.
          return !(error instanceof ApiError && error.status === 401);
        }
      };
      return;
    }
    return refuse(
      request,
      reply,
      new ApiError(
        403,
        'SCOPE_MISSING',
        'The token does not allow this',
        `${request.method} ${request.routeOptions.url} needs the scope ${needed.join(' or ')}, and the token has ` +
          ([...principal.scopes].join(', ') || 'none'),
        principal.name.startsWith('oidc:')
          ? 'ask for that scope at the identity provider, or an operator for a token: blindfit token create'
          : 'ask an operator for a token with that scope: blindfit token create',
      ),
    );
  });
}

/** Names the one scope that a request makes use of, of those that its token has. */
const SCOPE_HEADER = 'blindfit-scope';

/**
 * Services whose token may do more than they need say so: what a worker stores belongs to the tenant of its job, not
 * to that of a token which could be an owner's as well.
 */
function narrowed(principal: Principal, scope: string | string[] | undefined): Principal {
  if (scope === undefined) return principal;
  return { ...principal, scopes: new Set([...principal.scopes].filter((each) => each === scope)) };
}

/** Who asks on a route that is not open. */
export function principalOf(request: FastifyRequest): Principal {
  if (request.principal === undefined) throw new Error(`${request.method} ${request.url} has no principal`);
  return request.principal;
}

function unauthorized(given: string | undefined, basic: boolean, forStaff: boolean): ApiError {
  const variable = forStaff ? 'BLINDFIT_OPERATOR_TOKEN' : 'BLINDFIT_TOKEN';
  return new ApiError(
    401,
    'UNAUTHORIZED',
    'Not authorized',
    given === undefined
      ? 'the request carries no bearer token'
      : `the ${basic ? '' : 'bearer '}token is not the one this API was started with, nor one that it has made`,
    `send "Authorization: Bearer TOKEN" with the value of ${variable}`,
  );
}

/** Not by throwing: plugins may have error handlers of their own. */
async function refuse(
  request: FastifyRequest,
  reply: FastifyReply,
  error: ApiError,
  basic?: boolean,
): Promise<FastifyReply> {
  if (error.status === 401) {
    request.refusal = error.code;
    void reply.header(
      'www-authenticate',
      basic === true
        ? ['Bearer realm="blindfit"', 'Basic realm="blindfit", charset="UTF-8"']
        : 'Bearer realm="blindfit"',
    );
  }
  await handleError(error, request, reply);
  return reply;
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
