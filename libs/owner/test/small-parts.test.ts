/** Parts of the owner's flow that need neither keys nor a server. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { balancedWeights, createDataset, withLabels } from '@blindfit/data';
import { Parameters } from '@blindfit/he';
import { assertRowsFit } from '../src/fits-plan.ts';
import { modelOf } from '../src/flow/model.ts';
import { jobState } from '../src/flow/states.ts';
import { accuraciesOf, evaluate, prepareData, shuffled } from '../src/flow/training-data.ts';
import { JobDataError, manifestFor, MemoryKeys, type Keyset } from '../src/index.ts';
import { Sealing } from '../src/node/passphrase.ts';
import { planOf } from './setup.ts';
import { SMALL } from './small-ring.ts';

it('rows of another shape, other keys, or without a number are refused before anything is encrypted', () => {
  const parameters = Parameters.of(SMALL, 'none');
  const plan = { parameters, layout: { samples: 2, features: 2 } } as never;
  const data = { x: Float64Array.of(1, 2, 1, 3), samples: 2, features: 2 };
  assertRowsFit({ parameters }, plan, data);
  const [first = 0, second = 0, ...rest] = SMALL.dataBits;
  const others = Parameters.of({ ...SMALL, dataBits: [first - 1, second + 1, ...rest] }, 'none');
  assert.equal(others.name, parameters.name);
  const refused = (keyset: { readonly parameters: Parameters }, rows: typeof data, message: RegExp): void =>
    assert.throws(
      () => assertRowsFit(keyset, plan, rows),
      (error) => error instanceof JobDataError && message.test(error.message),
    );
  refused({ parameters: others }, data, /^fingerprint of the keyset: /);
  refused({ parameters: Parameters.of({ ...SMALL, ring: 4096 }, 'none') }, data, /^parameters of the keyset: N4096/);
  refused({ parameters }, { ...data, samples: 3 }, /^samples: 3/);
  refused({ parameters }, { ...data, features: 1 }, /^features \(bias included\): 1/);
  refused({ parameters }, { ...data, x: Float64Array.of(1, 2, 1) }, /^numbers in x: 3/);
  for (const value of [NaN, Infinity])
    refused({ parameters }, { ...data, x: Float64Array.of(1, 2, value, 3) }, /^x\[1\]\[0\] is (NaN|Infinity)/);
});

it('shuffling moves whole samples: rows go with their labels, and every sample stays', () => {
  const samples = 40;
  const set = {
    x: Float64Array.from({ length: 2 * samples }, (_, i) => i),
    samples,
    features: 2,
    labels: [Float64Array.from({ length: samples }, (_, i) => i % 2), new Float64Array(samples)],
    rowWeights: Float64Array.from({ length: samples }, (_, i) => 10 * i),
  };
  const { x, labels, rowWeights } = shuffled(set, 7);
  const firsts = Array.from({ length: samples }, (_, i) => x[2 * i] as number);
  assert.notDeepEqual(
    firsts,
    firsts.toSorted((a, b) => a - b),
  );
  assert.deepEqual(
    firsts.toSorted((a, b) => a - b),
    Array.from({ length: samples }, (_, i) => 2 * i),
  );
  firsts.forEach((first, i) => {
    assert.equal(x[2 * i + 1], first + 1);
    assert.equal(labels[0]?.[i], (first / 2) % 2);
    assert.equal(rowWeights?.[i], 5 * first);
  });
  assert.deepEqual(shuffled(set, 7).x, x, 'a seed is an order');
  assert.notDeepEqual(shuffled(set, 8).x, x);
});

it('balanced classes count the same, whatever the number of their samples', () => {
  assert.deepEqual([...balancedWeights(Int32Array.of(0, 0, 0, 2, 0, 2))], [0.75, 0.75, 0.75, 1.5, 0.75, 1.5]);
});

it('prepared data have a bias column, a class a row, and what they hold out is never learned from', () => {
  const training = withLabels(createDataset(Float64Array.of(1, 3, 5, 7), 1), ['b', 'a', 'b', 'a']);
  const validation = withLabels(createDataset(Float64Array.of(9, 9), 1), ['a', 'b']);
  const data = prepareData({ training, validation, preprocessing: 'standardize' });
  assert.deepEqual(data.classes, ['a', 'b']);
  assert.deepEqual(data.shape, { samples: 4, features: 2, classes: 2 });
  const unit = 3 / Math.sqrt(5);
  const close = (actual: Float64Array, expected: readonly number[]): void =>
    assert.deepEqual(
      [...actual].map((value) => value.toFixed(9)),
      expected.map((value) => value.toFixed(9)),
    );
  close(data.set.x, [1, -unit, 1, -unit / 3, 1, unit / 3, 1, unit]);
  assert.deepEqual(
    data.set.labels.map((row) => [...row]),
    [
      [0, 1, 0, 1],
      [1, 0, 1, 0],
    ],
  );
  assert.deepEqual([...data.training.actual], [1, 0, 1, 0]);
  assert.deepEqual([...(data.validation?.actual ?? [])], [0, 1]);
  close(data.validation?.x ?? new Float64Array(), [1, (5 / 3) * unit, 1, (5 / 3) * unit]);
  const weights = [Float64Array.of(0, 1), Float64Array.of(0, -1)];
  assert.deepEqual(accuraciesOf(weights, data), { train: 0.5, validation: 0.5 });
  assert.deepEqual(accuraciesOf(weights, { ...data, validation: undefined }), { train: 0.5 });
  const { accuracy, loss } = evaluate([Float64Array.of(0, 0), Float64Array.of(0, 0)], data.training, 2);
  assert.equal(accuracy, 0.5);
  assert.equal(loss.toFixed(6), (2 * Math.log(2)).toFixed(6), 'two questions of a nat times log 2 each');
  const wide = withLabels(createDataset(Float64Array.of(9, 9), 2), ['a']);
  assert.throws(() => prepareData({ training, validation: wide, preprocessing: 'none' }), { code: 'OWNER_REQUEST' });
});

it('a model file says how it was trained', () => {
  const plan = planOf({ samples: 8, features: 3, classes: 2, ring: 2048, batch: { size: 4, seed: 9 }, iterations: 3 });
  const trained = {
    job: 'job-a',
    classes: ['a', 'b'],
    preprocessing: { kind: 'none' } as const,
    weights: [Float64Array.of(1, 2, 3), Float64Array.of(4, 5, 6)],
    iteration: 2,
  };
  const { training, ...model } = modelOf(plan, trained);
  assert.deepEqual(model, {
    classes: ['a', 'b'],
    weights: [
      [1, 2, 3],
      [4, 5, 6],
    ],
    preprocessing: { kind: 'none' },
    calibration: undefined,
    input: undefined,
  });
  const { parameters, sigmoid, ...facts } = training as Record<string, Record<string, unknown>>;
  assert.deepEqual(facts, {
    job: 'job-a',
    samples: 8,
    iterations: 2,
    batch: { size: 4, seed: 9 },
    learningRate: 1,
    initialWeight: 0,
  });
  assert.deepEqual(Object.keys(sigmoid ?? {}), ['degree', 'range', 'odd']);
  const { name, ring, logQP, maxLevel, scaleBits } = plan.parameters;
  assert.deepEqual(parameters, { name, ring, log2QP: logQP, levels: maxLevel, scaleBits });
  const more = { backbone: 'b', seconds: { train: 1 }, maxWeightError: 0.5 };
  const { training: full } = modelOf(plan, { ...trained, ...more });
  assert.deepEqual(full, { ...training, ...more });
  assert.deepEqual(modelOf(plan, { ...trained, temperature: 0.5 }).calibration, { temperature: 0.5 });
});

it('a passphrase is asked for once, whether a key is made or opened, and again only when it is wrong', async () => {
  const asked: string[] = [];
  const answers = ['wrong', 'right'];
  const source = {
    create: (path: string) => {
      asked.push(`create ${path}`);
      return Promise.resolve('right');
    },
    open: (path: string, attempt: number) => {
      asked.push(`open ${path} ${attempt}`);
      return Promise.resolve(answers[attempt - 1]);
    },
  };
  const cost = { logN: 4, r: 1, p: 1 };
  const content = new Uint8Array(100).fill(5);
  const sealing = new Sealing(source, cost);
  const sealed = await sealing.sealed('a', content);
  assert.notDeepEqual(sealed, content);
  assert.deepEqual([...(await sealing.opened('a', sealed))], [...content]);
  assert.deepEqual(asked.splice(0), ['create a']);

  const fresh = new Sealing(source, cost);
  for (const path of ['a', 'b']) assert.deepEqual([...(await fresh.opened(path, sealed))], [...content]);
  assert.deepEqual(asked.splice(0), ['open a 1', 'open a 2']);
  assert.deepEqual(await fresh.opened('c', content), content, 'what is under none is as it is');
  assert.deepEqual(asked, []);

  await assert.rejects(new Sealing(undefined).opened('a', sealed), { code: 'KEYSET_LOCKED' });
  answers.pop();
  await assert.rejects(new Sealing(source, cost).opened('a', sealed), { code: 'KEYSET_PASSPHRASE' });
  assert.equal(await new Sealing(undefined).sealed('a', content), content);
});

it('keys in memory give and take copies, so that a buffer can be wiped, and never overwrite a secret', async () => {
  const files = new MemoryKeys().keyset('N1');
  const bytes = Uint8Array.of(1, 2);
  await files.createSecret('secret.key', bytes);
  bytes.fill(0);
  (await files.readSecret('secret.key'))?.fill(0);
  assert.deepEqual(await files.readSecret('secret.key'), Uint8Array.of(1, 2));
  await assert.rejects(files.createSecret('secret.key', bytes), /memory\/N1\/secret\.key exists/);
  assert.deepEqual(await files.readSecret('secret.key'), Uint8Array.of(1, 2));
  assert.deepEqual(
    [await files.read('x'), await files.digest('x'), await files.readSecret('x')],
    [undefined, undefined, undefined],
  );
  assert.match(String(await files.digest('secret.key')), /^sha256:a12871fe/);
});

it('a manifest says all of its plan, and names every key that the plan needs', () => {
  const plan = planOf({
    samples: 100,
    features: 40,
    classes: 3,
    ring: 1024,
    iterations: 4,
    refreshEvery: 2,
    block: { rows: 32, columns: 16, turns: 4 },
    grouping: { pairsPerChain: 2 },
  });
  const keyset = (steps: readonly number[]): Keyset =>
    ({
      secret: { signer: { name: 'signer' } },
      relinearisationKey: { digest: 'relinearisation' },
      galoisKeys: new Map(steps.map((step) => [step, { digest: `key ${step}` }])),
    }) as never;
  const blobs = { features: [['f']], gradientFeatures: [['g']], labels: [['l']] } as never;
  const { hyperparameters, ...manifest } = manifestFor(plan, blobs, keyset([...plan.steps, 99]));
  const { ring, dataBits, specialBits, scaleBits } = plan.parameters;
  assert.deepEqual(manifest, {
    format: 'blindfit-job/1',
    signer: 'signer',
    parameters: { ring, dataBits: [...dataBits], specialBits, scaleBits },
    shape: { samples: 100, features: 40, classes: 3 },
    block: { rows: 32, columns: 16, turns: 4 },
    grouping: { ...plan.grouping },
    schedule: { refreshEvery: 2, modelLevel: 0 },
    blobs: {
      features: [['f']],
      gradientFeatures: [['g']],
      labels: [['l']],
      relinearisationKey: 'relinearisation',
      galoisKeys: Object.fromEntries(plan.steps.map((step) => [String(step), `key ${step}`])),
    },
  });
  assert.deepEqual(hyperparameters, plan.hyperparameters);
  assert.equal(manifestFor(plan, blobs, keyset(plan.steps), 'a name').name, 'a name');
  assert.throws(() => manifestFor(plan, blobs, keyset(plan.steps.slice(1))), /key/);
});

it('the state of a job is what the server shows of its progress', () => {
  const evaluation = { accuracy: 0.5, loss: 1, iteration: 2 };
  for (const [phase, shown] of [
    ['queued', 'waiting for a worker'],
    ['training', 'training'],
    ['packing', 'training'],
  ] as const) {
    const job = { progress: { phase, tasksDone: 3, tasksTotal: 8, etaSeconds: 5 } } as never;
    const state = { phase: shown, done: 3, total: 8, etaSeconds: 5, job };
    assert.deepEqual(jobState(job, 'training', evaluation), { ...state, evaluation });
    assert.equal(jobState(job, 'training').evaluation, undefined);
  }
});
