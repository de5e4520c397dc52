/** Tokens of an identity provider: JWTs of one issuer, whose claims name the tenant and the scopes. */
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  jwtVerify,
  type JWTPayload,
  type JWTVerifyGetKey,
} from 'jose';
import { Type, type Static } from 'typebox';
import { messageOf } from '@blindfit/base';
import { checker, SCOPES, TenantSchema, type Scope } from '@blindfit/protocol';
import type { Authenticator, Principal } from './principals.ts';
import { ApiError } from './problems.ts';

export interface OidcOptions {
  /** Base of `/.well-known/openid-configuration`, and the claim `iss` of its tokens. */
  readonly issuer: string;
  /** A value of the claim `aud`. */
  readonly audience: string;
  /** @default 'tenant' */
  readonly tenantClaim?: string | undefined;
  /** A list, or a text with blanks. @default 'scope' */
  readonly scopeClaim?: string | undefined;
  /**
   * Milliseconds between two looks at the keys of the issuer because of a key that it did not have; after one that
   * failed at most two seconds. @default 30000
   */
  readonly cooldownMs?: number | undefined;
}

/** Signatures that only the issuer can make; a secret that API and issuer share is none of these. */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];
/** Clocks of issuer and API may differ by this. Seconds. */
const CLOCK_TOLERANCE = 30;
/** Keys that the issuer has withdrawn are trusted for at most this long. Milliseconds. */
const KEYS_AGE_MS = 10 * 60_000;
const COOLDOWN_MS = 30_000;
/** An issuer that did not answer is left alone for this long, or the cool-down if that is shorter. Milliseconds. */
const MAX_FAILURE_MS = 2_000;
const TIMEOUT_MS = 5_000;
const JWT = /^[\w-]+\.[\w-]+\.[\w-]*$/;

type RemoteKeys = ReturnType<typeof createRemoteJWKSet>;

const DiscoverySchema = Type.Object({ issuer: Type.String(), jwks_uri: Type.String() });
const asDiscovery = checker('not an OpenID configuration', DiscoverySchema);
const asTenant = checker('no name of a tenant', TenantSchema);

/**
 * Knows the JWTs of an issuer. Its keys are fetched when the first token comes and kept; a token that is signed with a
 * new one has them fetched again. While the issuer is away, no other kind of token is affected.
 *
 * @returns undefined for a token that is no JWT
 * @throws {ApiError} 401 `TOKEN_INVALID`, `TOKEN_EXPIRED` or `TOKEN_CLAIMS`; 503 `ISSUER_UNAVAILABLE`
 */
export function oidcTokens(options: OidcOptions): Authenticator {
  const { issuer, audience, tenantClaim = 'tenant', scopeClaim = 'scope' } = options;
  const keys = issuerKeys(options);
  return async (token) => {
    if (!JWT.test(token)) return undefined;
    // Before the issuer is asked for keys: a token that names another one is no reason to.
    assertMeantForUs(token, issuer);
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        clockTolerance: CLOCK_TOLERANCE,
        requiredClaims: ['exp', 'sub'],
      });
      return principalOf(payload, tenantClaim, scopeClaim);
    } catch (error) {
      throw refusalOf(error, audience);
    }
  };
}

/** Finds the keys of the issuer by discovery. */
function issuerKeys({ issuer, cooldownMs = COOLDOWN_MS }: OidcOptions): JWTVerifyGetKey {
  let found: Promise<RemoteKeys> | undefined;
  let remote: RemoteKeys | undefined;
  let failed = { at: -Infinity, reason: '' };
  const discover = async (): Promise<RemoteKeys> => {
    const { jwks_uri: url } = await discovery(issuer);
    return createRemoteJWKSet(secureUrl(url), {
      cooldownDuration: cooldownMs,
      cacheMaxAge: KEYS_AGE_MS,
      timeoutDuration: TIMEOUT_MS,
    });
  };
  return async (header, token) => {
    if (Date.now() < failed.at + Math.min(cooldownMs, MAX_FAILURE_MS)) {
      // What a stranger makes up shall not keep good tokens out, nor have the issuer asked over and over.
      const cached = remote?.fresh === true ? remote.jwks() : undefined;
      if (cached === undefined) throw unavailable(issuer, failed.reason);
      return await createLocalJWKSet(cached)(header, token);
    }
    try {
      remote = await (found ??= discover());
      return await remote(header, token);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) throw error;
      if (remote === undefined) found = undefined;
      failed = { at: Date.now(), reason: reasonOf(error) };
      throw unavailable(issuer, failed.reason);
    }
  };
}

/** The reason below "fetch failed". */
function reasonOf(error: unknown): string {
  return messageOf(error instanceof Error && error.cause instanceof Error ? error.cause : error);
}

