import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { required } from '@blindfit/base';
import { serialiseModel, type Model } from '@blindfit/data';
import { temporaryDirectory } from '@blindfit/testkit';
import { askCli, runCli } from './support.ts';

/** Class no where the sum of the centred features is negative; the name of class "x,y" has to be quoted in CSV. */
const MODEL: Model = {
  classes: ['no', 'x,y'],
  weights: [
    [0, -1, -1],
    [0, 1, 1],
  ],
  preprocessing: { kind: 'center', mean: [10, 0] },
  training: {},
};
const LABELLED = 'label,a,b\nno,9,0.5\n"x,y",11,0\nno,10,3\n';

async function files(t: TestContext, contents: Record<string, string>): Promise<(name: string) => string> {
  const directory = await temporaryDirectory(t);
  for (const [name, text] of Object.entries(contents)) await writeFile(join(directory, name), text);
  return (name) => join(directory, name);
}

const sigmoid = (z: number): number => 1 / (1 + Math.exp(-z));

test('labelled samples: predictions, accuracy and confusion matrix', async (t) => {
  const at = await files(t, { 'model.json': serialiseModel(MODEL), 'test.csv': LABELLED });
  const { status, stdout, stderr } = await runCli(t, [
    'predict',
    '--model',
    at('model.json'),
    '--features',
    at('test.csv'),
    '--out',
    at('out.csv'),
  ]);
  assert.deepEqual([status, stderr], [0, '']);
  assert.match(
    stdout,
    /^sample {2}actual {2}predicted {2}probability\n1 {7}no {6}no {13}62\.25 %\n2 {7}x,y {5}x,y {12}73\.11 %\n3 {7}no {6}x,y {12}95\.26 % {2}wrong\n/,
  );
  assert.match(
    stdout,
    /\naccuracy: 66\.67 % of 3 samples\n\nbalanced accuracy {2}75\.00 %\nmacro F1 {11}66\.67 %\n[^]+\n\nactual \\ predicted {2}no {2}x,y\n {16}no {3}1 {4}1\n {15}x,y {3}\. {4}1\n/,
  );
  assert.ok(stdout.endsWith(`\npredictions: ${at('out.csv')}\n`));
  const [header, ...rows] = (await readFile(at('out.csv'), 'utf8')).trimEnd().split('\n');
  assert.equal(header, 'sample,actual,predicted,probability,p(no),"p(x,y)"');
  assert.equal(rows.length, 3);
  // s(z) and s(-z) have sum 1.
  const [sample, actual, predicted, probability, no, yes] = rows[0]?.split(',') ?? [];
  assert.deepEqual([sample, actual, predicted], ['1', 'no', 'no']);
  for (const [found, expected] of [
    [probability, sigmoid(0.5)],
    [no, sigmoid(0.5)],
    [yes, sigmoid(-0.5)],
  ] as const)
    assert.ok(Math.abs(Number(found) - expected) < 1e-15);
  assert.match(required(rows[1], 'second row'), /^2,"x,y","x,y",0\.7310/);
});

test('unlabelled samples, as JSON', async (t) => {
  const at = await files(t, { 'model.json': serialiseModel(MODEL), 'new.csv': '9,0.5\n11.25,0\n' });
  const { status, stdout, stderr } = await askCli([
    'predict',
    '--model',
    at('model.json'),
    '--features',
    at('new.csv'),
    '--json',
  ]);
  assert.deepEqual([status, stderr], [0, '']);
  const { classes, predictions, ...others } = JSON.parse(stdout) as {
    classes: string[];
    predictions: { sample: string; predicted: string; probabilities: number[] }[];
  };
  assert.deepEqual(classes, MODEL.classes);
  assert.deepEqual(
    predictions.map((each) => Object.keys(each)),
    [
      ['sample', 'predicted', 'probabilities'],
      ['sample', 'predicted', 'probabilities'],
    ],
  );
  assert.deepEqual(
    predictions.map(({ predicted }) => predicted),
    ['no', 'x,y'],
  );
  const { probabilities } = required(predictions[1], 'second prediction');
  assert.ok(Math.abs(required(probabilities[1], 'probability') - sigmoid(1.25)) < 1e-15);
  assert.deepEqual(others, { unknownLabels: [] });
});

