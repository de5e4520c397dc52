/** `blindfit train` as people run it: what it refuses, how it ends when it is interrupted, and what it writes when all is well. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BlindfitClient } from '@blindfit/client';
import { parseModel, predictLabels, readCsv, type LabelledDataset } from '@blindfit/data';
import { startStack, type RunningStack } from '@blindfit/stack';
import { processesOf, temporaryDirectory, until } from '@blindfit/testkit';
import { trainByTheBook } from './by-the-book.ts';
import { askCli, cleanEnv, runCli, startCli } from './support.ts';

/** Optional data beside the checkout. */
const REGNET = fileURLToPath(new URL('../../../shared/data/regnet_x_400mf-mnist-first128.csv', import.meta.url));

/** Rows `label,f1,...,fd` of classes that differ, the same every time. */
function csv(samples: number, features: number, classes: number, seed = 1): string {
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  const rows = Array.from({ length: samples }, (_, i) => {
    const label = i % classes;
    return [
      label,
      ...Array.from({ length: features }, (_unused, j) =>
        (3 * random() + (j % classes === label ? 2.5 : 0) + j).toFixed(6),
      ),
    ].join(',');
  });
  return `${rows.join('\n')}\n`;
}

/** Where one run puts its things. Everything temporary goes to `tmp`, so that leftovers show. */
interface Home {
  readonly path: string;
  readonly env: NodeJS.ProcessEnv;
  file(name: string, content?: string): Promise<string>;
  /** Asserts that a run that failed left nothing: no files of its own, no temporary ones, no processes. */
  assertUntouched(names?: readonly string[]): Promise<void>;
}

async function makeHome(t: TestContext, env: NodeJS.ProcessEnv = {}): Promise<Home> {
  const path = await temporaryDirectory(t);
  await Promise.all(['tmp', 'in', 'out', 'home'].map((name) => mkdir(join(path, name))));
  return {
    path,
    env: cleanEnv({ TMPDIR: join(path, 'tmp'), XDG_DATA_HOME: join(path, 'home'), ...env }),
    async file(name, content) {
      const file = join(path, 'in', name);
      if (content !== undefined) await writeFile(file, content);
      return file;
    },
    async assertUntouched(names = []) {
      for (const name of ['tmp', 'out', 'home'])
        assert.deepEqual(await readdir(join(path, name)), name === 'out' ? names : [], name);
      assert.deepEqual(await processesOf(path), []);
    },
  };
}

