/** Blindfit from a program: a real training on an embedded stack, its abort, and what is refused beforehand. */
import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { at } from '@blindfit/base';
import { applyPreprocessing, classIndices, parseModel, withBias } from '@blindfit/data';
import { startStack } from '@blindfit/stack';
import { processesOf, temporaryDirectory } from '@blindfit/testkit';
import { trainByTheBook } from './by-the-book.ts';
import { attach, connect, OwnerError, plan, predict, train, type FlowState } from 'blindfit';

/** Three classes around three centres. */
function samples(count: number, seed: number): { x: number[][]; y: string[] } {
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  const y = Array.from({ length: count }, (_, i) => at(['ash', 'birch', 'cedar'], i % 3, 'trees'));
  const x = y.map((_, i) => Array.from({ length: 5 }, (_unused, j) => random() + (j % 3 === i % 3 ? 1.5 : 0)));
  return { x, y };
}

/** Temporary files go to a directory of the test, so that leftovers show. */
async function home(t: TestContext): Promise<string> {
  const directory = await temporaryDirectory(t);
  const before = process.env['TMPDIR'];
  process.env['TMPDIR'] = directory;
  t.after(() => {
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
  });
  return directory;
}

const TRAINING = samples(60, 1);
const HELD_OUT = samples(30, 2);

test('trains on a stack of its own, predicts, saves and reports', async (t) => {
  const directory = await home(t);
  const phases = new Set<string>();
  const model = await train({
    ...TRAINING,
    validation: HELD_OUT,
    keys: join(directory, 'keys'),
    preprocess: 'standardize',
    batchSize: 32,
    iterations: 3,
    budget: 'none',
    threads: 1,
    onProgress: ({ phase }: FlowState) => phases.add(phase),
  });
  assert.deepEqual(model.classes, ['ash', 'birch', 'cedar']);
  assert.equal(model.features, 5);
  assert.ok(model.accuracy > 0.9 && model.accuracy <= 1, `${model.accuracy}`);
  for (const phase of ['making keys', 'encrypting', 'uploading keys', 'training']) assert.ok(phases.has(phase), phase);

  // The weights are those of an oracle that shares no code with the training.
  const { preprocessing, weights } = model.model;
  const data = { features: Float64Array.from(TRAINING.x.flat()), labels: TRAINING.y, n: 60, d: 5 };
  const expected = trainByTheBook({
    x: withBias(applyPreprocessing(preprocessing, data)),
    classOf: classIndices(TRAINING.y, model.classes),
    classes: 3,
    iterations: 3,
    batch: { size: 32, seed: 1 },
  });
  weights.forEach((row, k) =>
    row.forEach((weight, j) =>
      assert.ok(Math.abs(weight - at(at(expected, k, 'classes'), j, 'weights')) < 1e-4, `weight ${k}, ${j}`),
    ),
  );

  const predictions = await model.predict(HELD_OUT.x);
  const right = predictions.filter(({ predicted }, i) => predicted === HELD_OUT.y[i]).length;
  assert.equal(right / 30, model.accuracy);
  await model.save(join(directory, 'model.json'));
  const saved = parseModel(await readFile(join(directory, 'model.json'), 'utf8'));
  assert.deepEqual(saved.training['batch'], { size: 32, seed: 1 });
  assert.deepEqual(await predict(join(directory, 'model.json'), HELD_OUT.x), predictions);
  assert.deepEqual(await predict(saved, HELD_OUT.x), predictions);
  await model.report(join(directory, 'report.html'), { title: 'Trees' });
  assert.match(await readFile(join(directory, 'report.html'), 'utf8'), /<title>[^<]*Trees/);

  assert.equal((await stat(join(directory, 'keys', 'jobs', `${model.job}.json`))).mode & 0o777, 0o600);
  assert.equal((await stat(join(directory, 'keys', 'jobs'))).mode & 0o777, 0o700);
  assert.deepEqual((await readdir(directory)).sort(), ['keys', 'model.json', 'report.html'], 'the stack left nothing');
  assert.deepEqual(await processesOf(directory), []);
});