async function discovery(issuer: string): Promise<Static<typeof DiscoverySchema>> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const response = await fetch(url, {
    redirect: 'error',
    headers: { accept: 'application/json' },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`${url} answers ${response.status}`);
  const found = asDiscovery(await response.json());
  // Otherwise anybody who can answer there once could name keys for another issuer's tokens.
  if (found.issuer !== issuer) throw new Error(`${url} is of the issuer ${JSON.stringify(found.issuer)}`);
  return found;
}

/** @throws unless nobody on the way can change what the URL answers: https, or this machine */
function secureUrl(text: string): URL {
  const url = URL.parse(text);
  const local = url?.protocol === 'http:' && ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname);
  if (url === null || (url.protocol !== 'https:' && !local))
    throw new Error(`${JSON.stringify(text)} is neither an https URL nor one of this machine`);
  return url;
}

function assertMeantForUs(token: string, issuer: string): void {
  let algorithm: string | undefined;
  let named: unknown;
  try {
    algorithm = decodeProtectedHeader(token).alg;
    named = decodeJwt(token).iss;
  } catch {
    throw invalid('the bearer token has the form of a JWT, and its parts cannot be read');
  }
  if (algorithm === undefined || !ALGORITHMS.includes(algorithm))
    throw invalid(
      `the token is signed with ${JSON.stringify(String(algorithm).slice(0, 20))}; allowed: ${ALGORITHMS.join(', ')}`,
    );
  if (named !== issuer)
    throw invalid(`the token is of the issuer ${shown(named)}; this API trusts ${JSON.stringify(issuer)}`);
}

function principalOf(payload: JWTPayload, tenantClaim: string, scopeClaim: string): Principal {
  const { sub } = payload;
  if (typeof sub !== 'string' || sub === '') throw claims('the token has no subject (claim "sub")');
  let tenant: string;
  try {
    tenant = asTenant(payload[tenantClaim]);
  } catch {
    throw claims(
      `the claim ${JSON.stringify(tenantClaim)} of the token is ${shown(payload[tenantClaim])}, which names no ` +
        'tenant; allowed: 1 to 63 lower-case letters, digits and hyphens',
    );
  }
  // Apart from names of stored tokens and from "root".
  return { name: `oidc:${sub.slice(0, 200)}`, tenant, scopes: scopesOf(payload[scopeClaim]) };
}

/** Scopes of other applications are none of ours; `blindfit:read` is `read`, for issuers whose scopes are shared. */
function scopesOf(claim: unknown): ReadonlySet<Scope> {
  const names: unknown[] = typeof claim === 'string' ? claim.split(' ') : Array.isArray(claim) ? claim : [];
  return new Set(SCOPES.filter((scope) => names.includes(scope) || names.includes(`blindfit:${scope}`)));
}

function refusalOf(error: unknown, audience: string): unknown {
  if (error instanceof ApiError) return error;
  if (error instanceof errors.JWTExpired)
    return new ApiError(
      401,
      'TOKEN_EXPIRED',
      'The token has expired',
      'the time in the claim "exp" of the token has passed',
      'get a new token from the identity provider',
    );
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.reason === 'missing') return claims(`the token has no claim ${JSON.stringify(error.claim)}`);
    if (error.claim === 'aud')
      return invalid(`the token is for the audience ${shown(error.payload.aud)}, not ${JSON.stringify(audience)}`);
    return invalid(`the claim ${JSON.stringify(error.claim)} of the token does not hold: ${error.message}`);
  }
  if (error instanceof errors.JWKSNoMatchingKey)
    return invalid('the token is signed with a key that its issuer does not publish');
  if (error instanceof errors.JOSEError) return invalid(error.message);
  return error;
}

function invalid(detail: string): ApiError {
  return new ApiError(
    401,
    'TOKEN_INVALID',
    'Not authorized',
    detail,
    'get an access token for this API from its identity provider, or use a token that an operator has made',
  );
}

function claims(detail: string): ApiError {
  return new ApiError(
    401,
    'TOKEN_CLAIMS',
    'The token does not say who may do what',
    detail,
    'let the identity provider put tenant and scopes into its tokens; their claims are named by ' +
      'BLINDFIT_OIDC_TENANT_CLAIM and BLINDFIT_OIDC_SCOPE_CLAIM',
  );
}

function unavailable(issuer: string, reason: string): ApiError {
  return new ApiError(
    503,
    'ISSUER_UNAVAILABLE',
    'The identity provider is unavailable',
    `the keys of ${issuer} cannot be fetched: ${reason}`,
    'try again; tokens that an operator has made go on working meanwhile',
  );
}

/** A claim for people: whoever sent the token knows it. */
function shown(claim: unknown): string {
  return claim === undefined ? 'missing' : JSON.stringify(claim).slice(0, 100);
}
