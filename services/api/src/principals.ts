/** Who asks: what a token proves. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { DEFAULT_TENANT, SCOPES, type Scope } from '@blindfit/protocol';
import type { TokenStore } from '@blindfit/queue';

export interface Principal {
  /** For the audit log: `root`, `work`, `metrics`, the id of a token, or `oidc:` and the subject of an issuer. */
  readonly name: string;
  readonly tenant: string;
  readonly scopes: ReadonlySet<Scope>;
}

/**
 * Finds out who a bearer token belongs to.
 * @returns undefined for a token that proves nothing
 * @throws {ApiError} which says why, where more can be said
 */
export type Authenticator = (token: string) => Promise<Principal | undefined>;

/** The one token that is set where the API is started: the first principal, who makes all others. */
export function rootToken(expected: string): Authenticator {
  return fixedToken(expected, { name: 'root', tenant: DEFAULT_TENANT, scopes: new Set(SCOPES) });
}

/** A token for one scope that is set where the API is started, for services that are started along with it. */
export function serviceToken(expected: string | undefined, scope: Scope): Authenticator | undefined {
  if (expected === undefined) return undefined;
  return fixedToken(expected, { name: scope, tenant: DEFAULT_TENANT, scopes: new Set([scope]) });
}

function fixedToken(expected: string, principal: Principal): Authenticator {
  const hash = sha256(expected);
  // Hashes have one length, so that neither length nor content of the token shows in the time this takes.
  return (token) => Promise.resolve(timingSafeEqual(sha256(token), hash) ? principal : undefined);
}

/** Tokens that were made by `POST /v1/tokens`. */
export function storedTokens(tokens: Pick<TokenStore, 'find'>): Authenticator {
  return async (token) => {
    const found = await tokens.find(token);
    return found && { name: found.id, tenant: found.tenant, scopes: new Set(found.scopes) };
  };
}

/** The first of several that knows the token. */
export function anyOf(...authenticators: readonly (Authenticator | undefined)[]): Authenticator {
  return async (token) => {
    for (const authenticate of authenticators) {
      const principal = await authenticate?.(token);
      if (principal !== undefined) return principal;
    }
    return undefined;
  };
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
