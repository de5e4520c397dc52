/** The API as a service: what it is called, which settings it reads, how it starts. */
import {
  defineService,
  oidcVariables,
  operatorVariables,
  placeVariables,
  processVariables,
  retentionMs,
  storeReserve as reserveOf,
  tenantDefaultsOf,
  tenantVariables,
  tlsVariables,
  tracingOf,
  variables,
} from '@blindfit/service/settings';

const { token, host, port, queuePrefix, maxBlobMb, retention, recordRetention, storeReserve, planThreads, auditLog } =
  variables;
const table = {
  ...placeVariables,
  token,
  ...operatorVariables,
  ...oidcVariables,
  host,
  port,
  ...tlsVariables,
  queuePrefix,
  maxBlobMb,
  retention,
  recordRetention,
  storeReserve,
  planThreads,
  auditLog,
  ...tenantVariables,
  ...processVariables,
};

export const api = defineService({
  name: 'api',
  table,
  async start(config, logger) {
    const { startApi } = await import('./start.ts');
    const { withS3Settings } = await import('@blindfit/blobs');
    const { store, s3Endpoint, s3PathStyle, maxBlobMb, retention, recordRetention, auditLog } = config;
    return await startApi({
      ...config,
      storeUrl: withS3Settings(store, { endpoint: s3Endpoint, pathStyle: s3PathStyle }),
      maxBlobBytes: maxBlobMb * 2 ** 20,
      retentionMs: retentionMs(retention),
      reserve: reserveOf(config.storeReserve),
      recordRetentionMs: retentionMs(recordRetention),
      auditLog: auditLog === 'off' ? undefined : auditLog,
      tenantDefaults: tenantDefaultsOf(config),
      tracing: tracingOf(config),
      logger,
    });
  },
});
