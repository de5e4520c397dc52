/** Submission of predictions: which models may be used, and what is recorded of them. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { utimes } from 'node:fs/promises';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { parseDigest } from '@blindfit/base';
import { type FileBlobStore } from '@blindfit/blobs';
import { wrap, type WireFields } from '@blindfit/he';
import type { PredictManifest, Problem } from '@blindfit/protocol';
import { createLogger } from '@blindfit/service';
import { predictionPlan, type Plan, type PredictionPlan } from '@blindfit/training';
import { startCollector } from '../src/collector.ts';
import { addCollectorMetrics } from '../src/metrics.ts';
import { jobOf, problemOf } from './answers.ts';
import { makeJob, OWNER, putBlob, startService, type Service } from './service.ts';

async function refused(response: Response, code: string, detail: RegExp, hint?: RegExp): Promise<void> {
  const problem = await problemOf(response, 422, code);
  assert.match(problem.detail, detail);
  if (hint !== undefined) assert.match(problem.hint ?? '', hint);
}

interface Prediction {
  readonly plan: PredictionPlan;
  readonly manifest: PredictManifest;
}

/** Samples with the right headers and noise behind them: the API looks at headers only. */
async function makePrediction(store: FileBlobStore, training: Plan, model: string, samples = 200): Promise<Prediction> {
  const plan = predictionPlan(training, samples);
  const { layout, parameters } = plan;
  const blob = (fields: WireFields): Promise<string> => putBlob(store, wrap(parameters, fields, randomBytes(500)));
  const manifest: PredictManifest = {
    format: 'blindfit-predict/1',
    model,
    signer: OWNER.name,
    parameters: { ...parameters.toJSON(), dataBits: [...parameters.dataBits] },
    shape: { samples, features: layout.features, classes: layout.classes },
    block: { rows: layout.rows, columns: layout.columns, turns: layout.turns },
    grouping: { ...plan.grouping },
    blobs: {
      features: await Promise.all(
        Array.from({ length: layout.shards }, () =>
          Promise.all(Array.from({ length: layout.cells }, () => blob({ kind: 'ciphertext', ...plan.features }))),
        ),
      ),
      relinearisationKey: await blob({ kind: 'relinearisation-key' }),
      galoisKeys: Object.fromEntries(
        await Promise.all(
          plan.steps.map(async (step) => [String(step), await blob({ kind: 'galois-key', step })] as const),
        ),
      ),
    },
  };
  return { plan, manifest };
}

/** A training job, not run by anybody. */
async function submitTraining(service: Service, modelLevel: 0 | 1 = 1): Promise<{ plan: Plan; id: string }> {
  const { plan, manifest } = await makeJob(service.store, {}, undefined, { modelLevel });
  return { plan, id: (await jobOf(await service.submit(manifest), 201)).id };
}

async function succeed(service: Service, id: string): Promise<string> {
  const model = await putBlob(service.store, randomBytes(100));
  await service.jobs.start(id);
  assert.equal(await service.jobs.succeed(id, [model]), true);
  return model;
}

