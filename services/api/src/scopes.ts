/** What every route asks for. A route without a rule cannot be added. */
import { SCOPES, type Scope } from '@blindfit/protocol';

/** By `METHOD route`: any of the scopes opens the route. */
export type ScopeRules = Readonly<Record<string, readonly Scope[]>>;

/** The rules of the API. */
export const SCOPE_RULES: ScopeRules = {
  'GET /v1/version': SCOPES,
  'GET /v1/maintenance': ['read', 'submit', 'operate'],
  'PUT /v1/maintenance': ['operate'],
  'PUT /v1/blobs/:digest': ['blobs', 'work'],
  'HEAD /v1/blobs/:digest': ['blobs', 'work'],
  'GET /v1/blobs/:digest': ['blobs', 'work'],
  'GET /v1/store': ['work', 'operate'],
  'POST /v1/jobs': ['submit'],
  'GET /v1/jobs': ['read', 'operate'],
  'GET /v1/jobs/:id': ['read', 'operate'],
  'GET /v1/jobs/:id/events': ['read', 'operate'],
  'GET /v1/jobs/events': ['read', 'operate'],
  'GET /v1/jobs/:id/result': ['read'],
  'POST /v1/jobs/:id/refresh': ['submit'],
  'POST /v1/jobs/:id/retry': ['submit', 'operate'],
  'DELETE /v1/jobs/:id': ['cancel', 'operate'],
  'GET /v1/cluster': ['read', 'submit', 'operate'],
  'GET /v1/usage': ['read', 'submit', 'operate'],
  'GET /v1/tenants': ['operate'],
  'PUT /v1/tenants/:tenant': ['operate'],
  'GET /v1/tokens': ['operate'],
  'POST /v1/tokens': ['operate'],
  'DELETE /v1/tokens/:id': ['operate'],
  'GET /metrics': ['metrics', 'operate'],
  'GET /metrics/jobs': ['metrics', 'operate'],
  'GET /metrics/jobs/:id': ['metrics', 'operate'],
};

/** Scopes of which one is needed. @throws when there is no rule */
export function scopesFor(rules: ScopeRules, method: string, route: string): readonly Scope[] {
  const rule = rules[`${method} ${route}`] ?? (method === 'HEAD' ? rules[`GET ${route}`] : undefined);
  if (rule === undefined) throw new Error(`no scope is named for ${method} ${route}: add a rule to scopes.ts`);
  return rule;
}
