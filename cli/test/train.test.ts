/** `blindfit train` against an API: what it writes, and how it ends when it is refused or interrupted. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { required } from '@blindfit/base';
import { BlindfitClient } from '@blindfit/client';
import { readCsv } from '@blindfit/data';
import { isFinal } from '@blindfit/protocol';
import { startStack, type RunningStack } from '@blindfit/stack';
import { until } from '@blindfit/testkit';
import { askCli, cleanEnv, runCli, SHARED_KEYS } from './support.ts';
import {
  accuracyOf,
  assertReport,
  csv,
  expectedWeights,
  largestError,
  makeHome,
  pick,
  standardisation,
  standardised,
  type Home,
  type ModelFile,
  type Report,
  startLongTraining,
} from './train-support.ts';

/** Optional data beside the checkout. */
const REGNET = fileURLToPath(new URL('../../../shared/data/regnet_x_400mf-mnist-first128.csv', import.meta.url));

describe('train with an API', () => {
  let stack: RunningStack;
  let client: BlindfitClient;
  let directory: string;

  before(async () => {
    for (const name of Object.keys(process.env)) if (!(name in cleanEnv())) Reflect.deleteProperty(process.env, name);
    directory = await mkdtemp(join(tmpdir(), 'blindfit-cli-'));
    stack = await startStack({ dataDir: join(directory, 'data'), threads: 1, log: () => undefined });
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
      '--iterations',
      '1',
      '--learning-rate',
      '0.5',
      '--budget',
      'none',
      '--keys',
      SHARED_KEYS,
      '--name',
      'a test',
    ];
    const { status, stdout, stderr } = await runCli(t, ['train', ...args, '--out', out, '--json', json], home.env);
    assert.equal(status, 0, stderr);
    await home.assertUntouched(['model.json', 'report.json']);

    const data = await readCsv(training);
    const preprocessing = standardisation(data);
    const expected = expectedWeights(standardised(data, preprocessing), data, ['0', '1', '2'], {
      iterations: 1,
      learningRate: 0.5,
      initialWeight: 0,
    });
    const text = await readFile(out, 'utf8');
    const model = JSON.parse(text) as ModelFile;
    assert.deepEqual(Object.keys(model), [
      'format',
      'classes',
      'weights',
      'input',
      'preprocessing',
      'calibration',
      'training',
    ]);
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
      iterations: 1,
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
      '--sigmoid-degree',
      '1',
      '--budget',
      'none',
    ];
    const { status, stdout, stderr } = await runCli(
      t,
      ['train', ...flags, '--keys', SHARED_KEYS, '--out', out, '--json', '-', '--quiet'],
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
        ['train', '--features', REGNET, '--preset', 'paper', '--keys', SHARED_KEYS, '--out', out, '--json', json],
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
    const { status, stderr } = await askCli(
      [
        'train',
        '--features',
        await home.file('train.csv', csv(20, 5, 2)),
        '--budget',
        'none',
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
      '--sigmoid-degree',
      '1',
      '--keys',
      own,
      '--out',
      join(home.path, 'out', 'model.json'),
      '--quiet',
      '--budget',
      'none',
    ];
    const shape = [
      '--samples',
      '20',
      '--features',
      '5',
      '--classes',
      '2',
      '--iterations',
      '1',
      '--learning-rate',
      '0.1',
      '--sigmoid-degree',
      '1',
    ];
    const env = { ...home.env, BLINDFIT_PASSPHRASE: 'of the tests' };
    assert.equal((await askCli(['keygen', ...shape, '--keys', own], env)).status, 0);
    const [keyset = ''] = await readdir(own);
    const secret = join(own, keyset, 'secret.key');
    assert.equal((await stat(secret)).mode & 0o777, 0o600);
    const jobs = await client.jobs();
    const locked = await askCli(args, home.env);
    assert.equal(locked.status, 1);
    assert.match(
      locked.stderr,
      /^error: the secret key \S+secret\.key is under a passphrase, .*\nhint: set BLINDFIT_P/,
    );
    const wrong = await askCli([...args, '--passphrase-command', 'echo wrong'], home.env);
    assert.match(wrong.stderr, /^error: the passphrase does not open the secret key \S+secret\.key\nhint: /);
    await chmod(secret, 0o640);
    const { status, stderr } = await askCli(args, home.env);
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^error: others may read the secret key \S+secret\.key \(mode 0640\)\nhint: run: chmod 600 \S+secret\.key; if/,
    );
    assert.equal((await client.jobs()).length, jobs.length, 'nothing was submitted');
  });

  it('an outage is waited for; Ctrl-C leaves the job, and a second one cancels it', { timeout: 120_000 }, async (t) => {
    const home = await homeFor(t);
    const running = await startLongTraining(t, home, ['--keys', SHARED_KEYS, '--name', 'interrupted']);
    const api = required(
      stack.processes.find(({ name }) => name === 'api'),
      'the API',
    );
    await api.kill();
    await until(
      () => /the servers are away: .*\(--give-up-after\)/.test(running.output.stderr),
      'it says that it waits',
    );
    await api.restart();
    await until(() => running.output.stderr.includes('the servers are back after '), 'it says that it goes on');
    running.child.kill('SIGINT');
    await until(() => running.output.stderr.includes('Ctrl-C again'), 'it says how to come back');
    const left = (await client.jobs()).find(({ name }) => name === 'interrupted');
    assert.ok(left !== undefined && !isFinal(left.state), left?.state);
    assert.match(
      running.output.stderr,
      new RegExp(`\n${left.id} goes on, .*\n  blindfit attach ${left.id} .*--keys ${SHARED_KEYS} `),
    );
    // Within a second it would be the same request: terminals and supervisors signal twice.
    await sleep(1_100);
    running.child.kill('SIGINT');
    const { status, stderr } = await running.ended;
    assert.equal(status, 130, stderr);
    assert.match(stderr, new RegExp(`\n${left.id} is cancelled\n$`));
    await home.assertUntouched();
    assert.equal((await client.job(left.id)).state, 'cancelled');
  });
});
