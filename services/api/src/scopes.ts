/** What every route asks for. A route without a rule cannot be added. */
import type { Scope } from '@blindfit/protocol';

/** Any of the scopes opens the route. */
const RULES: Readonly<Record<string, readonly Scope[]>> = {
  'PUT /v1/blobs/:digest': ['blobs', 'work'],
  'HEAD /v1/blobs/:digest': ['blobs', 'work'],
  'GET /v1/blobs/:digest': ['blobs', 'work'],
  'POST /v1/jobs': ['submit'],
  'GET /v1/jobs': ['read', 'operate'],
  'GET /v1/jobs/:id': ['read', 'operate'],
  'GET /v1/jobs/:id/events': ['read', 'operate'],
  'GET /v1/jobs/:id/result': ['read'],
  'POST /v1/jobs/:id/refresh': ['submit'],
  'DELETE /v1/jobs/:id': ['cancel', 'operate'],
  'GET /v1/cluster': ['read', 'submit', 'operate'],
  'GET /v1/tokens': ['operate'],
  'POST /v1/tokens': ['operate'],
  'DELETE /v1/tokens/:id': ['operate'],
  'GET /metrics': ['metrics', 'operate'],
  'GET /metrics/jobs': ['metrics', 'operate'],
  'GET /metrics/jobs/:id': ['metrics', 'operate'],
};

/** Scopes of which one is needed. @throws when there is no rule */
export function scopesFor(method: string, route: string): readonly Scope[] {
  const rule = RULES[`${method} ${route}`] ?? (method === 'HEAD' ? RULES[`GET ${route}`] : undefined);
  if (rule === undefined) throw new Error(`no scope is named for ${method} ${route}: add a rule to scopes.ts`);
  return rule;
}

/** All rules: `METHOD route` and scopes. */
export const SCOPE_RULES = RULES;
