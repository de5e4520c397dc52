/**
 * Encrypted prediction from end to end: a training whose model stays on the servers, and the scores of new samples by
 * it, against those of the decrypted weights. 128-bit parameters, real processes, the real command line.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { required } from '@blindfit/base';
import { ApiProblemError, type BlindfitClient } from '@blindfit/client';
import { applyPreprocessing, createDataset, parseModel, parsePreprocessing, withBias } from '@blindfit/data';
import { decryptScores, encryptSamples, predictManifestFor, type Keyset, type Samples } from '@blindfit/owner';
import { openKeyset } from '@blindfit/owner/node';
import { readTrainingManifest, type PredictManifest } from '@blindfit/protocol';
import type { RunningStack } from '@blindfit/stack';
import { predictionPlan, type Plan, type PredictionPlan, trainingPlanOf } from '@blindfit/training';
import { finished, withStack } from './support.ts';

const MAIN = fileURLToPath(new URL('../../cli/src/main.ts', import.meta.url));
const CLASSES = ['ant', 'bee', 'cat'];

/** Ends with the test at the latest. */
async function cli(
  stack: RunningStack,
  args: readonly string[],
): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, BLINDFIT_SERVER: stack.url, BLINDFIT_TOKEN: stack.token },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 180_000,
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (data: Buffer) => void (output.stdout += data.toString('utf8')));
  child.stderr.on('data', (data: Buffer) => void (output.stderr += data.toString('utf8')));
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { status, ...output };
}

/** Samples of three classes, some features larger than others so that preprocessing matters. */
function samplesCsv(samples: number, seed: number): string {
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  const rows = Array.from({ length: samples }, (_, i) =>
    [
      CLASSES[i % 3],
      ...Array.from({ length: 19 }, (_unused, j) => (j + 1) * (random() + (j % 3 === i % 3 ? 0.7 : 0))),
    ].join(','),
  );
  return `${rows.join('\n')}\n`;
}

interface Scored {
  readonly predictions: readonly {
    readonly sample: string;
    readonly predicted: string;
    readonly probabilities: readonly number[];
  }[];
  readonly accuracy: number;
  readonly confusion: readonly (readonly number[])[];
}

