/** What is told of the calls of a store. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { digestOf } from '@blindfit/base';
import { temporaryDirectory } from '@blindfit/testkit';
import { FileBlobStore, meteredStore, type StoreCall } from '../src/index.ts';
import { addStoreCalls } from '../src/store-metrics.ts';

test('every call is told with its time; a missing blob is no failure, a broken store is one', async () => {
  await using directory = await temporaryDirectory();
  const calls: StoreCall[] = [];
  const opened = await FileBlobStore.open(directory.path);
  const store = meteredStore(opened, (call) => void calls.push(call));
  assert.ok(store instanceof FileBlobStore);
  assert.equal(store.root, opened.root);
  const bytes = new Uint8Array([1, 2, 3]);
  const digest = digestOf(bytes);
  await assert.rejects(store.get(digest), { code: 'BLOB_NOT_FOUND' });
  await store.put(digest, bytes);
  assert.deepEqual(await store.get(digest), bytes);
  opened.get = () => Promise.reject(new Error('the disk is gone'));
  await assert.rejects(store.get(digest));
  assert.deepEqual(
    calls.map(({ operation, failed }) => [operation, failed]),
    [
      ['get', false],
      ['put', false],
      ['get', false],
      ['get', true],
    ],
  );
  for (const { seconds } of calls) assert.ok(seconds >= 0 && seconds < 60, String(seconds));
});

test('calls are counted by operation and outcome', async () => {
  const registry = new Registry();
  const tell = addStoreCalls(registry);
  tell({ operation: 'get', seconds: 3, failed: false });
  tell({ operation: 'put', seconds: 0.01, failed: true });
  const text = await registry.metrics();
  for (const line of [
    'blindfit_store_call_duration_seconds_sum{operation="get",outcome="ok"} 3',
    'blindfit_store_call_duration_seconds_bucket{le="2",operation="get",outcome="ok"} 0',
    'blindfit_store_call_duration_seconds_bucket{le="5",operation="get",outcome="ok"} 1',
    'blindfit_store_call_duration_seconds_count{operation="put",outcome="failed"} 1',
    'blindfit_store_call_duration_seconds_count{operation="put",outcome="ok"} 0',
  ])
    assert.ok(text.split('\n').includes(line), line);
});
