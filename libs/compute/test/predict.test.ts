/** Tasks of a prediction on a real pool: the model as training leaves it in the store, samples of the same owner. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { at, type Digest, parseDigest } from '@blindfit/base';
import { parseHeader, WIRE_HEADER_BYTES, wrap } from '@blindfit/he';
import {
  decryptModel,
  decryptScores,
  encryptSamples,
  ModelError,
  predictManifestFor,
  type Keyset,
  type Samples,
} from '@blindfit/owner';
import { openKeyset } from '@blindfit/owner/node';
import { canonicalJson, readPredictManifest, type PredictManifest, type PredictTask } from '@blindfit/protocol';
import { derivePredictionPlan, predictionSteps, type PredictionPlan, predictionPlanOf } from '@blindfit/training';
import { TaskError } from '../src/index.ts';
import {
  largestError,
  makeJob,
  makePlace,
  makePool,
  planWith,
  putBytes,
  SHARED_KEYS,
  trainOn,
  type Place,
} from './setup.ts';

const MODEL_JOB = 'job-000000000000';

function samplesOf({ layout: { samples, features } }: PredictionPlan): Samples {
  let state = 5;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  return {
    samples,
    features,
    x: Float64Array.from({ length: samples * features }, (_, at) => (at % features === 0 ? 1 : 3 * random())),
  };
}

function clearScores(weights: readonly Float64Array[], { x, samples, features }: Samples): Float64Array[] {
  return Array.from({ length: samples }, (_, i) =>
    Float64Array.from(weights, (row) => row.reduce((sum, w, j) => sum + w * at(x, i * features + j, 'values'), 0)),
  );
}

async function store(
  place: Place,
  keyset: Keyset,
  plan: PredictionPlan,
  samples: Samples,
): Promise<{ manifest: PredictManifest; digest: Digest }> {
  const features = await encryptSamples(keyset, plan, samples, {
    store: async ({ digest, bytes }) => {
      await place.store.put(digest, bytes);
    },
  });
  for (const { digest, path } of [keyset.relinearisationKey, ...keyset.galoisKeys.values()])
    await place.store.put(digest, await readFile(path));
  const manifest = predictManifestFor(plan, features, keyset, MODEL_JOB, 'new samples');
  return { manifest, digest: await putBytes(place, new TextEncoder().encode(canonicalJson(manifest))) };
}

test(
  'scores of new samples with the model that training left behind, and nothing else',
  { timeout: 300_000 },
  async (t) => {
    await using place = await makePlace();
    await using watched = makePool(place);
    const { pool } = watched;
    // One iteration: its keys sum no columns, so the prediction brings more keys. Three pairs of classes in one
    // ciphertext, two blocks.
    const training = planWith(
      { samples: 40, features: 70, classes: 5 },
      { iterations: 1 },
      8192,
      { rows: 64, columns: 64 },
      { refreshEvery: 1, modelLevel: 1 },
    );
    using job = await makeJob(place, training);
    const { models } = await trainOn(pool, job);
    const model = at(models, 0, 'models');
    const blob = await place.store.get(parseDigest(model));
    assert.deepEqual([models.length, parseHeader(blob).level], [1, 1]);
    const weights = decryptModel(job.keyset, training, [blob]);
    assert.ok(largestError(weights, job.clear) < 1e-4);

    const { parameters, layout } = training;
    const plan = derivePredictionPlan(
      parameters,
      layout,
      { samples: 150, features: 70, classes: 5 },
      { shardsPerTask: 2 },
    );
    assert.notDeepEqual(
      plan.steps.filter((step) => !training.steps.includes(step)),
      [],
    );
    using keyset = await openKeyset({ directory: SHARED_KEYS, plan, create: false });
    const samples = samplesOf(plan);
    const { manifest, digest } = await store(place, keyset, plan, samples);
    assert.deepEqual(predictionPlanOf(readPredictManifest(JSON.parse(JSON.stringify(manifest)))).plan, plan);

    const scores: string[][] = Array.from({ length: plan.layout.shards }, () => []);
    const task = (pair: number, shards: number[]): PredictTask => ({
      kind: 'predict',
      job: 'job-111111111111',
      manifest: digest,
      iteration: 1,
      pair,
      shards,
      model,
    });
    let [tasks, relinearisations] = [0, 0];
    for (let pair = 0; pair < layout.pairs; pair++) {
      for (const { shards } of predictionSteps(plan, [pair])) {
        const { outputs, operations } = await pool.run(task(pair, [...shards]));
        outputs.forEach((output, index) => (at(scores, at(shards, index, 'shards'), 'scores')[pair] = output));
        tasks++;
        relinearisations += operations.relinearisations;
      }
    }
    assert.deepEqual([tasks, relinearisations], [plan.tasks, plan.operations.relinearisations]);
    const get = (name: string): Promise<Uint8Array> => place.store.get(parseDigest(name));
    const opened = await decryptScores(keyset, plan, scores, get);
    const { classes } = plan.layout;
    const rows = Array.from({ length: samples.samples }, (_, i) => opened.subarray(i * classes, (i + 1) * classes));
    const error = largestError(rows, clearScores(weights, samples));
    t.diagnostic(`largest error of a score ${error.toExponential(2)}`);
    assert.ok(error < 1e-5, String(error));

    // The owner notices what cannot be scores.
    await assert.rejects(decryptScores(keyset, plan, scores.slice(1), get), {
      message: 'scores of 2 x 3 ciphertexts',
      hint: /^3 x 3 are needed/,
    });
    await assert.rejects(
      decryptScores(keyset, plan, [[...(scores[0] ?? []).slice(0, 2), model], ...scores.slice(1)], get),
      { message: /the level is 1/, hint: /^0 is expected/ },
    );
    using others = await openKeyset({ directory: join(place.path, 'other keys'), plan, create: true });
    await assert.rejects(
      decryptScores(others, plan, scores, get),
      (error) => error instanceof ModelError && /the model is of other keys/.test(error.hint ?? ''),
    );

    // A wrong task fails permanently with the reason.
    const refused = async (work: PredictTask, message: RegExp): Promise<void> => {
      await assert.rejects(pool.run(work), (error) => {
        assert.ok(error instanceof TaskError && !error.retryable, String(error));
        assert.match(error.message, message);
        return true;
      });
    };
    await refused(task(3, [0]), /there is no pair 3; 0 to 2/);
    await refused(task(0, [3]), /there is no shard 3; 0 to 2/);
    await refused(
      { ...task(0, [0]), model: at(at(scores, 0, 'scores'), 0, 'scores') },
      /an intermediate result \(sha256:.*the level is 0; 1 is expected/,
    );
    await refused({ ...task(0, [0]), manifest: job.digest }, /a task of kind predict of a job of kind train/);
    const header = parseHeader(blob);
    using scaled = keyset.backend.loadCiphertext(blob.subarray(WIRE_HEADER_BYTES));
    scaled.raw.setScale(plan.model.maxScale * 2);
    const grown = wrap(
      parameters,
      { kind: 'ciphertext', level: 1, scale: plan.model.maxScale * 2 },
      keyset.backend.saveCiphertext(scaled),
    );
    assert.ok(header.scale < plan.model.maxScale);
    await refused({ ...task(0, [0]), model: await putBytes(place, grown) }, /a model of scale .*; at most/);
    await assert.rejects(
      pool.run({ kind: 'backward', job: MODEL_JOB, manifest: digest, iteration: 1, pair: 0, shards: [0], blocks: [0] }),
      /a task of kind backward of a job of kind predict/,
    );

    // Nor does the owner encrypt what the plan is not for.
    const ignore = { store: () => Promise.resolve() };
    await assert.rejects(encryptSamples(keyset, plan, { ...samples, features: 71 }, ignore), {
      message: 'features (bias included): 71',
      hint: /the plan is for 70/,
    });
    await assert.rejects(
      encryptSamples(keyset, plan, { ...samples, x: samples.x.with(70, NaN) }, ignore),
      /x\[1\]\[0\] is NaN/,
    );
  },
);
