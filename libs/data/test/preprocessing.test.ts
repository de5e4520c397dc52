import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import {
  applyPreprocessing,
  createDataset,
  fitPreprocessing,
  inputFeatures,
  maxComponents,
  outputFeatures,
  parsePreprocessing,
  parsePreprocessingKind,
  preprocessingName,
  type Dataset,
  type Preprocessing,
  type PreprocessingChoice,
} from '../src/index.ts';
import { isDatasetError, randomIntegers } from './support.ts';

const dataset = (d: number, ...values: number[]) => createDataset(Float64Array.from(values), d);

/** fit + apply on the same data. */
function transformed(kind: PreprocessingChoice, d: number, ...values: number[]): number[] {
  const data = dataset(d, ...values);
  return [...applyPreprocessing(fitPreprocessing(kind, data), data).features];
}

suite('fit and apply', () => {
  const table: { name: string; kind: PreprocessingChoice; d: number; values: number[]; expected: number[] }[] = [
    { name: 'none leaves all', kind: 'none', d: 2, values: [1, 2, 3, 4], expected: [1, 2, 3, 4] },
    {
      name: 'center subtracts the mean of each feature',
      kind: 'center',
      d: 2,
      values: [1, 10, 3, 30],
      expected: [-1, -10, 1, 10],
    },
    {
      name: 'standardize divides by the population deviation',
      kind: 'standardize',
      d: 2,
      values: [1, 10, 3, 30],
      expected: [-1, -1, 1, 1],
    },
    { name: 'one sample becomes 0', kind: 'standardize', d: 2, values: [5, -7], expected: [0, 0] },
    { name: 'a constant feature becomes 0', kind: 'standardize', d: 2, values: [4, 1, 4, 3], expected: [0, -1, 0, 1] },
    { name: 'a feature of zeros becomes 0', kind: 'standardize', d: 1, values: [0, 0, -0], expected: [0, 0, 0] },
    {
      name: 'float32 rounding around a constant is dead',
      kind: 'standardize',
      d: 1,
      values: [0.1, Math.fround(0.1), 0.1, Math.fround(0.1)],
      expected: [0, 0, 0, 0],
    },
    { name: 'a small unit is not dead', kind: 'standardize', d: 1, values: [1e-30, 3e-30], expected: [-1, 1] },
    {
      name: 'a large unit is no overflow',
      kind: 'standardize',
      d: 1,
      values: [2 ** 1020, 3 * 2 ** 1020],
      expected: [-1, 1],
    },
    {
      name: 'subnormal features are dead, not infinite',
      kind: 'standardize',
      d: 1,
      values: [5e-324, 1e-323],
      expected: [0, 0],
    },
  ];
  for (const { name, kind, d, values, expected } of table) {
    test(name, () => {
      const found = transformed(kind, d, ...values);
      assert.equal(found.length, expected.length);
      found.forEach((value, at) =>
        assert.ok(Math.abs(value - expected[at]!) < 1e-12, `${at}: ${value}, not ${String(expected[at])}`),
      );
    });
  }

  test('standardised data has mean 0 and deviation 1', () => {
    const random = randomIntegers(3);
    const [n, d] = [200, 5];
    const z = transformed(
      'standardize',
      d,
      ...Array.from({ length: n * d }, (_, at) => 1000 * (at % d) + ((at % d) + 1) * random(1000)),
    );
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
    assert.throws(
      () => applyPreprocessing(fitted, dataset(3, 1, 2, 3)),
      isDatasetError({ code: 'bad-shape', message: /fitted to 2 features and the data has 3/ }),
    );
    for (const kind of ['center', 'standardize', { kind: 'pca', k: 1, whiten: false }] as const)
      assert.throws(
        () => applyPreprocessing(fitPreprocessing(kind, dataset(2, 1, 2, 3, 5)), dataset(1, 1)),
        isDatasetError({ code: 'bad-shape', message: /fitted to 2 features and the data has 1/ }),
      );
  });
  test('refuses overflow', () => {
    assert.throws(
      () => applyPreprocessing({ kind: 'center', mean: [-Number.MAX_VALUE] }, dataset(1, Number.MAX_VALUE)),
      isDatasetError({ code: 'not-finite', message: /sample 0, feature 0/ }),
    );
  });
  test('refuses an unknown kind', () => {
    const kind: unknown = 'pca:3';
    assert.throws(
      () => fitPreprocessing(kind as PreprocessingChoice, dataset(1, 1)),
      isDatasetError({
        code: 'bad-argument',
        message: /"pca:3"; use one of none, center, standardize, quantile, degree2, fourier:K, pca:K and pca:K:whiten/,
      }),
    );
  });
});

