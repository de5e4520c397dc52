/** Settings reach what they set: each in its unit, and each where it belongs. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { worker, workerBytes } from '../src/service.ts';
import { poolOptionsOf } from '../src/start.ts';

it('megabytes become bytes, each setting its own', () => {
  assert.deepEqual(workerBytes({ keyMemoryMb: 1, keyDiskMb: 2, inputDiskMb: 3, cacheMb: 4 }), {
    keyMemoryBytes: 1_048_576,
    keyDiskBytes: 2_097_152,
    inputDiskBytes: 3_145_728,
    cacheBytes: 4_194_304,
  });
});

it('the settings of a worker are read from their variables', () => {
  const { threads, keyMemoryMb, keyDiskMb, inputDiskMb, cacheMb } = worker.table;
  assert.deepEqual(
    [threads, keyMemoryMb, keyDiskMb, inputDiskMb, cacheMb].map(({ env }) => env),
    [
      'BLINDFIT_THREADS',
      'BLINDFIT_KEY_MEMORY_MB',
      'BLINDFIT_KEY_DISK_MB',
      'BLINDFIT_INPUT_DISK_MB',
      'BLINDFIT_CACHE_MB',
    ],
  );
});

it('the pool gets the settings of the worker', () => {
  const evaluator = { kind: 'seal', why: 'test' } as const;
  const options = {
    storeUrl: 'http://store',
    token: 'secret',
    cacheDir: '/cache',
    cacheBytes: 1,
    keyMemoryBytes: 2,
    keyDiskBytes: 3,
    inputDiskBytes: 4,
    threads: 5,
  };
  const onStatistics = (): void => undefined;
  assert.deepEqual(poolOptionsOf(options, evaluator, onStatistics), {
    storeUrl: 'http://store',
    token: 'secret',
    cacheDirectory: '/cache',
    cacheBytes: 1,
    keyBytes: 2,
    keyDiskBytes: 3,
    inputDiskBytes: 4,
    evaluator,
    threads: 5,
    onStatistics,
  });
});
