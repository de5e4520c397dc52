import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { applyPreprocessing, createDataset, fitPreprocessing, parsePreprocessing, PREPROCESSING_KINDS, type Preprocessing, type PreprocessingKind } from '../src/index.ts';
import { isDatasetError, randomIntegers } from './support.ts';

const dataset = (d: number, ...values: number[]) => createDataset(Float64Array.from(values), d);

/** fit + apply on the same data. */
function transformed(kind: PreprocessingKind, d: number, ...values: number[]): number[] {
  const data = dataset(d, ...values);
  return [...applyPreprocessing(fitPreprocessing(kind, data), data).features];
}

suite('fit and apply', () => {
  const table: { name: string; kind: PreprocessingKind; d: number; values: number[]; expected: number[] }[] = [
    { name: 'none leaves all', kind: 'none', d: 2, values: [1, 2, 3, 4], expected: [1, 2, 3, 4] },
    { name: 'center subtracts the mean of each feature', kind: 'center', d: 2, values: [1, 10, 3, 30], expected: [-1, -10, 1, 10] },
    { name: 'standardize divides by the population deviation', kind: 'standardize', d: 2, values: [1, 10, 3, 30], expected: [-1, -1, 1, 1] },
    { name: 'one sample becomes 0', kind: 'standardize', d: 2, values: [5, -7], expected: [0, 0] },
    { name: 'a constant feature becomes 0', kind: 'standardize', d: 2, values: [4, 1, 4, 3], expected: [0, -1, 0, 1] },
    { name: 'a feature of zeros becomes 0', kind: 'standardize', d: 1, values: [0, 0, -0], expected: [0, 0, 0] },
    { name: 'float32 rounding around a constant is dead', kind: 'standardize', d: 1, values: [0.1, Math.fround(0.1), 0.1, Math.fround(0.1)], expected: [0, 0, 0, 0] },
    { name: 'a small unit is not dead', kind: 'standardize', d: 1, values: [1e-30, 3e-30], expected: [-1, 1] },
    { name: 'a large unit is no overflow', kind: 'standardize', d: 1, values: [2 ** 1020, 3 * 2 ** 1020], expected: [-1, 1] },
    { name: 'subnormal features are dead, not infinite', kind: 'standardize', d: 1, values: [5e-324, 1e-323], expected: [0, 0] },
  ];
  for (const { name, kind, d, values, expected } of table) {
    test(name, () => {
      const found = transformed(kind, d, ...values);
      assert.equal(found.length, expected.length);
      found.forEach((value, at) => assert.ok(Math.abs(value - (expected[at] ?? NaN)) < 1e-12, `${at}: ${value}, not ${String(expected[at])}`));
    });
  }

  test('standardised data has mean 0 and deviation 1', () => {
    const random = randomIntegers(3);
    const [n, d] = [200, 5];
    const z = transformed('standardize', d, ...Array.from({ length: n * d }, (_, at) => 1000 * (at % d) + (at % d + 1) * random(1000)));
    for (let j = 0; j < d; j++) {
      const column = z.filter((_, at) => at % d === j);
      assert.ok(Math.abs(column.reduce((a, b) => a + b) / n) < 1e-12);
      assert.ok(Math.abs(column.reduce((a, b) => a + b * b, 0) / n - 1) < 1e-12);
    }
  });
  test('the dead feature threshold', () => {
    // Values 1 and 1 - 2r deviate by r.
    const alive = (r: number): boolean => transformed('standardize', 1, 1, 1 - 2 * r).some((value) => value !== 0);
    assert.deepEqual([alive(0.9e-6), alive(1.1e-6)], [false, true]);
  });
  test('new data gets the transformation of the training, and keeps its labels', () => {
    const fitted = fitPreprocessing('standardize', dataset(2, 0, 4, 2, 4));
    const data = createDataset(Float64Array.of(5, 1e300), 2, ['a']);
    const result = applyPreprocessing(fitted, data);
    assert.deepEqual([[...result.features], result.labels, [...data.features]], [[4, 0], ['a'], [5, 1e300]]);
  });
  test('a dead feature is 0 even where the difference overflows', () => {
    const fitted: Preprocessing = { kind: 'standardize', mean: [-Number.MAX_VALUE], scale: [0] };
    assert.deepEqual([...applyPreprocessing(fitted, dataset(1, Number.MAX_VALUE)).features], [0]);
  });
  test('refuses another number of features', () => {
    const fitted = fitPreprocessing('center', dataset(2, 1, 2));
    assert.throws(() => applyPreprocessing(fitted, dataset(3, 1, 2, 3)), isDatasetError({ code: 'bad-shape', message: /fitted to 2 features and the data has 3/ }));
  });
  test('refuses overflow', () => {
    assert.throws(
      () => applyPreprocessing({ kind: 'center', mean: [-Number.MAX_VALUE] }, dataset(1, Number.MAX_VALUE)),
      isDatasetError({ code: 'not-finite', message: /sample 0, feature 0/ }),
    );
  });
  test('refuses an unknown kind', () => {
    const kind: unknown = 'pca:3';
    assert.throws(() => fitPreprocessing(kind as PreprocessingKind, dataset(1, 1)), isDatasetError({ code: 'bad-argument', message: /"pca:3"; use one of none, center, standardize/ }));
  });
});

suite('parsePreprocessing', () => {
  for (const kind of PREPROCESSING_KINDS) {
    test(`${kind} survives JSON exactly`, () => {
      const fitted = fitPreprocessing(kind, dataset(2, 0.1, 7, 1 / 3, 7, -5e-7, 7));
      assert.deepEqual(parsePreprocessing(JSON.parse(JSON.stringify(fitted))), fitted);
    });
  }
  const bad: { json: string; message: RegExp }[] = [
    { json: 'null', message: /must be an object .* it is null/ },
    { json: '[]', message: /it is an array/ },
    { json: '"none"', message: /it is "none"/ },
    { json: '{}', message: /kind is missing; allowed are none, center, standardize/ },
    { json: '{"kind":"pca"}', message: /kind is "pca"/ },
    { json: '{"kind":"none","mean":[1]}', message: /unknown key "mean"/ },
    { json: '{"kind":"none","__proto__":{}}', message: /unknown key "__proto__"/ },
    { json: '{"kind":"center"}', message: /mean must be an array .* it is missing/ },
    { json: '{"kind":"center","mean":[]}', message: /mean must be .* empty/ },
    { json: '{"kind":"center","mean":{"0":1}}', message: /it is an object/ },
    { json: '{"kind":"center","mean":[1,null]}', message: /mean\[1\] must be a finite number; it is null/ },
    { json: '{"kind":"center","mean":[1e999]}', message: /mean\[0\] .* Infinity/ },
    { json: '{"kind":"center","mean":["1"]}', message: /mean\[0\] .* "1"/ },
    { json: '{"kind":"standardize","mean":[1]}', message: /scale must be an array/ },
    { json: '{"kind":"standardize","mean":[1],"scale":[1,2]}', message: /1 means and 2 scales/ },
    { json: '{"kind":"standardize","mean":[1,2],"scale":[1,-2]}', message: /scale\[1\] is -2/ },
  ];
  for (const { json, message } of bad) {
    test(`refuses ${json}`, () => assert.throws(() => parsePreprocessing(JSON.parse(json)), isDatasetError({ code: 'bad-preprocessing', message })));
  }
});