suite('pca', () => {
  /** Column sums of products: X^T X / n of preprocessed data. */
  const covariance = ({ features, n, d }: Dataset): number[][] =>
    Array.from({ length: d }, (_, a) =>
      Array.from(
        { length: d },
        (_unused, b) =>
          Array.from({ length: n }, (_none, i) => features[i * d + a]! * features[i * d + b]!).reduce((x, y) => x + y) /
          n,
      ),
    );
  /** Correlated data of full rank with an offset, n samples of d features. */
  const correlated = (n: number, d: number): Dataset => {
    const random = randomIntegers(7);
    const hidden = Array.from({ length: n }, () =>
      Array.from({ length: d }, (_, j) => (random(2001) - 1000) / (1 + j)),
    );
    return dataset(
      d,
      ...hidden.flatMap((row) =>
        row.map((_, j) => 50 * j + row.reduce((sum, value, l) => sum + value * Math.cos(1 + j * (l + 1)), 0)),
      ),
    );
  };
  const near = (found: number, expected: number, tolerance: number): void =>
    assert.ok(Math.abs(found - expected) <= tolerance, `${found}, not ${expected}`);

  test('a known case: points on a line', () => {
    const data = dataset(2, 1, 1, 2, 3, 3, 5);
    const fitted = fitPreprocessing({ kind: 'pca', k: 1, whiten: false }, data);
    assert.ok(fitted.kind === 'pca');
    [1 / Math.sqrt(5), 2 / Math.sqrt(5)].forEach((value, j) => near(fitted.components[0]![j]!, value, 1e-12));
    [-Math.sqrt(5), 0, Math.sqrt(5)].forEach((value, i) =>
      near(applyPreprocessing(fitted, data).features[i]!, value, 1e-12),
    );
    assert.deepEqual([inputFeatures(fitted), outputFeatures(fitted)], [2, 1]);
  });
  // More samples than features, and the other way round: the two problems it may solve.
  for (const [n, d, k] of [
    [60, 8, 8],
    [60, 8, 3],
    [12, 40, 11],
    [12, 40, 4],
  ] as const) {
    const data = correlated(n, d);
    test(`${n} samples of ${d} features, ${k} components: orthonormal, uncorrelated, of falling variance`, () => {
      const fitted = fitPreprocessing({ kind: 'pca', k, whiten: false }, data);
      assert.ok(fitted.kind === 'pca');
      fitted.components.forEach((a, i) =>
        fitted.components.forEach((b, j) =>
          near(
            a.reduce((sum, value, at) => sum + value * b[at]!, 0),
            i === j ? 1 : 0,
            1e-9,
          ),
        ),
      );
      const found = covariance(applyPreprocessing(fitted, data));
      const total = (of: number[][]): number => of.reduce((sum, row, i) => sum + row[i]!, 0);
      const all = total(covariance(applyPreprocessing(fitPreprocessing('center', data), data)));
      found.forEach((row, i) => row.forEach((value, j) => i !== j && near(value, 0, 1e-9 * all)));
      for (let i = 1; i < k; i++) assert.ok(found[i]![i]! <= found[i - 1]![i - 1]!);
      if (k === Math.min(n - 1, d)) near(total(found), all, 1e-9 * all);
      else assert.ok(total(found) < all && total(found) > (all * k) / Math.min(n, d), 'more than its share');
    });
    test(`${n} samples of ${d} features, ${k} components, whitened: unit covariance`, () => {
      const found = covariance(applyPreprocessing(fitPreprocessing({ kind: 'pca', k, whiten: true }, data), data));
      found.forEach((row, i) => row.forEach((value, j) => near(value, i === j ? 1 : 0, 1e-6)));
    });
  }
  test('no choice of other directions holds more variance', () => {
    const data = correlated(60, 8);
    const best = covariance(
      applyPreprocessing(fitPreprocessing({ kind: 'pca', k: 1, whiten: false }, data), data),
    )[0]![0]!;
    const mean = fitPreprocessing('center', data);
    assert.ok(mean.kind === 'center');
    const random = randomIntegers(11);
    for (let trial = 0; trial < 200; trial++) {
      const direction = Array.from({ length: 8 }, () => random(2001) - 1000);
      const length = Math.hypot(...direction);
      const other: Preprocessing = {
        kind: 'pca',
        whiten: false,
        mean: mean.mean,
        components: [direction.map((value) => value / length)],
      };
      assert.ok(covariance(applyPreprocessing(other, data))[0]![0]! <= best * (1 + 1e-12));
    }
  });
  test('is fitted to the training data only', () => {
    const fitted = fitPreprocessing({ kind: 'pca', k: 1, whiten: false }, dataset(2, 0, 0, 2, 0));
    assert.deepEqual([...applyPreprocessing(fitted, dataset(2, 5, 9)).features], [4]);
  });
  test('is the same for features in another unit, however large or small', () => {
    const data = correlated(12, 5);
    const of = (factor: number): number[] => {
      const scaled = createDataset(
        data.features.map((value) => value * factor),
        5,
      );
      return [...applyPreprocessing(fitPreprocessing({ kind: 'pca', k: 3, whiten: true }, scaled), scaled).features];
    };
    const expected = of(1);
    for (const factor of [2 ** 990, 2 ** -990]) of(factor).forEach((value, at) => near(value, expected[at]!, 1e-9));
  });
  test('a direction without variance is 0, not noise scaled up', () => {
    const data = dataset(3, 1, 2, 7, 2, 4, 7, 3, 6, 7, 5, 10, 7);
    for (const whiten of [false, true]) {
      const { features } = applyPreprocessing(fitPreprocessing({ kind: 'pca', k: 3, whiten }, data), data);
      assert.ok(
        features.every((value, at) => (at % 3 === 0 ? value !== 0 : value === 0)),
        String(features),
      );
    }
  });
  for (const [k, message] of [
    [3, /3 principal components asked of 3 training samples of 4 features; use a whole number from 1 to 2/],
    [0, /0 principal components/],
    [1.5, /1.5 principal/],
  ] as const) {
    test(`refuses ${k} components of 3 samples`, () => {
      assert.throws(
        () => fitPreprocessing({ kind: 'pca', k, whiten: false }, dataset(4, ...Array(12).keys())),
        isDatasetError({ code: 'bad-argument', message }),
      );
    });
  }
  test('refuses one sample', () => {
    assert.throws(
      () => fitPreprocessing({ kind: 'pca', k: 1, whiten: false }, dataset(1, 1)),
      isDatasetError({ code: 'bad-argument', message: /at least 2 training samples/ }),
    );
  });
  test('says how many components there can be', () => {
    assert.deepEqual(
      [maxComponents(128, 400), maxComponents(1024, 400), maxComponents(1, 5), maxComponents(3000, 3000)],
      [127, 400, 0, 0],
    );
  });
  test('refuses what would take hours', () => {
    assert.throws(
      () => fitPreprocessing({ kind: 'pca', k: 1, whiten: false }, createDataset(new Float64Array(2049 ** 2), 2049)),
      isDatasetError({ code: 'too-large', message: /at most 2048/ }),
    );
  });
});

