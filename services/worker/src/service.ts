/** The worker as a service: what it is called, which settings it reads, how it starts. */
import {
  computeVariables,
  defineService,
  placeAndTokenVariables,
  tracingOf,
  variables,
} from '@blindfit/service/settings';

const { threads, keyMemoryMb, keyDiskMb, inputDiskMb } = variables;

const MB = 2 ** 20;

type Megabytes = Readonly<Record<'keyMemoryMb' | 'keyDiskMb' | 'inputDiskMb' | 'cacheMb', number>>;
type Bytes = Readonly<Record<'keyMemoryBytes' | 'keyDiskBytes' | 'inputDiskBytes' | 'cacheBytes', number>>;

/** The sizes among the settings, in bytes. */
export function workerBytes({ keyMemoryMb, keyDiskMb, inputDiskMb, cacheMb }: Megabytes): Bytes {
  return {
    keyMemoryBytes: keyMemoryMb * MB,
    keyDiskBytes: keyDiskMb * MB,
    inputDiskBytes: inputDiskMb * MB,
    cacheBytes: cacheMb * MB,
  };
}

export const worker = defineService({
  name: 'worker',
  table: { ...placeAndTokenVariables, threads, keyMemoryMb, keyDiskMb, inputDiskMb, ...computeVariables },
  async start(config, logger) {
    const { startWorker } = await import('./start.ts');
    const { withS3Settings } = await import('@blindfit/blobs');
    const { store, s3Endpoint, s3PathStyle } = config;
    return await startWorker({
      ...config,
      storeUrl: withS3Settings(store, { endpoint: s3Endpoint, pathStyle: s3PathStyle }),
      ...workerBytes(config),
      tracing: tracingOf(config),
      logger,
    });
  },
});
