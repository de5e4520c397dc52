/** The worker as a service: what it is called, which settings it reads, how it starts. */
import {
  computeVariables,
  defineService,
  placeAndTokenVariables,
  tracingOf,
  variables,
} from '@blindfit/service/settings';

const { threads, keyMemoryMb, keyDiskMb, inputDiskMb } = variables;

export const worker = defineService({
  name: 'worker',
  table: { ...placeAndTokenVariables, threads, keyMemoryMb, keyDiskMb, inputDiskMb, ...computeVariables },
  async start(config, logger) {
    const { startWorker } = await import('./start.ts');
    const { withS3Settings } = await import('@blindfit/blobs');
    const { cacheMb, keyMemoryMb, keyDiskMb, inputDiskMb, store, s3Endpoint, s3PathStyle } = config;
    return await startWorker({
      ...config,
      storeUrl: withS3Settings(store, { endpoint: s3Endpoint, pathStyle: s3PathStyle }),
      keyMemoryBytes: keyMemoryMb * 2 ** 20,
      keyDiskBytes: keyDiskMb * 2 ** 20,
      inputDiskBytes: inputDiskMb * 2 ** 20,
      cacheBytes: cacheMb * 2 ** 20,
      tracing: tracingOf(config),
      logger,
    });
  },
});
