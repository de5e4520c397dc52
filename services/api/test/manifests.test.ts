import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { required } from '@blindfit/base';
import { Parameters, wrap, type WireFields } from '@blindfit/he';
import type { TrainingManifest } from '@blindfit/protocol';
import { jobOf, problemOf } from './answers.ts';
import { makeJob, putBlob, startService } from './service.ts';
import { randomBlob } from './support.ts';

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
    assert.match(`${problem.detail}; ${problem.hint}`, detail, name);
  }
  await problemOf(await service.submit('{"__proto__": {"x": 1}}'), 422, 'INVALID_MANIFEST');
  for (const bad of ['', '{', '[1,', '\u0000']) await problemOf(await service.submit(bad), 400, 'INVALID_REQUEST');
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
    [keys[first], keys[second]] = [required(keys[second], 'a key'), required(keys[first], 'a key')];
  });
  const problem = await problemOf(await service.submit(swapped), 422, 'BLOBS_INVALID');
  assert.deepEqual(
    problem.blobs?.map((blob) => blob.place).sort(),
    [`blobs.galoisKeys.${first}`, `blobs.galoisKeys.${second}`].sort(),
  );
  assert.match(problem.detail, /rotation step/);
});
