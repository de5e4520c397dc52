import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { digestOf, parseDigest } from '@blindfit/base';
import { asJob, jobOf, problemOf } from './answers.ts';
import { makeJob, putBlob, startService, storedManifest, TOKEN, type Service } from './service.ts';
import { randomBlob } from './support.ts';

test('a job is accepted: record, manifest, queue entry', async (t) => {
  const service = await startService(t);
  const { manifest, plan } = await makeJob(service.store, { iterations: 2, initialWeight: 0.0128 });
  const response = await service.submit(manifest);
  const job = await jobOf(response, 201);
  assert.equal(response.headers.get('location'), `/v1/jobs/${job.id}`);
  assert.match(job.id, /^job-[0-9a-f]{24}$/);
  const { digest, text } = await storedManifest(service.store, manifest);
  assert.deepEqual(JSON.parse(text), manifest);
  const { shards, pairs, blocks } = plan.layout;
  const shardTasks = Math.ceil(shards / plan.grouping.shardsPerTask);
  const blockTasks = Math.ceil(blocks / plan.grouping.blocksPerTask);
  assert.equal(job.state, 'queued');
  assert.equal(job.manifest, digest);
  assert.equal(job.name, 'a test');
  assert.deepEqual(job.shape, manifest.shape);
  assert.deepEqual(job.hyperparameters, manifest.hyperparameters);
  assert.equal(job.parameters, plan.parameters.name);
  assert.deepEqual(job.progress, {
    phase: 'queued',
    iteration: 0,
    iterations: 2,
    tasksDone: 0,
    tasksTotal: shardTasks + pairs * (2 * shardTasks * blockTasks + shardTasks),
    levelsLeft: plan.parameters.maxLevel,
  });
  assert.deepEqual(await jobOf(await service.call(`/v1/jobs/${job.id}`), 200), job);
  const entry = await service.queue.getJob(job.id);
  assert.deepEqual(entry?.data, { job: job.id, manifest: digest, protocol: 2 });
  assert.equal(entry.opts.attempts, 4);
  assert.equal(await entry.getState(), 'prioritized');
  // Without a key every submission is a new job.
  assert.notEqual((await jobOf(await service.submit(manifest), 201)).id, job.id);
});

test('Idempotency-Key: repeating is safe, another manifest is refused', async (t) => {
  const service = await startService(t);
  const { manifest } = await makeJob(service.store);
  const answers = await Promise.all(Array.from({ length: 12 }, () => service.submit(manifest, 'key 1')));
  assert.deepEqual(answers.map((answer) => answer.status).sort(), [...new Array<number>(11).fill(200), 201]);
  const jobs = await Promise.all(answers.map(async (answer) => asJob(await answer.json())));
  const ids = new Set(jobs.map((job) => job.id));
  assert.equal(ids.size, 1);
  const [id = ''] = ids;
  assert.equal((await service.jobs.list(100)).length, 1);
  assert.equal(await service.queue.getPrioritizedCount(), 1);

  // The same manifest in another order, with other white space, is the same.
  const reordered = JSON.stringify(Object.fromEntries(Object.entries(manifest).reverse()), null, 2);
  const again = await service.call('/v1/jobs', {
    method: 'POST',
    body: reordered,
    headers: { 'content-type': 'application/json', 'idempotency-key': 'key 1' },
  });
  assert.equal((await jobOf(again, 200)).id, id);
  const conflict = await problemOf(
    await service.submit({ ...manifest, name: 'another' }, 'key 1'),
    409,
    'IDEMPOTENCY_CONFLICT',
  );
  assert.ok(conflict.detail.includes(id) && conflict.detail.includes(jobs[0]?.manifest ?? '?'), conflict.detail);
  assert.notEqual((await jobOf(await service.submit({ ...manifest, name: 'another' }, 'key 2'), 201)).id, id);

  // As after a crash between record and queue: submitting again puts it back.
  await service.queue.remove(id);
  assert.equal(await service.queue.getJob(id), undefined);
  assert.equal((await jobOf(await service.submit(manifest, 'key 1'), 200)).id, id);
  assert.equal((await service.queue.getJob(id))?.id, id);
  // Not so for a job that is over.
  await service.jobs.cancel(id);
  await service.queue.remove(id);
  assert.equal((await jobOf(await service.submit(manifest, 'key 1'), 200)).state, 'cancelled');
  assert.equal(await service.queue.getJob(id), undefined);
});