test('many samples are cut on the terminal, and labels the model does not know are not scored', async (t) => {
  const rows = Array.from({ length: 30 }, (_, i) => `${i < 28 ? 'no' : `odd${i}`},${i},0`);
  const at = await files(t, { 'model.json': serialiseModel(MODEL), 'test.csv': rows.join('\n') });
  const { status, stdout } = await askCli(['predict', '--model', at('model.json'), '--features', at('test.csv')]);
  assert.equal(status, 0);
  assert.match(stdout, /\n20 .*\n\n\.\.\. and 10 more; --out FILE writes all of them\n/);
  assert.match(
    stdout,
    /\n2 samples have labels that are none of the model's classes \(odd28, odd29\): they are not scored\n/,
  );
  // 0 to 10 of 28: of equal scores the first class wins.
  assert.match(stdout, /\naccuracy: 39\.29 % of 28 samples\n/);
});

test('says what is wrong', async (t) => {
  const at = await files(t, {
    'model.json': serialiseModel(MODEL),
    'test.csv': LABELLED,
    'wide.csv': 'no,1,2,3\n',
    'text.csv': 'a,b\nx,1\n3,4\n',
    'other.json': '{}',
  });
  const run = (model: string, features: string, ...more: string[]) =>
    askCli(['predict', '--model', at(model), '--features', at(features), ...more]);
  for (const [ended, status, message] of [
    [
      await run('none.json', 'test.csv'),
      1,
      /^error: the model .*none\.json cannot be read: there is no such file\nhint: name a file that "blindfit train" wrote\n$/,
    ],
    [await run('other.json', 'test.csv'), 1, /^error: .*other\.json: not a valid model: format is missing/],
    [await run('model.json', 'none.csv'), 1, /^error: .*none\.csv: no such file/],
    [
      await run('model.json', 'wide.csv'),
      1,
      /^error: the model was trained on 2 features and the data has 3; use data with the same features as the training/,
    ],
    [
      await run('model.json', 'text.csv'),
      1,
      /^error: .*text\.csv, line 2, column 1: the cell \("a"\) is "x"; a feature must be a finite decimal number/,
    ],
    [
      await run('model.json', 'test.csv', '--out', '/nonexistent/x.csv'),
      1,
      /^error: --out \/nonexistent\/x\.csv cannot be written: there is no directory \/nonexistent/,
    ],
    [
      await askCli(['predict', '--features', 'x.csv']),
      2,
      /^error: there is no model to classify with\nhint: give --model FILE\.json, or --encrypted --job JOB\n$/,
    ],
    [
      await run('model.json', 'test.csv', '--encrypted', '--job', 'job-000000000000'),
      2,
      /^error: --model is a model in the clear, --encrypted predicts with that of a job/,
    ],
    [await run('model.json', 'test.csv', '--job', 'job-000000000000'), 2, /^error: --job goes with --encrypted/],
    [
      await run('model.json', 'test.csv', '--server', 'http://127.0.0.1:1'),
      2,
      /^error: --server goes with --encrypted/,
    ],
    [
      await run('model.json', 'test.csv', '--folder', 'photos'),
      2,
      /^error: --features excludes --images, --labels and --folder/,
    ],
    [
      await askCli(['predict', '--encrypted', '--features', 'x.csv']),
      2,
      /^error: --encrypted needs the job that trained the model\nhint: give --job JOB/,
    ],
    [
      await askCli(['predict', '--encrypted', '--job', 'job-000000000000']),
      2,
      /^error: there are no samples to classify/,
    ],
    [
      await askCli([
        'predict',
        '--encrypted',
        '--job',
        'job-000000000000',
        '--keys',
        at('none'),
        '--features',
        at('test.csv'),
      ]),
      1,
      /^error: .*none\/jobs\/job-000000000000\.json is not there: these are not the keys job-000000000000 was submitted with/,
    ],
  ] as const) {
    assert.equal(ended.status, status, ended.stderr);
    assert.equal(ended.stdout, '');
    assert.match(ended.stderr, message);
  }
});
