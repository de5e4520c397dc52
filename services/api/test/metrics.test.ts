/** Metrics of requests and of the store by themselves. */
import assert from 'node:assert/strict';
import { statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fastify from 'fastify';
import { Registry } from 'prom-client';
import type { ClusterSources } from '@blindfit/queue';
import { addApiMetrics, addCollectorMetrics, addStoreMetrics } from '../src/metrics.ts';

async function samplesOf(registry: Registry, name: string): Promise<string[]> {
  return (await registry.metrics()).split('\n').filter((line) => line.startsWith(name));
}

test('requests are timed in seconds, by route and never by path', async (t) => {
  const app = fastify();
  t.after(() => app.close());
  const registry = new Registry();
  addApiMetrics(app, registry, {
    redis: { status: 'end' },
    jobs: { wrong: { count: 0 } },
  } as unknown as ClusterSources);
  app.get('/slow/:id', async () => {
    await sleep(150);
    return 'done';
  });
  await app.inject('/slow/one');
  await app.inject('/slow/two');
  await app.inject('/nowhere/at/all');
  const metric = registry.getSingleMetric('blindfit_http_request_duration_seconds');
  const { values } = (await metric?.get()) ?? { values: [] };
  const sums = values.filter((each) => 'metricName' in each && String(each.metricName).endsWith('_sum'));
  assert.deepEqual(
    sums.map(({ labels }) => labels),
    [
      { method: 'GET', route: '/slow/:id', status: '200' },
      { method: 'GET', route: 'none', status: '404' },
    ],
  );
  const [slow] = sums;
  assert.ok(slow !== undefined && slow.value > 0.25 && slow.value < 60, `${slow?.value} s for two of 0.15 s`);
});

test('cancelled jobs, refreshes, submissions and streams are counted', async (t) => {
  const app = fastify();
  t.after(() => app.close());
  const registry = new Registry();
  const metrics = addApiMetrics(app, registry, {
    redis: { status: 'end' },
    jobs: { wrong: { count: 0 } },
  } as unknown as ClusterSources);
  metrics.cancelled();
  metrics.submitted('predict');
  metrics.refreshed(3);
  metrics.refreshed(4);
  metrics.onStream(1);
  metrics.onStream(1);
  metrics.onStream(-1);
  metrics.traffic.received(5);
  metrics.traffic.sent(6);
  for (const [name, value] of [
    ['blindfit_jobs_ended_total{state="cancelled"}', 1],
    ['blindfit_jobs_submitted_total{kind="predict"}', 1],
    ['blindfit_jobs_submitted_total{kind="train"}', 0],
    ['blindfit_refreshes_total', 2],
    ['blindfit_refresh_wait_seconds_sum', 7],
    ['blindfit_refresh_wait_seconds_count', 2],
    ['blindfit_api_event_streams', 1],
    ['blindfit_api_blob_received_bytes_total', 5],
    ['blindfit_api_blob_sent_bytes_total', 6],
  ] as const)
    assert.deepEqual(await samplesOf(registry, `${name} `), [`${name} ${value}`]);
});

test('space of the store is what others than root may use', async () => {
  const registry = new Registry();
  addStoreMetrics(registry, tmpdir());
  const { bavail, bfree, blocks, bsize } = statfsSync(tmpdir());
  assert.deepEqual(await samplesOf(registry, 'blindfit_store_size_bytes'), [
    `blindfit_store_size_bytes ${blocks * bsize}`,
  ]);
  const [line = ''] = await samplesOf(registry, 'blindfit_store_free_bytes');
  const free = Number(line.split(' ')[1]);
  // Others write to this disk as well; what is kept for root is more than that.
  if (bfree > bavail) assert.ok(Math.abs(free - bavail * bsize) < ((bfree - bavail) * bsize) / 2, line);
});

test('no size of the store before the first collection', async () => {
  const registry = new Registry();
  const metrics = addCollectorMetrics(registry);
  assert.deepEqual(await samplesOf(registry, 'blindfit_blob_bytes'), []);
  metrics.collected(70);
  metrics.collected(30);
  metrics.left(5);
  for (const [name, value] of [
    ['blindfit_blobs_collected_total', 2],
    ['blindfit_blob_collected_bytes_total', 100],
    ['blindfit_blob_bytes', 5],
  ] as const)
    assert.deepEqual(await samplesOf(registry, name), [`${name} ${value}`]);
});
