export {
  ConfigError,
  describeVariables,
  optional,
  readConfig,
  variable,
  type Config,
  type Environment,
  type Variable,
  type VariableDescription,
  type VariableTable,
  commandVariables,
  endRequests,
  oidcVariables,
  operatorVariables,
  tenantVariables,
  parseRedisUrl,
  tlsVariables,
  tracingOf,
  tracingVariables,
  retentionMs,
  variables,
} from './settings.ts';
export { healthRoutes } from './health-routes.ts';
export type { HealthOptions } from './health-routes.ts';
export { Intake, type IntakeOptions, type Standstill, type WorkSource } from './intake.ts';
export { patiently } from './patience.ts';
export { Readiness, type Condition, type ReadinessCheck } from './readiness.ts';
export { startHealthServer } from './health-server.ts';
export type { HealthServer, HealthServerOptions } from './health-server.ts';
export { connectionErrors } from './connection-errors.ts';
export { createLogger } from './logger.ts';
export type { Logger, LoggerOptions } from './logger.ts';
export { createMetrics, spansLostCounter } from './metrics.ts';
export type { MetricsOptions } from './metrics.ts';
export { checkRedis, checkRedisPolicy, connectRedis, waitForRedis } from './redis.ts';
export type { ConnectOptions, RedisConnection, RedisPolicy } from './redis.ts';
export { addRedisMemory, addRedisUp } from './redis-metrics.ts';
export type { RunningService, ServiceDefinition } from './definition.ts';
export { openService } from './service.ts';
export type { ComputeOptions, ServiceBase, ServiceOptions } from './service.ts';
export { waitFor, type WaitOptions } from './waiting.ts';
export { createShutdown } from './shutdown.ts';
export type { Shutdown, ShutdownOptions } from './shutdown.ts';
export { contextOf, currentTraceparent, formatTraceparent, parseTraceparent, spanOf } from './trace-context.ts';
export { Tracing, typeOf } from './tracing.ts';
export type { SamplerName } from './samplers.ts';
export type { TracingOptions } from './span-export.ts';
export type { SpanOptions } from './tracing.ts';
export { runService, type ReadyLine } from './run-service.ts';
export { REVISION, VERSION } from './version.ts';