test('a prediction is accepted: its model is settled at submission, and every blob of both stays', async (t) => {
  const service = await startService(t);
  const training = await submitTraining(service);
  const { plan, manifest } = await makePrediction(service.store, training.plan, training.id);
  await refused(
    await service.submit(manifest),
    'MODEL_UNUSABLE',
    new RegExp(`${training.id} has not succeeded, it is queued`),
    /wait until/,
  );
  const model = await succeed(service, training.id);

  const job = await jobOf(await service.submit({ ...manifest, name: 'new ones' }, 'once'), 201);
  assert.deepEqual(
    [job.kind, job.state, job.name, job.model, job.parameters],
    ['predict', 'queued', 'new ones', training.id, training.plan.parameters.name],
  );
  assert.deepEqual(job.hyperparameters, (await service.jobs.get(training.id))?.hyperparameters);
  assert.deepEqual(job.progress, {
    phase: 'queued',
    iteration: 0,
    iterations: 1,
    tasksDone: 0,
    tasksTotal: plan.tasks,
    levelsLeft: 1,
  });
  assert.deepEqual(await service.jobs.modelOf(job.id), [model]);
  assert.deepEqual(await service.jobs.modelOf(training.id), []);
  assert.deepEqual((await service.queue.getJob(job.id))?.data, { job: job.id, manifest: job.manifest, protocol: 2 });
  assert.equal((await jobOf(await service.submit({ ...manifest, name: 'new ones' }, 'once'), 200)).id, job.id);

  // A task counts, and the scores are the result.
  const [score, stray] = [
    await putBlob(service.store, randomBytes(100)),
    await putBlob(service.store, randomBytes(100)),
  ];
  const operations = { rotations: 3, relinearisations: 1, multiplications: 1, plainMultiplications: 0, rescales: 1 };
  await service.jobs.start(job.id);
  await service.jobs.recordTask(job.id, `${job.id}.predict.0.0`, {
    kind: 'predict',
    iteration: 1,
    pair: 0,
    operations,
    startedAt: Date.now() - 50,
    finishedAt: Date.now(),
    loadKeysSeconds: 0,
  });
  await service.jobs.setIteration(job.id, 0, 1, 0);
  assert.equal(await service.jobs.succeedPrediction(job.id, [[score, score]]), true);
  const done = await jobOf(await service.call(`/v1/jobs/${job.id}`), 200);
  assert.deepEqual(
    [done.state, done.progress.iteration, done.progress.tasksDone, done.progress.levelsLeft],
    ['succeeded', 1, 1, 0],
  );
  assert.deepEqual([done.result?.models, done.result?.iterates, done.result?.scores], [[], [], [[score, score]]]);
  assert.deepEqual([done.result?.operations, done.result?.seconds.iterations.length], [operations, 1]);
  const result = await service.call(`/v1/jobs/${job.id}/result`);
  assert.equal(result.status, 404);
  assert.equal(((await result.json()) as Problem).code, 'MODEL_NOT_FOUND');

  // All of it old, and nothing running: what no record names goes.
  const old = new Date(Date.now() - 10 * 24 * 3600 * 1000);
  for await (const { digest } of service.store.list()) await utimes(service.store.pathOf(digest), old, old);
  const collector = startCollector({
    store: service.store,
    redis: service.redis,
    jobs: service.jobs,
    prefix: service.options.queuePrefix ?? '',
    retentionMs: 1000,
    logger: createLogger({ service: 'api', level: 'silent' }),
    metrics: addCollectorMetrics(new Registry()),
    firstMs: 3_600_000,
  });
  t.after(() => collector.close());
  assert.equal((await collector.collect())?.collected, 1);
  assert.equal(await service.store.has(parseDigest(stray)), undefined);
  for (const digest of [model, score, job.manifest, ...manifest.blobs.features.flat()])
    assert.ok(await service.store.has(parseDigest(digest)), digest);
});

test('a model that cannot be used is refused, with the reason and what to do', async (t) => {
  const service = await startService(t);
  const training = await submitTraining(service);
  await succeed(service, training.id);
  const { manifest } = await makePrediction(service.store, training.plan, training.id);
  const prediction = await jobOf(await service.submit(manifest), 201);
  const flat = await submitTraining(service, 0);
  await succeed(service, flat.id);
  const failed = await submitTraining(service);
  await service.jobs.fail(failed.id, { code: 'X', message: 'y' });
  const cases: [string, Partial<PredictManifest>, RegExp, RegExp][] = [
    ['no job', { model: 'job-000000000000' }, /there is no job job-000000000000/, /train --servable/],
    ['a prediction', { model: prediction.id }, /is a prediction itself/, /train --servable/],
    ['a job that failed', { model: failed.id }, /has not succeeded, it is failed/, /train --servable/],
    [
      'a model without a level left',
      { model: flat.id },
      /is at level 0: it has no level left/,
      /train with --servable/,
    ],
    [
      'other parameters',
      { parameters: { ...manifest.parameters, specialBits: manifest.parameters.specialBits - 1 } },
      /parameters is .*, the model has/,
      /plan the prediction from the manifest of that job/,
    ],
    [
      'other features',
      { shape: { ...manifest.shape, features: 4 } },
      /shape\.features is 4, the model has 5/,
      /plan the prediction/,
    ],
    [
      'other classes',
      { shape: { ...manifest.shape, classes: 4 } },
      /shape\.classes is 4, the model has 3/,
      /plan the prediction/,
    ],
  ];
  for (const [name, changes, detail, hint] of cases) {
    await t.test(name, async () =>
      refused(await service.submit({ ...manifest, ...changes }), 'MODEL_UNUSABLE', detail, hint),
    );
  }
  assert.equal((await service.jobs.list(10)).filter(({ kind }) => kind === 'predict').length, 1);
});

