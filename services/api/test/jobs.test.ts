import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { digestOf } from '@blindfit/base';
import { Parameters, wrap, type WireFields } from '@blindfit/he';
import type { TrainingManifest } from '@blindfit/protocol';
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
  assert.deepEqual(entry?.data, { job: job.id, manifest: digest });
  assert.equal(entry.opts.attempts, 4);
  assert.equal(await entry.getState(), 'waiting');
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
  assert.equal(await service.queue.getWaitingCount(), 1);

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
function changed(manifest: TrainingManifest, change: (copy: TrainingManifest) => unknown): unknown {
  const copy = structuredClone(manifest);
  return change(copy) ?? copy;
}

test('a manifest that is not valid is refused with the place and the rule', async (t) => {
  const service = await startService(t);
  const { manifest, plan } = await makeJob(service.store, { iterations: 2 });
  const [digest = ''] = manifest.blobs.features[0] ?? [];
  const step = String(plan.steps.at(-1));
  const cases: [string, (copy: TrainingManifest) => unknown, string, RegExp][] = [
    ['no object', () => 'null', 'INVALID_MANIFEST', /must be object/],
    ['another format', (m) => ({ ...m, format: 'blindfit-job/2' }), 'INVALID_MANIFEST', /\/format/],
    ['an unknown field', (m) => ({ ...m, secretKey: 'x' }), 'INVALID_MANIFEST', /additional/i],
    [
      'a number as text',
      (m) => ({ ...m, shape: { ...m.shape, samples: '100' } }),
      'INVALID_MANIFEST',
      /\/shape\/samples/,
    ],
    ['no samples', (m) => void (m.shape.samples = 0), 'INVALID_MANIFEST', /\/shape\/samples/],
    ['too many classes', (m) => void (m.shape.classes = 1001), 'INVALID_MANIFEST', /\/shape\/classes/],
    ['a name with control characters', (m) => void (m.name = 'a\u0007b'), 'INVALID_MANIFEST', /\/name/],
    [
      'no iterations',
      (m) => void (m.hyperparameters.iterations = 0),
      'INVALID_MANIFEST',
      /\/hyperparameters\/iterations/,
    ],
    [
      'a path instead of a digest',
      (m) => void (m.blobs.relinearisationKey = '../../etc/passwd'),
      'INVALID_MANIFEST',
      /\/blobs\/relinearisationKey/,
    ],
    [
      'a step that is no number',
      (m) => void (m.blobs.galoisKeys = { ...m.blobs.galoisKeys, '-1': digest }),
      'INVALID_MANIFEST',
      /galoisKeys/,
    ],
    [
      'a rotation key too few',
      (m) => void Reflect.deleteProperty(m.blobs.galoisKeys, step),
      'INVALID_MANIFEST',
      new RegExp(`lacks the rotation steps ${step}; needed`),
    ],
    ['a rotation key too many', (m) => void (m.blobs.galoisKeys['77'] = digest), 'INVALID_MANIFEST', /not used: 77/],
    [
      'a shard too many',
      (m) => void m.blobs.features.push([digest]),
      'INVALID_MANIFEST',
      /blobs\.features has \d shards/,
    ],
    [
      'a label too few',
      (m) => void m.blobs.labels[0]?.pop(),
      'INVALID_MANIFEST',
      /blobs\.labels\[0\] has 1 entries, 2/,
    ],
    [
      'more samples than blobs',
      (m) => void (m.shape.samples = 1_000_000),
      'INVALID_MANIFEST',
      /blobs\.features has \d+ shards, \d+ are needed/,
    ],
    [
      'a job larger than any',
      (m) => void ((m.block = { rows: 1, columns: 8192 }), (m.shape.samples = 10_000)),
      'INVALID_MANIFEST',
      /10000 shards of 1 blocks are more than the 8192/,
    ],
    [
      'log2 QP above the table',
      (m) => void ((m.parameters.specialBits = 60), (m.parameters.dataBits = m.parameters.dataBits.map(() => 60))),
      'INVALID_PARAMETERS',
      /not 128-bit secure.*at most/s,
    ],
    ['a ring that is none', (m) => void (m.parameters.ring = 10_000), 'INVALID_PARAMETERS', /allowed: 1024/],
    [
      'a block that does not fill the slots',
      (m) => void (m.block.columns *= 2),
      'INVALID_PLAN',
      /rows x columns must be the \d+ slots/,
    ],
    [
      'more samples in a row than fit',
      (m) => void (m.block.turns = m.block.columns),
      'INVALID_PLAN',
      /turns must be a power of two, at most half the columns/,
    ],
    [
      'other turns than the blobs are of',
      (m) => void (m.block.turns = 2 * (m.block.turns ?? 1)),
      'INVALID_MANIFEST',
      /blobs\.features\[0\] has \d+ entries, \d+ are needed/,
    ],
    ['a block that is no power of two', (m) => void (m.block.columns = 3), 'INVALID_PLAN', /powers of two/],
    [
      'more shards a task than there are',
      (m) => void (m.grouping.shardsPerTask = 1000),
      'INVALID_PLAN',
      /shardsPerTask: 1000/,
    ],
    ['no schedule', (m) => void Reflect.deleteProperty(m, 'schedule'), 'INVALID_MANIFEST', /schedule/],
    [
      'a refresh after no iteration',
      (m) => void (m.schedule.refreshEvery = 0),
      'INVALID_MANIFEST',
      /\/schedule\/refreshEvery/,
    ],
    [
      'a refresh later than the end',
      (m) => void (m.schedule.refreshEvery = 3),
      'INVALID_PLAN',
      /refreshEvery: 3; whole numbers from 1 to 2/,
    ],
    [
      'chains of three pairs',
      (m) => void (m.grouping.pairsPerChain = 3),
      'INVALID_PLAN',
      /pairsPerChain: 3; powers of two/,
    ],
    [
      'batches larger than the data',
      (m) => void (m.hyperparameters.batch = { size: 101, seed: 1 }),
      'INVALID_PLAN',
      /batch size: 101/,
    ],
    [
      'more iterations without a refresh than levels',
      (m) => void (m.hyperparameters.iterations = m.schedule.refreshEvery = 3),
      'INVALID_PLAN',
      /needs exactly \d+/,
    ],
    [
      'coefficients that do not fit the degree',
      (m) => void (m.hyperparameters.sigmoid.degree = 5),
      'INVALID_PLAN',
      /sigmoid coefficients/,
    ],
  ];
  for (const [name, change, code, detail] of cases) {
    const problem = await problemOf(await service.submit(changed(manifest, change)), 422, code);
    assert.match(problem.detail, detail, name);
  }
  for (const bad of ['', '{', '[1,', '{"__proto__": {"x": 1}}'])
    await problemOf(await service.submit(bad), 400, 'INVALID_REQUEST');
  const text = await service.call('/v1/jobs', {
    method: 'POST',
    body: JSON.stringify(manifest),
    headers: { 'content-type': 'text/plain' },
  });
  await problemOf(text, 415, 'UNSUPPORTED_MEDIA_TYPE');
  assert.deepEqual(await service.jobs.list(10), []);
  assert.equal(await service.queue.count(), 0);
  await jobOf(await service.submit(manifest), 201);
});

