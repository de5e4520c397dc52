/** Settings in a file: read as they were written, and nothing that a flag would refuse. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { UsageError } from '../src/errors.ts';
import { readSettings, settingsFlags, settingsText } from '../src/train/settings.ts';

async function fileWith(t: TestContext, text: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-settings-'));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, 'settings.json');
  await writeFile(path, text);
  return path;
}

const PAPER = {
  preprocess: 'standardize',
  iterations: 4,
  learningRate: 2.5,
  sigmoidDegree: 3,
  sigmoidRange: undefined,
} as const;
const WIDE = { ...PAPER, sigmoidDegree: 5, sigmoidRange: 12 } as const;

test('are read as they were written', async (t) => {
  for (const settings of [PAPER, WIDE])
    assert.deepEqual(await readSettings(await fileWith(t, settingsText(settings))), settings);
});

test('are spelled as flags', () => {
  const flags = '--preprocess standardize --iterations 4 --learning-rate 2.5 --sigmoid-degree';
  assert.equal(settingsFlags(PAPER), `${flags} 3`);
  assert.equal(settingsFlags(WIDE), `${flags} 5 --sigmoid-range 12`);
});

const whole = JSON.parse(settingsText(WIDE)) as Readonly<Record<string, unknown>>;
for (const [why, text, message] of [
  ['no JSON', 'iterations: 4', /settings\.json: .*JSON/],
  ['another format', JSON.stringify({ ...whole, format: 'blindfit-model/1' }), /no "format": "blindfit-settings\/1"/],
  ['an unknown key', JSON.stringify({ ...whole, rate: 1 }), /unknown setting "rate"/],
  ['a missing number', JSON.stringify({ ...whole, iterations: undefined }), /iterations is not a number/],
  ['too many iterations', JSON.stringify({ ...whole, iterations: 1001 }), /iterations is 1001\. Allowed are whole/],
  [
    'a rate of 0',
    JSON.stringify({ ...whole, learningRate: 0 }),
    /learningRate is 0\. Allowed are numbers from 0\.0001/,
  ],
  ['a range beyond 64', JSON.stringify({ ...whole, sigmoidRange: 64.1 }), /sigmoidRange is 64\.1\. Allowed/],
  ['no preprocessing', JSON.stringify({ ...whole, preprocess: null }), /preprocess is not a text/],
] as const)
  test(`refuses ${why}`, async (t) => {
    await assert.rejects(readSettings(await fileWith(t, text)), (error) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, message);
      return true;
    });
  });