test('the manifest of a prediction is checked like any other', async (t) => {
  const service = await startService(t);
  const training = await submitTraining(service);
  await succeed(service, training.id);
  const { manifest, plan } = await makePrediction(service.store, training.plan, training.id);
  const { features, galoisKeys, relinearisationKey } = manifest.blobs;
  const [step = 0] = plan.steps;
  const { [String(step)]: _dropped, ...tooFew } = galoisKeys;
  const cases: [string, unknown, string, RegExp][] = [
    ['another format', { ...manifest, format: 'blindfit-predict/2' }, 'INVALID_MANIFEST', /\/format/],
    ['what only training has', { ...manifest, hyperparameters: {} }, 'INVALID_MANIFEST', /additional/i],
    ['no model', { ...manifest, model: undefined }, 'INVALID_MANIFEST', /model/],
    ['a model that is no job', { ...manifest, model: '../etc/passwd' }, 'INVALID_MANIFEST', /\/model/],
    [
      'a shard too many',
      { ...manifest, blobs: { ...manifest.blobs, features: [...features, ...features] } },
      'INVALID_MANIFEST',
      /blobs\.features has \d+ shards/,
    ],
    [
      'a key too few',
      { ...manifest, blobs: { ...manifest.blobs, galoisKeys: tooFew } },
      'INVALID_MANIFEST',
      new RegExp(`lacks the rotation steps ${step};`),
    ],
    [
      'a key too many',
      { ...manifest, blobs: { ...manifest.blobs, galoisKeys: { ...galoisKeys, 77: relinearisationKey } } },
      'INVALID_MANIFEST',
      /not used: 77/,
    ],
    [
      'more samples than any',
      { ...manifest, block: { rows: 1, columns: 4096 }, shape: { ...manifest.shape, samples: 10_000 } },
      'INVALID_MANIFEST',
      /10000 shards of 1 blocks are more than the 8192/,
    ],
    [
      'no security',
      {
        ...manifest,
        parameters: {
          ...manifest.parameters,
          specialBits: 60,
          dataBits: manifest.parameters.dataBits.map(() => 60),
          ring: 4096,
        },
      },
      'INVALID_PARAMETERS',
      /not 128-bit secure/,
    ],
    [
      'no level',
      { ...manifest, parameters: { ...manifest.parameters, dataBits: manifest.parameters.dataBits.slice(0, 1) } },
      'INVALID_PLAN',
      /no level to predict with/,
    ],
    [
      'more shards a task than there are',
      { ...manifest, grouping: { shardsPerTask: 100 } },
      'INVALID_PLAN',
      /shardsPerTask: 100/,
    ],
    [
      'a key in the place of samples',
      { ...manifest, blobs: { ...manifest.blobs, features: features.map((row) => row.map(() => relinearisationKey)) } },
      'BLOBS_INVALID',
      /blobs\.features\[0\]\[0\]/,
    ],
    [
      'samples nobody uploaded',
      {
        ...manifest,
        blobs: { ...manifest.blobs, features: features.map((row) => row.map(() => `sha256:${'0'.repeat(64)}`)) },
      },
      'BLOBS_MISSING',
      /blobs\.features\[0\]\[0\]/,
    ],
  ];
  for (const [name, changed, code, detail] of cases) {
    await t.test(name, async () => refused(await service.submit(changed), code, detail));
  }
});