test('a manifest larger than allowed is 413', async (t) => {
  const service = await startService(t, { maxManifestBytes: 5_000 });
  const { manifest } = await makeJob(service.store);
  await problemOf(await service.submit(JSON.stringify(manifest).padEnd(5_001)), 413, 'BODY_TOO_LARGE');
  await jobOf(await service.submit(JSON.stringify(manifest).padEnd(5_000)), 201);
});

test('blobs that are not in the store are listed by place', async (t) => {
  const service = await startService(t);
  const { manifest } = await makeJob(service.store);
  const absent = randomBlob(100).digest;
  const one = await problemOf(
    await service.submit(
      changed(manifest, (m) => void (m.blobs.labels[0] = [absent, ...(m.blobs.labels[0] ?? []).slice(1)])),
    ),
    422,
    'BLOBS_MISSING',
  );
  assert.deepEqual(one.blobs, [{ place: 'blobs.labels[0][0]', digest: absent, reason: 'missing' }]);
  assert.ok(one.detail.includes(`blobs.labels[0][0] (${absent}) is missing`), one.detail);
  assert.match(one.hint ?? '', /PUT/);
  const all = changed(manifest, (m) => {
    m.blobs.features = m.blobs.features.map((row) => row.map(() => absent));
    m.blobs.galoisKeys = Object.fromEntries(
      Object.keys(m.blobs.galoisKeys).map((step) => [step, randomBlob(10).digest]),
    );
  });
  const many = await problemOf(await service.submit(all), 422, 'BLOBS_MISSING');
  const expected = manifest.blobs.features.flat().length + Object.keys(manifest.blobs.galoisKeys).length;
  assert.ok(expected > 5);
  assert.equal(many.blobs?.length, expected);
  assert.match(many.detail, /see "blobs"$/);
  assert.deepEqual(await service.jobs.list(10), []);
});

