/** What `blindfit train` refuses before anything is started, and how an embedded run ends when it is interrupted. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { processesOf } from '@blindfit/testkit';
import { askCli } from './support.ts';
import { csv, makeHome, startLongTraining } from './train-support.ts';

describe('what train refuses, before anything is started', () => {
  const good = csv(12, 3, 3);
  for (const { name, features = good, validation, flags = [], status = 1, message } of [
    {
      name: 'a cell that is not a number',
      features: good.replace(/^1,([^,]+),[^,]+/m, '1,$1,Infinity'),
      message:
        /^error: \S+features\.csv, line 2, column 3: the cell is "Infinity"; a feature must be a finite decimal number/,
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
      message: /^error: 60 iterations without .* secure modulus\nhint: at most \d+ for 12 x 4 x 3 with this start/,
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
      message: /^error: no 128-bit secure parameter set carries 12 x 4 x 3\nhint: ask for/,
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
      message: /^error: sigmoid degree 4\nhint: allowed: 1, 3, 5, 7/,
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
      '--budget',
      'none',
    ];
    const result = await askCli(args, home.env);
    assert.equal(result.status, 1);
    assert.match(result.stderr, /^error: the Blindfit API at http:\/\/127\.0\.0\.1:\d+ cannot be reached .*\nhint: /);
    await home.assertUntouched();
  });
});

it('Ctrl-C takes down the embedded stack in the middle of training', { timeout: 180_000 }, async (t) => {
  const home = await makeHome(t);
  const keys = join(home.path, 'keys');
  const running = await startLongTraining(t, home, ['--keys', keys, '--threads', '1']);
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
