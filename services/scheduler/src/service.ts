/** The scheduler as a service: what it is called, which settings it reads, how it starts. */
import {
  computeVariables,
  defineService,
  placeAndTokenVariables,
  tenantDefaultsOf,
  tenantVariables,
  tracingOf,
  variables,
} from '@blindfit/service/settings';

const threads = {
  ...variables.threads,
  description: 'Threads that add gradients up; they do without keys and have little to do',
  default: () => 1,
  defaultText: '1',
};

export const scheduler = defineService({
  name: 'scheduler',
  table: { ...placeAndTokenVariables, threads, ...tenantVariables, ...computeVariables },
  async start(config, logger) {
    const { startScheduler } = await import('./start.ts');
    const { withS3Settings } = await import('@blindfit/blobs');
    const { cacheMb, store, s3Endpoint, s3PathStyle } = config;
    return await startScheduler({
      ...config,
      storeUrl: withS3Settings(store, { endpoint: s3Endpoint, pathStyle: s3PathStyle }),
      cacheBytes: cacheMb * 2 ** 20,
      tenantDefaults: tenantDefaultsOf(config),
      tracing: tracingOf(config),
      logger,
    });
  },
});
