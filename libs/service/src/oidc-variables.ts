import { Type } from 'typebox';
import { optional, variable } from './config.ts';

const claimName = Type.String({ pattern: '^[!-~]{1,200}$' });

/** The settings of an identity provider (OpenID Connect) whose tokens the API takes besides its own. */
export const oidcVariables = {
  oidcIssuer: optional(
    variable({
      env: 'BLINDFIT_OIDC_ISSUER',
      // Keys that came over plain HTTP could be anybody's.
      schema: Type.String({
        pattern: '^(https://[^/@?#]+|http://(127\\.0\\.0\\.1|localhost|\\[::1\\])(:[0-9]+)?)(/[^?#]*)?$',
      }),
      description: 'Identity provider whose JWTs the API accepts beside its own tokens; unset: none',
      allowed: 'the issuer as its tokens name it: https://host/path, or http:// on this machine',
    }),
  ),
  oidcAudience: optional(
    variable({
      env: 'BLINDFIT_OIDC_AUDIENCE',
      schema: claimName,
      description: 'Audience (claim aud) that tokens of the identity provider must have; needed with an issuer',
      allowed: '1 to 200 printable ASCII characters without spaces',
    }),
  ),
  oidcTenantClaim: variable({
    env: 'BLINDFIT_OIDC_TENANT_CLAIM',
    schema: claimName,
    description: 'Claim of such a token that names the tenant',
    allowed: 'the name of a claim',
    default: () => 'tenant',
  }),
  oidcScopeClaim: variable({
    env: 'BLINDFIT_OIDC_SCOPE_CLAIM',
    schema: claimName,
    description: 'Claim of such a token that lists scopes, in a list or with blanks, also as blindfit:submit',
    allowed: 'the name of a claim',
    default: () => 'scope',
  }),
} as const;