describe('what train refuses, before anything is started', () => {
  const good = csv(12, 3, 3);
  for (const { name, features = good, validation, flags = [], status = 1, message } of [
    {
      name: 'a cell that is not a number',
      features: good.replace(/^1,([^,]+),[^,]+/m, '1,$1,NaN'),
      message:
        /^error: \S+features\.csv, line 2, column 3: the cell is "NaN"; a feature must be a finite decimal number/,
    },
    {
      name: 'a ragged row',
      features: `${good}0,1,2\n`,
      message: /^error: \S+features\.csv, line 13: expected 4 cells as in line 1, found 3; every row needs/,
    },
    {
      name: 'a file that is not there',
      flags: ['--features', '/nowhere/at-all.csv'],
      message: /^error: \/nowhere\/at-all\.csv: no such file; check the path/,
    },
    {
      name: 'a gap in the labels',
      features: good.replaceAll(/^2,/gm, '3,'),
      message: /^error: no training sample has the label 2, though 0 to 3 occur; add samples, or pass --classes 0,1,3/,
    },
    {
      name: 'a class without samples',
      flags: ['--classes', '0,1,2,7'],
      message: /^error: no training sample has the class 7; add samples or leave it out/,
    },
    {
      name: 'one class only',
      features: good.replaceAll(/^\d,/gm, '0,'),
      message: /^error: training needs at least 2 classes and there is only 0/,
    },
    {
      name: 'a label in the validation data that training lacks',
      validation: '9,1,2,3\n',
      message: /^error: validation label 9 is not among the classes 0, 1, 2; correct or remove/,
    },
    {
      name: 'validation data of other features',
      validation: '1,1,2\n',
      status: 2,
      message:
        /^error: the validation data have 2 features and the training data 3\nhint: both must have the same columns/,
    },
    {
      name: 'more iterations without a refresh than any modulus holds',
      flags: ['--iterations', '60', '--refresh-every', '60'],
      message:
        /^error: 60 iterations without a refresh do not fit any 128-bit secure modulus; at most \d+ for 12 x 4 x 3 with this start/,
    },
    {
      name: 'patience without held-out data',
      flags: ['--patience', '2'],
      status: 2,
      message: /^error: --patience needs held-out data\nhint: give --validation FILE/,
    },
    {
      name: 'more precision than there is',
      flags: ['--precision', '1e-12'],
      message: /^error: no 128-bit secure parameter set carries 12 x 4 x 3; ask for/,
    },
    {
      name: 'an unknown preset',
      flags: ['--preset', 'best'],
      status: 2,
      message: /^error: option '--preset <name>' argument 'best' is invalid\. Allowed choices are paper/,
    },
    {
      name: 'a number out of range',
      flags: ['--learning-rate', '-1'],
      status: 2,
      message: /argument '-1' is invalid\. Allowed are numbers from 0\.0001 to 1000/,
    },
    {
      name: 'a degree that is none',
      flags: ['--sigmoid-degree', '4'],
      message: /^error: sigmoid degree 4; allowed: 1, 3, 5, 7/,
    },
    {
      name: 'a model file in a directory that is not there',
      flags: ['--out', '/nowhere/model.json'],
      message:
        /^error: --out \/nowhere\/model\.json cannot be written: there is no directory \/nowhere\nhint: name a file in an existing directory/,
    },
    {
      name: 'a model file where nobody can write',
      flags: ['--out', '/proc/model.json'],
      message: /^error: --out \/proc\/model\.json cannot be written: /,
    },
    {
      name: 'a report that is a directory',
      flags: ['--json', '/'],
      message: /^error: --json \/ is a directory\nhint: name a file in it/,
    },
  ] as readonly {
    name: string;
    features?: string;
    validation?: string;
    flags?: readonly string[];
    status?: number;
    message: RegExp;
  }[]) {
    it(name, async (t) => {
      const home = await makeHome(t);
      const files = ['--features', await home.file('features.csv', features)];
      if (validation !== undefined) files.push('--validation', await home.file('validation.csv', validation));
      const result = await askCli(
        ['train', ...files, '--out', join(home.path, 'out', 'model.json'), ...flags],
        home.env,
      );
      assert.match(result.stderr, message);
      assert.equal(result.status, status);
      assert.equal(result.stdout, '');
      assert.doesNotMatch(result.stderr, /\n {4}at /);
      await home.assertUntouched();
    });
  }

  it('an API that is not there', async (t) => {
    const home = await makeHome(t);
    const listener = createServer().listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const { port } = listener.address() as AddressInfo;
    listener.close();
    const args = [
      'train',
      '--features',
      await home.file('features.csv', good),
      '--out',
      join(home.path, 'out', 'model.json'),
      '--server',
      `http://127.0.0.1:${port}`,
      '--token',
      'a-token-for-the-tests',
    ];
    const result = await runCli(t, args, home.env);
    assert.equal(result.status, 1);
    assert.match(result.stderr, /^error: the Blindfit API at http:\/\/127\.0\.0\.1:\d+ cannot be reached .*\nhint: /);
    await home.assertUntouched();
  });
});

it('Ctrl-C takes down the embedded stack in the middle of training', { timeout: 180_000 }, async (t) => {
  const home = await makeHome(t);
  const keys = join(home.path, 'keys');
  const features = await home.file('features.csv', csv(200, 150, 10));
  const running = startCli(
    t,
    [
      'train',
      '--features',
      features,
      '--preprocess',
      'standardize',
      '--keys',
      keys,
      '--out',
      join(home.path, 'out', 'model.json'),
      '--threads',
      '1',
    ],
    home.env,
  );
  await until(() => /^training /m.test(running.output.stderr) || running.child.exitCode !== null, 'the training runs', {
    seconds: 120,
  });
  assert.equal(running.child.exitCode, null, running.output.stderr);
  assert.ok((await processesOf(home.path)).length >= 5, 'API, scheduler, worker and Redis run, and the program itself');
  running.child.kill('SIGINT');
  const { status, stdout, stderr } = await running.ended;
  assert.equal(status, 130, stderr);
  assert.equal(stdout, '');
  assert.doesNotMatch(stderr, /error/);
  await home.assertUntouched();
  assert.equal(
    (await readdir(keys)).filter((entry) => entry !== 'jobs').length,
    1,
    'the keys are good for the next run',
  );
});