test('blobs that are not what their place needs are refused with the reason', async (t) => {
  const service = await startService(t);
  const { manifest, plan } = await makeJob(service.store, { iterations: 2 });
  const { parameters } = plan;
  const label: WireFields = { kind: 'ciphertext', ...plan.labels };
  const wrapped = (fields: WireFields, own = parameters): Uint8Array => wrap(own, fields, randomBytes(500));
  const edit = (offset: number, value: number): Uint8Array => {
    const bytes = wrapped(label);
    bytes[offset] = value;
    return bytes;
  };
  const cases: [string, Uint8Array, RegExp][] = [
    ['noise', randomBytes(1000), /not a Blindfit blob/],
    ['nothing', new Uint8Array(), /a blob of 0 bytes; at least 56/],
    ['a header cut off', wrapped(label).subarray(0, 40), /a blob of 40 bytes/],
    ['a payload cut off', wrapped(label).subarray(0, 300), /the blob size is 300; 556 is expected/],
    ['bytes behind the payload', Buffer.concat([wrapped(label), new Uint8Array(1)]), /the blob size is 557/],
    ['a future version', edit(4, 2), /version 2/],
    ['an unknown kind', edit(5, 9), /kind 9/],
    [
      'a key instead of a ciphertext',
      wrapped({ kind: 'relinearisation-key' }),
      /kind is relinearisation-key; ciphertext is expected/,
    ],
    [
      'other parameters',
      wrapped(label, Parameters.of({ ring: 8192, dataBits: [50, 40], specialBits: 60, scaleBits: 40 })),
      /parameter set/,
    ],
    ['another level', wrapped({ ...label, level: plan.labels.level + 1 }), /the level is/],
    ['another scale', wrapped({ ...label, scale: plan.labels.scale * 2 }), /the scale is/],
    ['a scale that is no number', wrapped({ ...label, scale: Number.NaN }), /the scale is NaN/],
    [
      'a payload larger than any ciphertext',
      wrap(parameters, label, new Uint8Array(2 * (plan.labels.level + 1) * 8 * parameters.ring + 10_000)),
      /at most \d+ for this object/,
    ],
  ];
  for (const [name, bytes, reason] of cases) {
    const digest = await putBlob(service.store, bytes);
    const problem = await problemOf(
      await service.submit(changed(manifest, (m) => void m.blobs.labels[0]?.splice(1, 1, digest))),
      422,
      'BLOBS_INVALID',
    );
    assert.equal(problem.blobs?.length, 1, name);
    assert.equal(problem.blobs[0]?.place, 'blobs.labels[0][1]', name);
    assert.match(problem.blobs[0].reason, reason, name);
    assert.match(problem.detail, reason, name);
  }
  // Keys swapped among each other: each is a key, but for another rotation.
  const [first = '', second = ''] = plan.steps.map(String);
  const swapped = changed(manifest, (m) => {
    const keys = m.blobs.galoisKeys;
    [keys[first], keys[second]] = [keys[second] ?? '', keys[first] ?? ''];
  });
  const problem = await problemOf(await service.submit(swapped), 422, 'BLOBS_INVALID');
  assert.deepEqual(
    problem.blobs?.map((blob) => blob.place).sort(),
    [`blobs.galoisKeys.${first}`, `blobs.galoisKeys.${second}`].sort(),
  );
  assert.match(problem.detail, /rotation step/);
});

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
  assert.deepEqual(await (await service.call('/v1/cluster')).json(), { workers: 0, threads: 8 });
  await service.jobs.heartbeat('worker-a', 12);
  assert.deepEqual(await (await service.call('/v1/cluster')).json(), { workers: 1, threads: 12 });
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
  assert.deepEqual(await (await service.call('/v1/cluster')).json(), { workers: 0, threads: 0 });
  await service.jobs.heartbeat('worker-a', 4);
  await service.jobs.heartbeat('worker-b', 2);
  assert.deepEqual(await (await service.call('/v1/cluster')).json(), { workers: 2, threads: 6 });
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
  assert.equal(sample('blindfit_queue_jobs{queue="jobs",state="waiting"}'), 2);
  assert.equal(sample('blindfit_queue_jobs{queue="tasks",state="active"}'), 0);
  assert.equal(sample('blindfit_cluster_workers'), 2);
  assert.equal(sample('blindfit_cluster_threads'), 6);
  assert.equal(sample('blindfit_api_blob_received_bytes_total'), 123_456);
  assert.equal(sample('blindfit_api_blob_sent_bytes_total'), 123_456);
  assert.equal(sample('blindfit_http_request_duration_seconds_count{method="POST",route="/v1/jobs",status="201"}'), 2);
  assert.equal(sample('blindfit_http_request_duration_seconds_count{method="GET",route="none",status="404"}'), 3);
  assert.doesNotMatch(metrics, new RegExp(`nowhere|${id}|${digest}|${TOKEN}`));
  assert.match(metrics, /^blindfit_build_info\{service="api",version="\d+\.\d+\.\d+"\} 1$/m);
});