test('on a server: an abort cancels the job, another client attaches, the model predicts on ciphertexts', async (t) => {
  const directory = await home(t);
  const stack = await startStack({ dataDir: join(directory, 'data'), threads: 1, log: () => undefined });
  t.after(() => stack.stop());
  const server = connect(stack.url, { token: stack.token });
  t.after(() => server.close());
  const keys = join(directory, 'keys');
  const options = { ...TRAINING, server, keys, servable: true, sigmoidDegree: 1, budget: 'none' } as const;

  const aborter = new AbortController();
  const reason = new Error('enough');
  await assert.rejects(
    train({
      ...options,
      iterations: 12,
      refreshEvery: 1,
      signal: aborter.signal,
      onProgress: ({ phase }) => phase === 'training' && aborter.abort(reason),
    }),
    reason,
  );
  const [cancelled] = await server.jobs();
  assert.equal(cancelled?.state, 'cancelled');

  const model = await train({ ...options, validation: HELD_OUT, iterations: 1, name: 'trees' });
  const attached = await attach({ job: model.job, server, keys, validation: HELD_OUT });
  assert.deepEqual(attached.model.weights, model.model.weights);
  assert.equal(attached.accuracy, model.accuracy);
  // One writer of model files: all but the timings are the same.
  const { seconds: _seconds, maxWeightError: _error, ...expected } = model.model.training;
  assert.deepEqual(attached.model.training, expected);

  const clear = await model.predict(HELD_OUT.x);
  const encrypted = await predict({ job: model.job, server, keys }, HELD_OUT.x);
  assert.deepEqual(
    encrypted.map(({ predicted }) => predicted),
    clear.map(({ predicted }) => predicted),
  );
});

test('says beforehand what cannot work', async () => {
  const refuses = (options: Parameters<typeof train>[0], message: RegExp): Promise<void> =>
    assert.rejects(
      train(options),
      (error) => error instanceof OwnerError && error.code === 'OWNER_REQUEST' && message.test(error.message),
    );
  await refuses({}, /^there must be one set of training data$/);
  await refuses({ x: TRAINING.x }, /^there must be one set of training data$/);
  await refuses({ ...TRAINING, features: 'train.csv' }, /^there must be one set/);
  await refuses({ ...TRAINING, patience: 2 }, /^patience needs held-out data$/);
  await refuses({ ...TRAINING, servable: true }, /^servable needs an API that stays$/);
  await refuses({ x: [[1, 2], [3]], y: ['a', 'b'] }, /^row 1 has 1 features and row 0 has 2$/);
  await refuses({ ...TRAINING, validation: { x: [[1]], y: ['ash'] } }, /^the validation data have 1 features/);
  await assert.rejects(train({ ...TRAINING, preprocess: 'pcs' }), /unknown preprocessing "pcs"/);
  await assert.rejects(
    train({ ...TRAINING, budget: 'none', iterations: 60, refreshEvery: 60 }),
    /60 iterations without a refresh/,
  );
  const server = connect('http://127.0.0.1:9');
  await assert.rejects(
    attach({ job: 'job-000000000000', server, patience: 1 }),
    (error) => error instanceof OwnerError && error.code === 'OWNER_REQUEST',
  );
  await server.close();
});

test('plans a job without running it', () => {
  const small = plan({ samples: 128, features: 63, classes: 10 });
  assert.equal(small.layout.features, 64, 'the bias is added');
  assert.equal(small.schedule.modelLevel, 0);
  assert.equal(plan({ samples: 128, features: 63, classes: 10, servable: true }).schedule.modelLevel, 1);
  assert.equal(plan({ samples: 128, features: 63, classes: 10, iterations: 5 }).iterations.length, 5);
});