suite('parsePreprocessingKind', () => {
  const table: [string, PreprocessingChoice][] = [
    ['none', 'none'],
    ['center', 'center'],
    ['standardize', 'standardize'],
    ['pca:1', { kind: 'pca', k: 1, whiten: false }],
    ['pca:128:whiten', { kind: 'pca', k: 128, whiten: true }],
  ];
  for (const [text, choice] of table)
    test(`reads ${text}`, () => assert.deepEqual(parsePreprocessingKind(text), choice));
  for (const text of [
    '',
    'pca',
    'pca:',
    'pca:0',
    'pca:-1',
    'pca:1.5',
    'pca:1e3',
    'pca:01',
    'pca:9999999999',
    'pca:3:',
    'pca:3:white',
    'PCA:3',
    ' none',
    'whiten',
  ]) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => parsePreprocessingKind(text),
        isDatasetError({
          code: 'bad-argument',
          message:
            /unknown preprocessing ".*"; use one of none, center, standardize, quantile, degree2, fourier:K, pca:K and pca:K:whiten/,
        }),
      );
    });
  }
});

suite('parsePreprocessing', () => {
  for (const name of ['none', 'center', 'standardize', 'pca:1', 'pca:2', 'pca:2:whiten']) {
    test(`${name} survives JSON exactly`, () => {
      const fitted = fitPreprocessing(parsePreprocessingKind(name), dataset(2, 0.1, 7, 1 / 3, 7, -5e-7, 7));
      assert.equal(preprocessingName(fitted), name);
      assert.deepEqual(parsePreprocessing(JSON.parse(JSON.stringify(fitted))), fitted);
    });
  }
  const bad: { json: string; message: RegExp }[] = [
    { json: 'null', message: /must be an object .* it is null/ },
    { json: '[]', message: /it is an array/ },
    { json: '"none"', message: /it is "none"/ },
    { json: '{}', message: /kind is missing; allowed are none, center, standardize/ },
    {
      json: '{"kind":"lda"}',
      message: /kind is "lda"; allowed are none, center, standardize, quantile, degree2, fourier, pca, chain/,
    },
    { json: '{"kind":"pca"}', message: /whiten must be true or false; it is missing/ },
    { json: '{"kind":"pca","whiten":1,"mean":[1],"components":[[1]]}', message: /whiten must be .* it is 1/ },
    { json: '{"kind":"pca","whiten":true,"mean":[],"components":[[1]]}', message: /mean must be .* empty/ },
    {
      json: '{"kind":"pca","whiten":true,"mean":[1],"components":[]}',
      message: /components must be an array of 1 to 1 rows .* of 0/,
    },
    {
      json: '{"kind":"pca","whiten":true,"mean":[1],"components":[[1],[1]]}',
      message: /1 to 1 rows for 1 features; it is of 2/,
    },
    {
      json: '{"kind":"pca","whiten":true,"mean":[1,2],"components":[[1,2],[1]]}',
      message: /components\[1\] has 1 numbers and there are 2 means/,
    },
    {
      json: '{"kind":"pca","whiten":true,"mean":[1,2],"components":[[1,null]]}',
      message: /components\[0\]\[1\] must be a finite number; it is null/,
    },
    { json: '{"kind":"pca","whiten":true,"mean":[1,2],"components":[1]}', message: /components\[0\] must be an array/ },
    { json: '{"kind":"pca","whiten":true,"mean":[1],"components":[[1]],"scale":[1]}', message: /unknown key "scale"/ },
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
    test(`refuses ${json}`, () =>
      assert.throws(
        () => parsePreprocessing(JSON.parse(json)),
        isDatasetError({ code: 'bad-preprocessing', message }),
      ));
  }
});