test('an idempotency key is 1 to 200 printable characters', async (t) => {
  const service = await startService(t);
  const { manifest } = await makeJob(service.store);
  for (const bad of ['x'.repeat(201), 'caf\u00e9', 'a\tb', ''])
    await problemOf(await service.submit(manifest, bad), 400, 'INVALID_IDEMPOTENCY_KEY');
  await jobOf(await service.submit(manifest, '~'.repeat(200)), 201);
});

/** A copy of the manifest with one thing changed. */
test('cancel: once, and only what exists and goes on', async (t) => {
  const service = await startService(t);
  const { manifest } = await makeJob(service.store);
  const { id } = await jobOf(await service.submit(manifest), 201);
  const cancelled = await jobOf(await service.call(`/v1/jobs/${id}`, { method: 'DELETE' }), 200);
  assert.equal(cancelled.state, 'cancelled');
  assert.ok(cancelled.finishedAt !== undefined);
  assert.equal(await service.jobs.state(id), 'cancelled');
  const twice = await problemOf(await service.call(`/v1/jobs/${id}`, { method: 'DELETE' }), 409, 'JOB_FINISHED');
  assert.match(twice.detail, /has been cancelled/);
  for (const unknown of ['job-000000000000000000000000', 'x', '%7Bblindfit%7D', '..%2f..']) {
    await problemOf(await service.call(`/v1/jobs/${unknown}`, { method: 'DELETE' }), 404, 'JOB_NOT_FOUND');
    await problemOf(await service.call(`/v1/jobs/${unknown}`), 404, 'JOB_NOT_FOUND');
  }
});

test('retry: only what has failed, with its blobs, into the queue; what was done stays', async (t) => {
  const service = await startService(t);
  const { manifest } = await makeJob(service.store);
  const { id } = await jobOf(await service.submit(manifest), 201);
  const retry = (job = id): Promise<Response> => service.call(`/v1/jobs/${job}/retry`, { method: 'POST' });
  const queued = await problemOf(await retry(), 409, 'JOB_NOT_FAILED');
  assert.match(queued.detail, /is queued$/);
  await problemOf(await retry('job-000000000000000000000000'), 404, 'JOB_NOT_FOUND');
  await service.jobs.start(id);
  await service.jobs.fail(id, { code: 'TEST', message: 'on purpose' });
  await service.jobs.maintenance.switch({ on: true }, []);
  await problemOf(await retry(), 503, 'MAINTENANCE');
  await service.jobs.maintenance.switch({ on: false }, []);
  const retried = await jobOf(await retry(), 200);
  assert.deepEqual([retried.state, retried.error, retried.finishedAt], ['queued', undefined, undefined]);
  const retriedAt = await service.jobs.retriedAt(id);
  assert.equal((await service.queue.getJob(`${id}.retry.${retriedAt}`))?.name, 'retry');
  const { byState } = await service.jobs.index.counts();
  assert.deepEqual([byState.get('queued'), byState.get('failed')], [1, 0]);
  await problemOf(await retry(), 409, 'JOB_NOT_FAILED');
  await service.jobs.fail(id, { code: 'TEST', message: 'again' });
  await service.store.delete(parseDigest(manifest.blobs.relinearisationKey));
  await problemOf(await retry(), 422, 'BLOBS_MISSING');
  assert.equal(await service.jobs.state(id), 'failed');
});

test('list: newest first, limited, by state', async (t) => {
  const service = await startService(t);
  const { manifest } = await makeJob(service.store);
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) {
    ids.unshift((await jobOf(await service.submit(manifest), 201)).id);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  const [newest = '', second = ''] = ids;
  await service.jobs.start(second);
  await service.jobs.cancel(newest);
  const list = async (query: string): Promise<string[]> => {
    const response = await service.call(`/v1/jobs${query}`);
    assert.equal(response.status, 200, query);
    return ((await response.json()) as { jobs: unknown[] }).jobs.map((job) => asJob(job).id);
  };
  assert.deepEqual(await list(''), ids);
  assert.deepEqual(await list('?limit=2'), ids.slice(0, 2));
  assert.deepEqual(await list('?state=running'), [second]);
  assert.deepEqual(await list('?state=queued&limit=2'), ids.slice(2, 4));
  assert.deepEqual(await list('?state=failed'), []);
  for (const bad of ['?limit=0', '?limit=1001', '?limit=x', '?limit=1.5', '?state=sleeping', '?state='])
    await problemOf(await service.call(`/v1/jobs${bad}`), 400, 'INVALID_REQUEST');
});