describe('train with an API', () => {
  let stack: RunningStack;
  let client: BlindfitClient;
  /** Made once; every run finds the keys it needs or adds them. */
  let keys: string;
  let directory: string;

  before(async () => {
    for (const name of Object.keys(process.env)) if (!(name in cleanEnv())) Reflect.deleteProperty(process.env, name);
    directory = await mkdtemp(join(tmpdir(), 'blindfit-cli-'));
    keys = join(directory, 'keys');
    stack = await startStack({ dataDir: join(directory, 'data'), threads: 2, log: () => undefined });
    client = new BlindfitClient({ server: stack.url, token: stack.token });
  });

  after(async () => {
    await client.close();
    await stack.stop();
    await rm(directory, { recursive: true });
  });

  const homeFor = (t: TestContext, token = stack.token): Promise<Home> =>
    makeHome(t, { BLINDFIT_SERVER: stack.url, BLINDFIT_TOKEN: token });

  it('writes the model of the method, and a report that names everything', { timeout: 180_000 }, async (t) => {
    const home = await homeFor(t);
    const header = `label,${Array.from({ length: 20 }, (_, j) => `f${j}`).join(',')}\n`;
    const training = await home.file('train.csv', header + csv(40, 20, 3));
    const validation = await home.file('validation.csv', csv(15, 20, 3, 2));
    const [out, json] = [join(home.path, 'out', 'model.json'), join(home.path, 'out', 'report.json')];
    await writeFile(out, 'of an earlier run');
    const args = [
      '--features',
      training,
      '--validation',
      validation,
      '--preprocess',
      'standardize',
      '--learning-rate',
      '0.5',
      '--keys',
      keys,
      '--name',
      'a test',
    ];
    const { status, stdout, stderr } = await runCli(t, ['train', ...args, '--out', out, '--json', json], home.env);
    assert.equal(status, 0, stderr);
    await home.assertUntouched(['model.json', 'report.json']);

    const data = await readCsv(training);
    const preprocessing = standardisation(data);
    const expected = expectedWeights(standardised(data, preprocessing), data, ['0', '1', '2'], {
      iterations: 2,
      learningRate: 0.5,
      initialWeight: 0,
    });
    const text = await readFile(out, 'utf8');
    const model = JSON.parse(text) as ModelFile;
    assert.deepEqual(Object.keys(model), ['format', 'classes', 'weights', 'preprocessing', 'training']);
    assert.equal(model.format, 'blindfit-model/1');
    assert.deepEqual(model.classes, [0, 1, 2]);
    assert.deepEqual(
      model.weights.map((row) => row.length),
      [21, 21, 21],
    );
    const error = largestError(model.weights, expected);
    t.diagnostic(`largest error against the method as the paper states it: ${error.toExponential(2)}`);
    assert.ok(error > 0 && error < 1e-5);
    assert.equal(model.preprocessing.kind, 'standardize');
    assert.ok(
      largestError(
        [model.preprocessing.mean ?? [], model.preprocessing.scale ?? []],
        [preprocessing.mean, preprocessing.scale],
      ) < 1e-9,
    );
    assert.deepEqual(pick(model.training, ['samples', 'iterations', 'learningRate', 'initialWeight']), {
      samples: 40,
      iterations: 2,
      learningRate: 0.5,
      initialWeight: 0,
    });

    const report = JSON.parse(await readFile(json, 'utf8')) as Report;
    assertReport(report, true);
    assert.ok(Math.abs(report.maxWeightError - error) < 1e-9, 'the program’s own twin says the same');
    assert.equal(report.accuracy.encrypted.train, accuracyOf(text, data));
    assert.equal(report.accuracy.encrypted.validation, accuracyOf(text, await readCsv(validation)));
    assert.deepEqual(report.accuracy.encrypted, report.accuracy.clear);
    assert.ok(report.accuracy.encrypted.train > 0.6, 'it has learnt something');
    assert.match(stdout, /largest difference of a weight/);
    assert.match(stdout, new RegExp(`model: ${out}\n$`));
    const job = await client.job(report.job);
    assert.deepEqual(
      [job.state, job.name, job.shape],
      ['succeeded', 'a test', { samples: 40, features: 21, classes: 3 }],
    );
    const [keyset = ''] = await readdir(keys);
    assert.equal((await stat(join(keys, keyset, 'secret.key'))).mode & 0o777, 0o600);
  });

  it('writes the report to standard output when asked, and nothing else', { timeout: 180_000 }, async (t) => {
    const home = await homeFor(t);
    const out = join(home.path, 'out', 'model.json');
    const flags = [
      '--features',
      await home.file('train.csv', csv(20, 5, 2)),
      '--preprocess',
      'none',
      '--iterations',
      '1',
      '--learning-rate',
      '0.1',
    ];
    const { status, stdout, stderr } = await runCli(
      t,
      ['train', ...flags, '--keys', join(directory, 'small-keys'), '--out', out, '--json', '-', '--quiet'],
      home.env,
    );
    assert.equal(status, 0, stderr);
    assert.equal(stderr, '');
    assertReport(JSON.parse(stdout) as Report, false);
    assert.equal((JSON.parse(await readFile(out, 'utf8')) as ModelFile).preprocessing.kind, 'none');
  });

  it(
    'reaches the paper’s own data with --preset paper',
    { timeout: 300_000, skip: existsSync(REGNET) ? false : 'the RegNet features are not beside the checkout' },
    async (t) => {
      const home = await homeFor(t);
      const [out, json] = [join(home.path, 'out', 'model.json'), join(home.path, 'out', 'report.json')];
      const { status, stderr } = await runCli(
        t,
        [
          'train',
          '--features',
          REGNET,
          '--preset',
          'paper',
          '--keys',
          join(directory, 'paper-keys'),
          '--out',
          out,
          '--json',
          json,
        ],
        home.env,
      );
      assert.equal(status, 0, stderr);
      const data = await readCsv(REGNET);
      const classes = Array.from({ length: 10 }, (_, k) => String(k));
      const expected = expectedWeights(data.features, data, classes, {
        iterations: 2,
        learningRate: 1,
        initialWeight: 0.0128,
      });
      const model = JSON.parse(await readFile(out, 'utf8')) as ModelFile;
      const error = largestError(model.weights, expected);
      t.diagnostic(`largest error against the method as the paper states it: ${error.toExponential(2)}`);
      assert.ok(error > 0 && error < 1e-5);
      assert.deepEqual(model.preprocessing, { kind: 'none' });
      assert.deepEqual(pick(model.training, ['samples', 'iterations', 'learningRate', 'initialWeight']), {
        samples: 128,
        iterations: 2,
        learningRate: 1,
        initialWeight: 0.0128,
      });
      const report = JSON.parse(await readFile(json, 'utf8')) as Report;
      assertReport(report, false);
      assert.ok(report.operations.relinearisations <= 100);
    },
  );

  it('explains a wrong token, and keeps nothing of the run', async (t) => {
    const home = await homeFor(t, 'the-wrong-token-of-the-test');
    const { status, stderr } = await runCli(
      t,
      [
        'train',
        '--features',
        await home.file('train.csv', csv(20, 5, 2)),
        '--out',
        join(home.path, 'out', 'model.json'),
      ],
      home.env,
    );
    assert.equal(status, 1);
    assert.match(stderr, /^error: .*bearer token is not the one.*\nhint: set BLINDFIT_TOKEN/);
    await home.assertUntouched();
  });

  it('refuses a secret key that others may read', async (t) => {
    const home = await homeFor(t);
    const features = await home.file('train.csv', csv(20, 5, 2));
    const own = join(home.path, 'keys');
    const args = [
      'train',
      '--features',
      features,
      '--preprocess',
      'none',
      '--iterations',
      '1',
      '--learning-rate',
      '0.1',
      '--keys',
      own,
      '--out',
      join(home.path, 'out', 'model.json'),
      '--quiet',
    ];
    assert.equal((await runCli(t, args, home.env)).status, 0);
    const [keyset = ''] = await readdir(own);
    const secret = join(own, keyset, 'secret.key');
    await chmod(secret, 0o640);
    const jobs = await client.jobs();
    const { status, stderr } = await runCli(t, args, home.env);
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^error: others may read the secret key \S+secret\.key \(mode 0640\); run: chmod 600 \S+secret\.key; if others use this machine, make a new keyset/,
    );
    assert.equal((await client.jobs()).length, jobs.length, 'nothing was submitted');
  });

  it('Ctrl-C cancels the job, and the API goes on', { timeout: 120_000 }, async (t) => {
    const home = await homeFor(t);
    const features = await home.file('features.csv', csv(200, 150, 10));
    const running = startCli(
      t,
      [
        'train',
        '--features',
        features,
        '--preprocess',
        'standardize',
        '--keys',
        keys,
        '--name',
        'interrupted',
        '--out',
        join(home.path, 'out', 'model.json'),
      ],
      home.env,
    );
    await until(
      () => /^training /m.test(running.output.stderr) || running.child.exitCode !== null,
      'the training runs',
      { seconds: 100 },
    );
    running.child.kill('SIGINT');
    const { status, stderr } = await running.ended;
    assert.equal(status, 130, stderr);
    await home.assertUntouched();
    const job = (await client.jobs()).find(({ name }) => name === 'interrupted');
    assert.equal(job?.state, 'cancelled');
  });
});

