/** Predictions as CSV and as text, and samples without labels. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '@blindfit/testkit';
import { readSamples } from '../src/library/tables.ts';
import { predictionsCsv, predictionsText } from '../src/predict/output.ts';
import { predictionsOf } from '../src/predict/predictions.ts';

test('CSV quotes names with commas, quotation marks and line breaks', () => {
  const classes = ['a"b', 'c\nd', 'e'];
  const scores = Float64Array.from([5, -5, -5, -5, 5, -5, -5, -5, 5]);
  const predictions = predictionsOf({ classes }, scores, { labels: ['e', 'e', 'e'] }, (index) => `s,${index}`);
  const [header = '', first = '', , ...rest] = predictionsCsv(predictions).split('\n');
  assert.equal(header, 'sample,actual,predicted,probability,"p(a""b)","p(c');
  assert.equal(first, 'd)",p(e)');
  assert.match(rest.join('\n'), /^"s,1",e,"c\nd",0\.9\d+,/);
  // Rows are actual classes.
  assert.deepEqual(predictions.score?.confusion, [
    [0, 0, 0],
    [0, 0, 0],
    [1, 1, 1],
  ]);
  assert.match(predictionsText(predictions), /\naccuracy: 33\.33 % of 3 samples\n/);
});

test('a terminal gets twenty rows', () => {
  const text = (count: number): string =>
    predictionsText(predictionsOf({ classes: ['a', 'b'] }, new Float64Array(2 * count), { labels: undefined }));
  assert.doesNotMatch(text(20), /more/);
  assert.match(text(21), /\n20 +a +50\.00 %\n\n\.\.\. and 1 more; --out FILE writes all of them$/);
});

test('rows without labels are samples, and an empty first cell is refused', async (t) => {
  const directory = await temporaryDirectory(t);
  const file = async (text: string): Promise<string> => {
    const path = join(directory, 'samples.csv');
    await writeFile(path, text);
    return path;
  };
  const data = await readSamples(await file('1,2,3\n4,5,6\n'), { features: 3 });
  assert.deepEqual([data.n, data.d, [...data.features], data.labels], [2, 3, [1, 2, 3, 4, 5, 6], undefined]);
  assert.deepEqual((await readSamples(await file('1,2,3\n4,5,6\n'), { features: 2 })).labels, ['1', '4']);
  for (const cell of ['', 'x', 'Infinity'])
    await assert.rejects(readSamples(await file(`1,2,3\n${cell},5,6\n`), { features: 3 }), /is NaN|line 2/);
});