async function succeed(
  service: Service,
  id: string,
  count: number,
): Promise<{ digests: string[]; blobs: Uint8Array[] }> {
  const blobs = Array.from({ length: count }, () => new Uint8Array(randomBytes(200_000)));
  const digests = await Promise.all(blobs.map((bytes) => putBlob(service.store, bytes)));
  assert.equal(await service.jobs.succeed(id, digests), true);
  return { digests, blobs };
}

test('the result: refused until there is one, then the bytes with their digest', async (t) => {
  const service = await startService(t);
  const { manifest } = await makeJob(service.store);
  const { id } = await jobOf(await service.submit(manifest), 201);
  const result = `/v1/jobs/${id}/result`;
  assert.match((await problemOf(await service.call(result), 409, 'JOB_NOT_SUCCEEDED')).detail, /it is queued/);
  await service.jobs.start(id);
  assert.match((await problemOf(await service.call(result), 409, 'JOB_NOT_SUCCEEDED')).hint ?? '', /events/);
  const { digests, blobs } = await succeed(service, id, 1);
  const response = await service.call(result);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'application/octet-stream');
  assert.equal(response.headers.get('content-length'), '200000');
  assert.equal(response.headers.get('etag'), `"${digests[0]}"`);
  assert.equal(response.headers.get('x-blindfit-models'), '1');
  const bytes = new Uint8Array(await response.arrayBuffer());
  assert.deepEqual(bytes, blobs[0]);
  assert.equal(
    response.headers.get('repr-digest'),
    `sha-256=:${Buffer.from(digestOf(bytes).slice(7), 'hex').toString('base64')}:`,
  );
  assert.equal((await service.call(result, { headers: { 'if-none-match': `"${digests[0]}"` } })).status, 304);
  assert.deepEqual(new Uint8Array(await (await service.call(`${result}?model=0`)).arrayBuffer()), blobs[0]);
  assert.match(
    (await problemOf(await service.call(`${result}?model=1`), 404, 'MODEL_NOT_FOUND')).detail,
    /has 1 ciphertext/,
  );
  assert.deepEqual((await jobOf(await service.call(`/v1/jobs/${id}`), 200)).result?.models, digests);
  await problemOf(await service.call('/v1/jobs/job-000000000000000000000000/result'), 404, 'JOB_NOT_FOUND');
});

test('jobs are planned for the workers that an autoscaler would add', async (t) => {
  const service = await startService(t, { planThreads: 8 });
  assert.deepEqual(await (await service.call('/v1/cluster')).json(), {
    workers: 0,
    threads: 8,
    protocol: 1,
    maintenance: { on: false },
    members: [],
  });
  await service.jobs.workers.beat({ id: 'worker-a', threads: 12, protocol: 2 });
  const { workers, threads } = (await (await service.call('/v1/cluster')).json()) as Record<string, unknown>;
  assert.deepEqual([workers, threads], [1, 12]);
});

test('the result of a large model comes in parts; that of a failed job is the reason', async (t) => {
  const service = await startService(t);
  const { manifest } = await makeJob(service.store);
  const [large, failed] = [
    await jobOf(await service.submit(manifest), 201),
    await jobOf(await service.submit(manifest), 201),
  ];
  const { blobs } = await succeed(service, large.id, 3);
  assert.match(
    (await problemOf(await service.call(`/v1/jobs/${large.id}/result`), 400, 'MODEL_NUMBER_MISSING')).hint ?? '',
    /model=0 to \?model=2/,
  );
  for (const [index, bytes] of blobs.entries()) {
    assert.deepEqual(
      new Uint8Array(await (await service.call(`/v1/jobs/${large.id}/result?model=${index}`)).arrayBuffer()),
      bytes,
    );
  }
  for (const bad of ['-1', 'x', '1.5'])
    await problemOf(await service.call(`/v1/jobs/${large.id}/result?model=${bad}`), 400, 'INVALID_REQUEST');
  await service.jobs.fail(failed.id, { code: 'HE_SEAL', message: 'SEAL refused to load a key' });
  assert.match(
    (await problemOf(await service.call(`/v1/jobs/${failed.id}/result`), 409, 'JOB_NOT_SUCCEEDED')).detail,
    /has failed \(HE_SEAL: SEAL refused to load a key\)/,
  );
});

