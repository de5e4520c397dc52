/**
 * Settings and what else commands need: without what services stand on (HTTP, Redis, logs, metrics, traces), which
 * takes a while to load.
 */
export { ConfigError, describeVariables, optional, readConfig, variable, WRONG_SETTINGS } from './config.ts';
export type { Config, Environment, Variable, VariableDescription, VariableTable } from './config.ts';
export { commandVariables } from './command-variables.ts';
export { endRequests } from './end-requests.ts';
export {
  computeVariables,
  defineService,
  placeAndTokenVariables,
  placeVariables,
  processVariables,
  type RunningService,
  type ServiceDefinition,
} from './definition.ts';
export { assertKnownVariables } from './known-variables.ts';
export { oidcVariables } from './oidc-variables.ts';
export { operatorVariables } from './operator-variables.ts';
export { parseRedisUrl } from './redis-url.ts';
export { tlsVariables } from './tls-variables.ts';
export { tenantDefaultsOf, tenantVariables } from './tenant-variables.ts';
export { tracingOf, tracingVariables } from './tracing-variables.ts';
export { retentionMs, storeReserve, variables } from './variables.ts';