interface ModelFile {
  readonly format: string;
  readonly classes: readonly unknown[];
  readonly weights: readonly (readonly number[])[];
  readonly preprocessing: {
    readonly kind: string;
    readonly mean?: readonly number[];
    readonly scale?: readonly number[];
  };
  readonly training: Readonly<Record<string, unknown>>;
}

interface Report {
  readonly job: string;
  readonly seconds: Readonly<Record<string, unknown>>;
  readonly bytes: Readonly<Record<string, unknown>>;
  readonly operations: {
    readonly rotations: number;
    readonly relinearisations: number;
    readonly multiplications: number;
    readonly rescales: number;
  };
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly maxWeightError: number;
  readonly accuracy: Readonly<Record<'encrypted' | 'clear', { readonly train: number; readonly validation?: number }>>;
}

/** The names are what other programs rely on. */
function assertReport(report: Report, validated: boolean): void {
  const allNumbers = (object: Readonly<Record<string, unknown>>, names: readonly string[]): void => {
    for (const name of names)
      assert.ok(typeof object[name] === 'number' && object[name] >= 0, `${name} is ${String(object[name])}`);
  };
  allNumbers(report.seconds, ['keygen', 'encrypt', 'upload', 'loadKeys', 'train', 'download']);
  allNumbers(report.bytes, ['data', 'keys', 'model']);
  allNumbers({ ...report.operations }, ['rotations', 'relinearisations', 'multiplications', 'rescales']);
  allNumbers(report.parameters, ['ring', 'log2QP', 'levels', 'scaleBits']);
  assert.ok(report.maxWeightError > 0 && report.maxWeightError < 1e-5, String(report.maxWeightError));
  for (const kind of ['encrypted', 'clear'] as const)
    allNumbers({ ...report.accuracy[kind] }, validated ? ['train', 'validation'] : ['train']);
}