it(
  'blindfit train --servable, then predict --encrypted, as if the model were in the clear',
  { timeout: 400_000 },
  async (t) => {
    await withStack({}, async (stack, client, directory) => {
      const at = (name: string): string => join(directory, name);
      await writeFile(at('train.csv'), samplesCsv(60, 1));
      await writeFile(at('test.csv'), samplesCsv(45, 2));
      const keys = ['--keys', at('keys')];
      const trained = await cli(stack, [
        'train',
        '--servable',
        '--budget',
        'none',
        '--iterations',
        '1',
        '--sigmoid-degree',
        '1',
        '--features',
        at('train.csv'),
        ...keys,
        '--out',
        at('model.json'),
        '--json',
        at('report.json'),
        '--quiet',
      ]);
      assert.equal(trained.status, 0, trained.stderr);
      const { job } = JSON.parse(await readFile(at('report.json'), 'utf8')) as { job: string };

      const encrypted = await cli(stack, [
        'predict',
        '--encrypted',
        '--job',
        job,
        ...keys,
        '--features',
        at('test.csv'),
        '--name',
        'new ones',
        '--json',
        '--out',
        at('encrypted.csv'),
        '--quiet',
      ]);
      assert.deepEqual([encrypted.status, encrypted.stderr], [0, '']);
      const clear = await cli(stack, ['predict', '--model', at('model.json'), '--features', at('test.csv'), '--json']);
      const [found, expected] = [JSON.parse(encrypted.stdout) as Scored, JSON.parse(clear.stdout) as Scored];
      let error = 0;
      expected.predictions.forEach(({ sample, predicted, probabilities }, i) => {
        assert.deepEqual([found.predictions[i]?.sample, found.predictions[i]?.predicted], [sample, predicted]);
        probabilities.forEach(
          (p, k) => (error = Math.max(error, Math.abs(p - Number(found.predictions[i]?.probabilities[k])))),
        );
      });
      t.diagnostic(`largest error of a probability ${error.toExponential(2)}, accuracy ${found.accuracy}`);
      assert.ok(error < 1e-4, String(error));
      assert.equal(found.predictions.length, 45);
      assert.deepEqual([found.accuracy, found.confusion], [expected.accuracy, expected.confusion]);
      assert.ok(found.accuracy > 0.6, String(found.accuracy));
      assert.equal((await readFile(at('encrypted.csv'), 'utf8')).split('\n').length, 47);

      const [view] = await client.jobs({ limit: 1 });
      assert.ok(view);
      assert.deepEqual([view.kind, view.name, view.model, view.state], ['predict', 'new ones', job, 'succeeded']);
      assert.deepEqual(
        [view.progress.phase, view.progress.iteration, view.progress.iterations, view.progress.levelsLeft],
        ['done', 1, 1, 0],
      );
      assert.ok(view.progress.tasksTotal > 0 && view.progress.tasksDone === view.progress.tasksTotal);
      const { result } = view;
      assert.deepEqual([result?.models, result?.iterates], [[], []]);
      assert.ok(
        result &&
          result.operations.relinearisations > 0 &&
          result.seconds.compute > 0 &&
          result.seconds.iterations.length === 1,
      );
      assert.match(
        (await cli(stack, ['jobs', view.id])).stdout,
        new RegExp(`with the model of ${job}, which nobody decrypts`),
      );
      await assert.rejects(
        client.result(view.id, ['sha256:']),
        (error) =>
          error instanceof ApiProblemError && error.code === 'MODEL_NOT_FOUND' && /is a prediction/.test(error.message),
      );

      // The scores themselves, with the plan and keys as the command uses them.
      const training = await servable(client, job);
      const model = parseModel(await readFile(at('model.json'), 'utf8'));
      const ticket = JSON.parse(await readFile(join(at('keys'), 'jobs', `${job}.json`), 'utf8')) as {
        preprocessing: unknown;
      };
      const rows = samplesCsv(30, 3)
        .trimEnd()
        .split('\n')
        .flatMap((row) => row.split(',').slice(1).map(Number));
      const data = createDataset(Float64Array.from(rows), 19);
      const x = withBias(applyPreprocessing(parsePreprocessing(ticket.preprocessing), data));
      const samples = { x, samples: 30, features: 20 };
      const plan = predictionPlan(training, 30);
      using keyset = await openKeyset({ directory: at('keys'), plan, create: false });
      const manifest = await uploaded(client, keyset, plan, samples, job);
      const done = await finished(client, (await client.submit(manifest)).id);
      assert.equal(done.state, 'succeeded', done.error?.message);
      const scores = await decryptScores(keyset, plan, done.result?.scores ?? [], (digest) => client.blob(digest));
      let worst = 0;
      scores.forEach((score, index) => {
        const [i, k] = [Math.floor(index / 3), index % 3];
        const z = (model.weights[k] ?? []).reduce((sum, w, j) => sum + w * required(x[i * 20 + j], 'a feature'), 0);
        worst = Math.max(worst, Math.abs(z - score));
      });
      t.diagnostic(`largest error of a score ${worst.toExponential(2)}`);
      assert.ok(worst < 1e-4, String(worst));

      // What is refused: by the API ...
      const refused = async (changes: Partial<PredictManifest>, code: string, message: RegExp): Promise<void> => {
        await assert.rejects(client.submit({ ...manifest, ...changes }), (error) => {
          assert.ok(error instanceof ApiProblemError, String(error));
          assert.deepEqual([error.status, error.code], [422, code], error.message);
          assert.match(`${error.message}; ${error.hint ?? ''}`, message);
          return true;
        });
      };
      await refused({ model: 'job-000000000000' }, 'MODEL_UNUSABLE', /there is no job job-000000000000/);
      await refused({ model: view.id }, 'MODEL_UNUSABLE', /is a prediction itself/);
      await refused(
        { shape: { ...manifest.shape, features: 19 } },
        'MODEL_UNUSABLE',
        /shape\.features is 19, the model has 20/,
      );
      await refused(
        { shape: { ...manifest.shape, classes: 4 } },
        'MODEL_UNUSABLE',
        /shape\.classes is 4, the model has 3/,
      );
      await refused({ grouping: { shardsPerTask: 2 } }, 'INVALID_PLAN', /shardsPerTask: 2/);
      await refused(
        { blobs: { ...manifest.blobs, features: [...manifest.blobs.features, ...manifest.blobs.features] } },
        'INVALID_MANIFEST',
        /has 2 shards, 1 are needed/,
      );
      const [first = []] = manifest.blobs.features;
      await refused(
        { blobs: { ...manifest.blobs, features: [[String(result.scores?.[0]?.[0]), ...first.slice(1)]] } },
        'BLOBS_INVALID',
        /blobs\.features\[0\]\[0\].*the level is 0/,
      );
      // ... and by the command.
      const told = async (args: readonly string[], message: RegExp): Promise<void> => {
        const { status, stdout, stderr } = await cli(stack, ['predict', '--encrypted', '--quiet', ...args]);
        assert.deepEqual([status, stdout], [1, ''], stderr);
        assert.match(stderr, message);
      };
      await writeFile(at('wide.csv'), 'ant,1,2,3\n');
      await told(
        ['--job', 'job-000000000000', ...keys, '--features', at('test.csv')],
        /these are not the keys .* was submitted with/,
      );
      await told(
        ['--job', job, ...keys, '--features', at('wide.csv')],
        /the model was trained on 19 features and the data has 3/,
      );
      // A copy of the tickets without the keys opens nothing.
      await cp(join(at('keys'), 'jobs'), join(at('copied'), 'jobs'), { recursive: true });
      await told(['--job', job, '--keys', at('copied'), '--features', at('test.csv')], /there is no keyset for N/);
      const jobs = await client.jobs();
      assert.equal(jobs.filter(({ kind }) => kind === 'predict').length, 2, 'nothing that was refused became a job');
    });
  },
);

async function servable(client: BlindfitClient, job: string): Promise<Plan> {
  const view = await client.job(job);
  return trainingPlanOf(
    readTrainingManifest(JSON.parse(Buffer.from(await client.blob(view.manifest)).toString('utf8'))),
  ).plan;
}

async function uploaded(
  client: BlindfitClient,
  keyset: Keyset,
  plan: PredictionPlan,
  samples: Samples,
  job: string,
): Promise<PredictManifest> {
  const features = await encryptSamples(keyset, plan, samples, {
    store: async ({ digest, bytes }) => {
      await client.putBlob(digest, bytes);
    },
  });
  await client.putBlobs(
    [keyset.relinearisationKey, ...keyset.galoisKeys.values()].map(({ digest, size, path }) => ({
      digest,
      size,
      bytes: () => readFile(path),
    })),
  );
  return predictManifestFor(plan, features, keyset, job);
}
