/** What a process with compute threads tells Prometheus. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Registry } from 'prom-client';
import { noOperations } from '@blindfit/he';
import { ComputeMetrics } from '../src/index.ts';
import { noStatistics } from '../src/session.ts';

function fixture(): {
  registry: Registry;
  metrics: ComputeMetrics;
  value: (line: string) => Promise<number | undefined>;
} {
  const registry = new Registry();
  return {
    registry,
    metrics: new ComputeMetrics(registry),
    value: async (line) => {
      const found = (await registry.metrics()).split('\n').find((each) => each.startsWith(`${line} `));
      return found === undefined ? undefined : Number(found.slice(line.length));
    },
  };
}

it('every figure of a thread is counted under its own name', async () => {
  const { metrics, value } = fixture();
  const delta = {
    keyHits: 1,
    keyMisses: 2,
    ciphertextHits: 3,
    ciphertextMisses: 4,
    inputHits: 5,
    inputMisses: 6,
    blobHits: 7,
    blobMisses: 8,
    damagedKeys: 13,
    damagedInputs: 14,
    damagedBlobs: 15,
    bytesRead: 9,
    bytesWritten: 10,
    heapBytes: 11,
    levelsWritten: [2, 0, 3],
    storeCalls: [{ operation: 'get' as const, seconds: 1.5, failed: false }],
  };
  for (let report = 0; report < 2; report++) metrics.thread(4, delta);
  for (const [line, expected] of [
    ['blindfit_key_cache_requests_total{outcome="hit"}', 2],
    ['blindfit_key_cache_requests_total{outcome="miss"}', 4],
    ['blindfit_cache_requests_total{cache="ciphertext",outcome="hit"}', 6],
    ['blindfit_cache_requests_total{cache="ciphertext",outcome="miss"}', 8],
    ['blindfit_cache_requests_total{cache="input-file",outcome="hit"}', 10],
    ['blindfit_cache_requests_total{cache="input-file",outcome="miss"}', 12],
    ['blindfit_cache_requests_total{cache="blob",outcome="hit"}', 14],
    ['blindfit_cache_requests_total{cache="blob",outcome="miss"}', 16],
    ['blindfit_cache_damaged_files_total{cache="key-file"}', 26],
    ['blindfit_cache_damaged_files_total{cache="input-file"}', 28],
    ['blindfit_cache_damaged_files_total{cache="blob"}', 30],
    ['blindfit_blob_bytes_total{direction="read"}', 18],
    ['blindfit_blob_bytes_total{direction="written"}', 20],
    ['blindfit_wasm_heap_bytes{thread="4"}', 11],
    ['blindfit_store_call_duration_seconds_sum{operation="get",outcome="ok"}', 3],
    ['blindfit_ciphertext_level_count', 10],
    ['blindfit_ciphertext_level_sum', 12],
  ] as const)
    assert.equal(await value(line), expected, line);
});

it('a result adds its operations and the time to load keys', async () => {
  const { metrics, value } = fixture();
  const operations = { ...noOperations(), rotations: 5, rescales: 2 };
  for (let task = 0; task < 2; task++)
    metrics.computed({ outputs: [], operations, startedAt: 0, finishedAt: 1, loadKeysSeconds: 1.5 });
  assert.equal(await value('blindfit_he_operations_total{operation="rotations"}'), 10);
  assert.equal(await value('blindfit_he_operations_total{operation="rescales"}'), 4);
  assert.equal(await value('blindfit_key_load_seconds_total'), 3);
});

it('every counter is shown before it counts', async () => {
  const { value } = fixture();
  for (const operation of Object.keys(noOperations()))
    assert.equal(await value(`blindfit_he_operations_total{operation="${operation}"}`), 0);
  for (const outcome of ['hit', 'miss']) {
    assert.equal(await value(`blindfit_key_cache_requests_total{outcome="${outcome}"}`), 0);
    for (const cache of ['ciphertext', 'input-file', 'blob'])
      assert.equal(await value(`blindfit_cache_requests_total{cache="${cache}",outcome="${outcome}"}`), 0);
  }
  for (const cache of ['key-file', 'input-file', 'blob'])
    assert.equal(await value(`blindfit_cache_damaged_files_total{cache="${cache}"}`), 0);
  for (const direction of ['read', 'written'])
    assert.equal(await value(`blindfit_blob_bytes_total{direction="${direction}"}`), 0);
});

it('the gauges of a pool show it as it is when they are read', async () => {
  const { registry, metrics, value } = fixture();
  const pool = { size: 3, busy: 1, busySeconds: [2, 0.5] };
  metrics.watch(registry, pool, { kind: 'native', path: '/nowhere', kernel: 'ifma', why: 'as told' });
  assert.equal(await value('blindfit_evaluator_info{evaluator="native",kernel="ifma"}'), 1);
  assert.equal(await value('blindfit_threads'), 3);
  assert.equal(await value('blindfit_threads_busy'), 1);
  assert.equal(await value('blindfit_thread_busy_seconds_total{thread="0"}'), 2);
  pool.busy = 2;
  pool.busySeconds = [3, 0.5];
  assert.equal(await value('blindfit_threads_busy'), 2);
  assert.equal(await value('blindfit_thread_busy_seconds_total{thread="0"}'), 3, 'not added to what was read before');
  assert.equal(await value('blindfit_thread_busy_seconds_total{thread="1"}'), 0.5);
  const other = fixture();
  other.metrics.watch(other.registry, pool, { kind: 'seal', why: 'as told' });
  assert.equal(await other.value('blindfit_evaluator_info{evaluator="seal",kernel="wasm"}'), 1);
  assert.deepEqual(noStatistics().levelsWritten, []);
});
