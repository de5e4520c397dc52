/**
 * Training past the modulus: refreshes by the owner, who may go away and come back, whatever dies meanwhile. Real
 * processes, real Redis, 128-bit parameters.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { BlindfitClient } from '@blindfit/client';
import { parseModel, readCsv } from '@blindfit/data';
import { decryptModel, followTraining, prepareData, RefreshSession, stepBound } from '@blindfit/owner';
import type { RunningStack } from '@blindfit/stack';
import { DEFAULT_HYPERPARAMETERS, fitSigmoid, trainClear, type Hyperparameters } from '@blindfit/training';
import { finished, largestError, prepareJob, SHARED_KEYS, syntheticData, waitFor, withStack } from './support.ts';

const MAIN = fileURLToPath(new URL('../../cli/src/main.ts', import.meta.url));

it('refresh', async (t) => {
  await withStack({ workers: 2, schedulers: 2, threads: 1 }, async (stack, client, directory) => {
    await t.test('waits for an owner who is away, through the death of everything, and goes on', (t) =>
      waitsForTheOwner(t, stack, client),
    );
    await t.test('survives kills of workers and schedulers between and during iterations', (t) =>
      survivesKills(t, stack, client),
    );
    await t.test('training stops when patience runs out, and the best weights are the model', () =>
      stopsWithoutPatience(stack, client, directory),
    );
    await t.test('train is killed, and attach finishes the job from a copy of the keys', (t) =>
      attachesElsewhere(t, stack, client, directory),
    );
  });
});

async function waitsForTheOwner(t: TestContext, stack: RunningStack, client: BlindfitClient): Promise<void> {
  const data = syntheticData(100, 70, 5);
  const hyperparameters: Hyperparameters = { ...DEFAULT_HYPERPARAMETERS, iterations: 4, learningRate: 3 };
  using prepared = await prepareJob(client, SHARED_KEYS, data, hyperparameters, { refreshEvery: 1 });
  const { plan, keyset } = prepared;
  const { id } = await client.submit(prepared.manifest);
  const waiting = await waitFor(client, id, ({ state }) => state === 'awaiting-refresh');
  assert.equal(waiting.state, 'awaiting-refresh');
  assert.deepEqual(
    waiting.refreshes.map(({ iteration }) => iteration),
    waiting.refreshes.map(() => 1),
    'every chain waits after its first iteration',
  );

  // The owner answers for one chain only, and goes away; then everything dies.
  const first = new RefreshSession(keyset, plan, stepBound(data, hyperparameters));
  const [request] = waiting.refreshes;
  assert.ok(request);
  const answer = first.answer(request, await client.blob(request.weights));
  for (const { digest, bytes } of [answer.weights, answer.momentum]) await client.putBlob(digest, bytes);
  const body = first
    .answersFor(waiting)
    .signed(request, { id: request.id, weights: answer.weights.digest, momentum: answer.momentum.digest });
  await client.refresh(id, body);
  for (const process of stack.processes) {
    await process.kill('SIGKILL');
    await process.restart();
  }
  assert.equal((await client.refresh(id, body)).id, id, 'repeating an answer is harmless');
  const again = await waitFor(
    client,
    id,
    ({ state, refreshes }) => state === 'awaiting-refresh' && refreshes.some(({ iteration }) => iteration === 2),
  );
  assert.equal(again.state, 'awaiting-refresh');

  // An owner who remembers nothing comes back.
  const followed = await followTraining(client, again, {
    session: new RefreshSession(keyset, plan, stepBound(data, hyperparameters)),
    cancel: false,
  });
  assert.equal(followed.job.state, 'succeeded', followed.job.error?.message);
  assert.equal(followed.job.progress.tasksDone, followed.job.progress.tasksTotal, 'no task is lost or counts twice');
  assert.deepEqual(followed.job.result?.operations, plan.operations);
  const weights = decryptModel(keyset, plan, await client.result(id, followed.job.result.models));
  const error = largestError(weights, prepared.clear);
  t.diagnostic(`largest weight error against the clear twin: ${error.toExponential(2)}`);
  assert.ok(error < 1e-5, `largest weight error ${error}`);
  // W_3 was seen at the last refresh, by the owner who came back.
  const twin = trainClear(data.x, data.samples, data.features, data.labels, hyperparameters).history[2] ?? [];
  assert.ok(largestError(followed.history[2] ?? [], twin) < 1e-5);
  await assert.rejects(client.refresh(id, body), /JOB_FINISHED|finished|ended/);
}

async function survivesKills(t: TestContext, stack: RunningStack, client: BlindfitClient): Promise<void> {
  const data = syntheticData(80, 40, 3);
  const hyperparameters: Hyperparameters = {
    ...DEFAULT_HYPERPARAMETERS,
    iterations: 6,
    learningRate: 2,
    sigmoid: fitSigmoid(1, 8),
    batch: { size: 40, seed: 3 },
  };
  using prepared = await prepareJob(client, SHARED_KEYS, data, hyperparameters, { refreshEvery: 2 });
  const { plan, keyset } = prepared;
  const submitted = await client.submit(prepared.manifest);
  const owner = followTraining(client, submitted, {
    session: new RefreshSession(keyset, plan, stepBound(data, hyperparameters)),
    cancel: false,
  });
  for (const [iteration, name] of [
    [1, 'worker-1'],
    [3, 'scheduler-1'],
  ] as const) {
    await waitFor(client, submitted.id, ({ progress }) => progress.iteration >= iteration);
    const process = stack.processes.find((candidate) => candidate.name === name);
    assert.ok(process);
    await process.kill('SIGKILL');
    await process.restart();
  }
  const { job } = await owner;
  assert.equal(job.state, 'succeeded', job.error?.message);
  assert.deepEqual(job.result?.operations, plan.operations, 'no task counts twice');
  const error = largestError(
    decryptModel(keyset, plan, await client.result(job.id, job.result.models)),
    prepared.clear,
  );
  t.diagnostic(`largest weight error against the clear twin: ${error.toExponential(2)}`);
  assert.ok(error < 1e-4, `largest weight error ${error}`);
}

/** With the keys that the next test uses, too. */
async function stopsWithoutPatience(stack: RunningStack, client: BlindfitClient, directory: string): Promise<void> {
  const [train, test, out] = ['train.csv', 'test.csv', 'model.json'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  await writeFile(train, csv(90, 1));
  // Nothing can be learned about labels that have nothing to do with the features.
  await writeFile(
    test,
    csv(60, 2)
      .split('\n')
      .map((row, i) => `${(i * 7) % 3}${row.slice(1)}`)
      .join('\n'),
  );
  const child = spawn(
    process.execPath,
    [
      MAIN,
      'train',
      '--features',
      train,
      '--validation',
      test,
      '--budget',
      'none',
      '--preprocess',
      'standardize',
      '--iterations',
      '30',
      '--refresh-every',
      '1',
      '--sigmoid-degree',
      '1',
      '--learning-rate',
      '5',
      '--patience',
      '2',
      '--keys',
      join(directory, 'keys'),
      '--out',
      out,
      '--json',
      '-',
      '--quiet',
    ],
    {
      env: { ...process.env, BLINDFIT_SERVER: stack.url, BLINDFIT_TOKEN: stack.token },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  const [status] = (await once(child, 'close')) as [number];
  assert.equal(status, 0);
  const report = JSON.parse(stdout) as {
    job: string;
    iteration: number;
    stoppedAfter: number;
    maxWeightError: number;
    accuracy: { encrypted: object; clear: object };
  };
  assert.ok(report.stoppedAfter < 30 && report.stoppedAfter === report.iteration + 2, JSON.stringify(report));
  assert.ok(report.maxWeightError < 1e-4, 'the model is that of the clear twin at the best iteration');
  assert.deepEqual(report.accuracy.encrypted, report.accuracy.clear);
  assert.equal((await client.job(report.job)).state, 'cancelled', 'the workers are free');
  assert.equal(parseModel(await readFile(out, 'utf8')).training['iterations'], report.iteration);
}

async function attachesElsewhere(
  t: TestContext,
  stack: RunningStack,
  client: BlindfitClient,
  directory: string,
): Promise<void> {
  const [train, test] = [join(directory, 'train.csv'), join(directory, 'test.csv')];
  await writeFile(train, csv(150, 1));
  await writeFile(test, csv(60, 2));
  const keys = join(directory, 'keys');
  const env = { ...process.env, BLINDFIT_SERVER: stack.url, BLINDFIT_TOKEN: stack.token };
  const start = (...args: string[]): ReturnType<typeof spawn> =>
    spawn(process.execPath, [MAIN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const newest = (await client.jobs({ limit: 1 }))[0]?.id;
  const training = start(
    'train',
    '--features',
    train,
    '--budget',
    'none',
    '--preprocess',
    'standardize',
    '--iterations',
    '6',
    '--learning-rate',
    '4',
    '--refresh-every',
    '1',
    '--sigmoid-degree',
    '1',
    '--keys',
    keys,
    '--out',
    join(directory, 'lost.json'),
  );
  const done = once(training, 'exit');
  let id = '';
  while (id === '')
    [id = ''] = (await client.jobs({ limit: 1 })).map((job) => job.id).filter((each) => each !== newest);
  await waitFor(client, id, ({ progress }) => progress.iteration >= 2);
  training.kill('SIGKILL');
  await done;
  const left = await waitFor(client, id, ({ state }) => state === 'awaiting-refresh');
  assert.equal(left.state, 'awaiting-refresh', 'the job waits for its owner');

  const elsewhere = join(directory, 'elsewhere');
  await mkdir(elsewhere);
  await cp(keys, join(elsewhere, 'keys'), { recursive: true });
  const attached = start(
    'attach',
    id,
    '--keys',
    join(elsewhere, 'keys'),
    '--validation',
    test,
    '--out',
    join(elsewhere, 'model.json'),
    '--json',
  );
  let [stdout, stderr] = ['', ''];
  attached.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  attached.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [status] = (await once(attached, 'close')) as [number];
  assert.equal(status, 0, stderr);
  const report = JSON.parse(stdout) as { iteration: number; accuracy: number; refresh: { count: number } };
  assert.equal(report.iteration, 6);
  assert.ok(report.refresh.count > 0 && report.accuracy > 0.5);
  assert.equal((await finished(client, id)).state, 'succeeded');

  const model = parseModel(await readFile(join(elsewhere, 'model.json'), 'utf8'));
  const { set: job } = prepareData({ training: await readCsv(train), preprocessing: 'standardize' });
  const clear = trainClear(job.x, job.samples, job.features, job.labels, {
    ...DEFAULT_HYPERPARAMETERS,
    iterations: 6,
    learningRate: 4,
    sigmoid: fitSigmoid(1, 8),
  }).weights;
  const error = largestError(model.weights, clear);
  t.diagnostic(
    `largest weight error against the clear twin: ${error.toExponential(2)}; accuracy ` + report.accuracy.toFixed(3),
  );
  assert.ok(error < 1e-4, `largest weight error ${error}`);
}

/** Rows of 12 features with three classes that differ. */
function csv(rows: number, seed: number): string {
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  return Array.from({ length: rows }, (_, i) =>
    [i % 3, ...Array.from({ length: 12 }, (_unused, j) => (random() + (j % 3 === i % 3 ? 0.6 : 0)).toFixed(4))].join(
      ',',
    ),
  ).join('\n');
}
