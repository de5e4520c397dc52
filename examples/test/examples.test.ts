/** Every example runs and prints what it promises. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { required } from '@blindfit/base';
import { withoutSettings } from '@blindfit/testkit';

const DIRECTORY = fileURLToPath(new URL('..', import.meta.url));
const EXAMPLES = readdirSync(DIRECTORY).filter((name) => /^\d\d-.*\.ts$/.test(name));

async function linesOf(number: string): Promise<string[]> {
  const name = required(
    EXAMPLES.find((each) => each.startsWith(number)),
    `example ${number}`,
  );
  const { stdout } = await promisify(execFile)(process.execPath, [join(DIRECTORY, name)], {
    env: withoutSettings(process.env),
    timeout: 300_000,
  });
  return stdout.trimEnd().split('\n');
}

/** The numbers of a text before "(in the clear: ...)", and those in it. */
function comparedNumbers(line: string): [number[], number[]] {
  const [, left = '', right = ''] = /^[^:]*: (.*) \(in the clear: (.*)\)$/.exec(line) ?? [];
  return [left.split(' ').map(Number), right.split(' ').map(Number)];
}

function assertClose(line: string, tolerance: number): void {
  const [actual, expected] = comparedNumbers(line);
  assert.ok(expected.length > 1 && actual.length === expected.length, line);
  expected.forEach((value, i) => assert.ok(Math.abs(value - required(actual[i], line)) <= tolerance, line));
}

test('examples are short, numbered and listed', () => {
  const readme = readFileSync(join(DIRECTORY, 'README.md'), 'utf8');
  assert.ok(EXAMPLES.length >= 8);
  for (const name of EXAMPLES) {
    assert.ok(readFileSync(join(DIRECTORY, name), 'utf8').trimEnd().split('\n').length < 60, `${name} is too long`);
    assert.ok(readme.includes(`](${name})`), `the README lacks ${name}`);
  }
});

test('01: slots, a rotation and a product', async () => {
  assert.deepEqual(await linesOf('01'), [
    'ring 8192, 4096 slots, log2 QP = 160',
    'x: 1.000 2.000 3.000 4.000 ... (level 1)',
    'x rotated by 1: 2.000 3.000 4.000 1.000 ... (level 1)',
    'x * (x rotated by 1): 2.000 6.000 12.000 4.000 ... (level 0)',
  ]);
});

test('02: scores of two classes', async () => {
  const [layout, keys, ...samples] = await linesOf('02');
  assert.equal(layout, '1024 rows x 4 columns: 1 shard, 1 pair of classes');
  assert.equal(keys, '2 rotations, 1 relinearisation');
  assert.deepEqual(
    samples.map((line) => comparedNumbers(line)[1]),
    [
      [0.7, -0.25],
      [0.175, -1.75],
      [0.8, 0.375],
    ],
  );
  for (const line of samples) assertClose(line, 0.001);
});

test('03: one step equals the step in the clear', async () => {
  const [levels, ...classes] = await linesOf('03');
  assert.equal(levels, 'errors at level 1, gradient at level 0');
  assert.equal(classes.length, 2);
  for (const line of classes) assertClose(line, 0.0002);
  assert.notEqual(classes[0]?.split(':')[1], classes[1]?.split(':')[1]);
});

test('04: a plan', async () => {
  const text = (await linesOf('04')).join('\n');
  assert.match(text, /^ring 16384, log2 QP = \d+, \d+ levels\nblock of \d+ x \d+, \d+ samples a row, \d+ shards\n/);
  assert.match(text, /\n5 pairs of classes in [1-5] chains\niterations end at levels \d(, \d){5}\n/);
  assert.match(text, /\n\d+ refreshes, every \d iterations\n\d+ rotations, \d+ relinearisations\n/);
  const seconds = /expected on 1, 8 and 64 threads: ([\d.]+) s, ([\d.]+) s, ([\d.]+) s$/.exec(text);
  const [one, eight, many] = required(seconds ?? undefined, 'the line of seconds')
    .slice(1)
    .map(Number);
  assert.ok(
    required(one, 'one') > required(eight, 'eight') && required(eight, 'eight') >= required(many, 'many'),
    text,
  );
});

test('05: a training from a program', async () => {
  assert.deepEqual(await linesOf('05'), [
    'classes: ash, birch, cedar',
    'held-out accuracy: 1.000',
    "weights differ from the twin's by less than 1e-5: true",
    'predicted: ash, birch',
  ]);
});

test('06: a job that outlives its owner', async () => {
  assert.deepEqual(await linesOf('06'), [
    "the owner's program ended by SIGKILL",
    'the job goes on: true',
    'classes: 0, 1; iterations: 4',
  ]);
});

test('07: predictions on ciphertexts', async () => {
  assert.deepEqual(await linesOf('07'), [
    'on ciphertexts: calm, windy, windy',
    'in the clear: calm, windy, windy',
    'the servers saw a job of kind predict with 3 samples',
  ]);
});

test('08: a worker inside a program trains', async () => {
  const [running, accuracy, tasks] = await linesOf('08');
  assert.equal(running, 'running: api, scheduler-1');
  assert.ok(Number(/^accuracy on the training data: (\d+) %$/.exec(accuracy ?? '')?.[1]) >= 90, accuracy);
  assert.match(tasks ?? '', /^tasks of this worker: [1-9]\d*$/);
});