test('the cluster, and metrics of requests, blobs, jobs and queues', async (t) => {
  const service = await startService(t);
  assert.deepEqual(await (await service.call('/v1/cluster')).json(), {
    workers: 0,
    threads: 0,
    protocol: 1,
    maintenance: { on: false },
    members: [],
  });
  const a = { id: 'worker-a', threads: 4, protocol: 2, host: 'node-1', version: '0.1.0', evaluator: 'native (ifma)' };
  const b = { id: 'worker-b', threads: 2, protocol: 3, revision: '0123456789ab', store: 'store-1' };
  await service.jobs.workers.beat(a);
  await service.jobs.workers.beat(b);
  const maintenance = await service.jobs.maintenance.switch({ on: true, drain: true, reason: 'new disks' }, []);
  assert.ok(maintenance.since !== undefined);
  const cluster = { workers: 2, threads: 6, protocol: 2, maintenance, members: [a, b] };
  assert.deepEqual(await (await service.call('/v1/cluster')).json(), cluster);
  await service.jobs.maintenance.switch({ on: false }, []);
  const version = (await (await service.call('/v1/version')).json()) as Record<string, unknown>;
  assert.match(String(version['version']), /^\d+\.\d+\.\d+/);
  assert.match(String(version['revision']), /^(unknown|[0-9a-f]{12})$/);
  assert.deepEqual([version['protocol'], version['oldestProtocol']], [2, 1]);
  const { manifest } = await makeJob(service.store);
  const { id } = await jobOf(await service.submit(manifest), 201);
  await jobOf(await service.submit(manifest), 201);
  await service.jobs.cancel(id);
  const { bytes, digest } = randomBlob(123_456);
  assert.equal((await service.call(`/v1/blobs/${digest}`, { method: 'PUT', body: bytes })).status, 201);
  assert.equal((await (await service.call(`/v1/blobs/${digest}`)).arrayBuffer()).byteLength, 123_456);
  for (let i = 0; i < 3; i++) await service.call(`/v1/nowhere/${i}`);
  assert.equal((await fetch(`${service.url}/metrics`)).status, 401);
  const metrics = await (await service.call('/metrics')).text();
  const sample = (name: string): number =>
    Number(
      metrics
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.split(' ')
        .at(-1),
    );
  assert.equal(sample('blindfit_jobs{state="queued"}'), 1);
  assert.equal(sample('blindfit_jobs{state="cancelled"}'), 1);
  assert.equal(sample('blindfit_jobs{state="running"}'), 0);
  assert.equal(sample('blindfit_queue_jobs{queue="jobs",state="prioritized"}'), 2);
  assert.equal(sample('blindfit_queue_jobs{queue="tasks",state="active"}'), 0);
  assert.equal(sample('blindfit_cluster_workers'), 2);
  assert.equal(sample('blindfit_cluster_threads'), 6);
  assert.equal(sample('blindfit_api_blob_received_bytes_total'), 123_456);
  assert.equal(sample('blindfit_api_blob_sent_bytes_total'), 123_456);
  assert.equal(sample('blindfit_http_request_duration_seconds_count{method="POST",route="/v1/jobs",status="201"}'), 2);
  assert.equal(sample('blindfit_http_request_duration_seconds_count{method="GET",route="none",status="404"}'), 3);
  assert.doesNotMatch(metrics, new RegExp(`nowhere|${id}|${digest}|${TOKEN}`));
  assert.match(
    metrics,
    /^blindfit_build_info\{service="api",version="\d+\.\d+\.\d+",revision="(unknown|[0-9a-f]{12})"\} 1$/m,
  );
});