function pick(object: Readonly<Record<string, unknown>>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, object[name]]));
}

function accuracyOf(model: string, data: LabelledDataset): number {
  const predicted = predictLabels(parseModel(model), data);
  return predicted.filter((label, i) => label === data.labels[i]).length / data.n;
}

function standardisation({ features, n, d }: LabelledDataset): { mean: number[]; scale: number[] } {
  const column = (j: number): number[] => Array.from({ length: n }, (_, i) => features[i * d + j] ?? NaN);
  const mean = Array.from({ length: d }, (_, j) => column(j).reduce((sum, value) => sum + value, 0) / n);
  const scale = mean.map(
    (centre, j) => 1 / Math.sqrt(column(j).reduce((sum, value) => sum + (value - centre) ** 2, 0) / n),
  );
  return { mean, scale };
}

function standardised(
  { features, d }: LabelledDataset,
  { mean, scale }: { mean: number[]; scale: number[] },
): Float64Array {
  return features.map((value, at) => (value - (mean[at % d] ?? NaN)) * (scale[at % d] ?? NaN));
}

/** The weights by the book, from data that were prepared by hand. */
function expectedWeights(
  features: Float64Array,
  { n, d, labels }: LabelledDataset,
  classes: readonly string[],
  choices: { iterations: number; learningRate: number; initialWeight: number },
): number[][] {
  return trainByTheBook({
    x: Array.from({ length: n }, (_, i) => [1, ...features.subarray(i * d, (i + 1) * d)]).flat(),
    classOf: labels.map((label) => classes.indexOf(label)),
    classes: classes.length,
    ...choices,
  });
}

/** Largest absolute difference; NaN counts as infinite. */
function largestError(actual: readonly (readonly number[])[], expected: readonly (readonly number[])[]): number {
  return Math.max(
    actual.length === expected.length ? 0 : Infinity,
    ...expected.flatMap((row, k) =>
      row.map((value, j) => {
        const difference = Math.abs((actual[k]?.[j] ?? NaN) - value);
        return Number.isNaN(difference) ? Infinity : difference;
      }),
    ),
  );
}
