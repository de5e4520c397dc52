/** Chains of preprocessing: skewed features, products of features, random Fourier features. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import {
  applyPreprocessing,
  createDataset,
  degree2Features,
  fitAndApply,
  fitPreprocessing,
  fourierFrequencies,
  inputFeatures,
  outputFeatures,
  parsePreprocessing,
  parsePreprocessingKind,
  preprocessingName,
  randomFrom,
  spellingOf,
} from '../src/index.ts';
import { normalQuantile } from '../src/quantile.ts';
import { isDatasetError } from './support.ts';

const dataset = (d: number, ...values: number[]) => createDataset(Float64Array.from(values), d);

suite('quantile', () => {
  test('a value becomes the normal score of its middle rank, ties included', () => {
    const data = dataset(1, 1, 10, 100, 100);
    const { data: scored } = fitAndApply('quantile', data);
    const expected = [0.125, 0.375, 0.75, 0.75].map(normalQuantile);
    scored.features.forEach((score, i) => assert.ok(Math.abs(score - expected[i]!) < 1e-12, `${i}: ${score}`));
  });

  test('values between are on the line, values beyond get the score of the end', () => {
    const fitted = fitPreprocessing('quantile', dataset(1, 0, 1, 2, 3));
    const [low, middle, high] = applyPreprocessing(fitted, dataset(1, -5, 0.5, 99)).features;
    const score = (rank: number) => normalQuantile(rank);
    assert.equal(low, score(0.125));
    assert.ok(Math.abs(middle! - (score(0.125) + score(0.375)) / 2) < 1e-12);
    assert.equal(high, score(0.875));
  });

  test('any monotone change of a feature gives the same scores', () => {
    const raw = Array.from({ length: 50 }, (_, i) => Math.sin(i * 7.7) * 2);
    const scores = fitAndApply('quantile', dataset(1, ...raw)).data.features;
    const skewed = fitAndApply('quantile', dataset(1, ...raw.map(Math.exp))).data.features;
    assert.deepEqual(scores, skewed);
  });

  test('a constant feature becomes 0; huge values do not overflow', () => {
    assert.deepEqual([...fitAndApply('quantile', dataset(1, 7, 7)).data.features], [0, 0]);
    const fitted = fitPreprocessing('quantile', dataset(1, -1.7e308, 1.7e308));
    assert.ok(Math.abs(applyPreprocessing(fitted, dataset(1, 0)).features[0]!) < 1e-9);
  });

  test('the inverse of the normal distribution', () => {
    // Tables of the normal distribution.
    for (const [p, z] of [
      [0.5, 0],
      [0.975, 1.959963985],
      [0.01, -2.326347874],
      [0.999, 3.090232306],
      [0.84134474606854, 1],
    ] as const)
      assert.ok(Math.abs(normalQuantile(p) - z) < 1e-8, `${p}: ${normalQuantile(p)}`);
  });
});

suite('expansions', () => {
  test('degree2 adds all products of two features in a fixed order', () => {
    const { data } = fitAndApply('degree2', dataset(3, 2, 3, 5));
    assert.deepEqual([...data.features], [2, 3, 5, 4, 6, 10, 9, 15, 25]);
    assert.equal(degree2Features(3), 9);
  });

  test('fourier adds cosines that follow from the seed, and approximate the Gaussian kernel', () => {
    const step = { k: 4000, seed: 5, bandwidth: 0.7 };
    const rows = createDataset(Float64Array.of(0.3, -1, 0.8, 0.1), 2);
    const fitted = fitPreprocessing({ kind: 'fourier', k: 4000, seed: 5, bandwidth: 0.7 * Math.SQRT2 }, rows);
    const { features, d } = applyPreprocessing(fitted, rows);
    assert.equal(d, 4002);
    assert.deepEqual([...features.slice(0, 2), ...features.slice(d, d + 2)], [0.3, -1, 0.8, 0.1]);
    let product = 0;
    for (let j = 2; j < d; j++) product += (features[j]! * features[d + j]!) / step.k;
    const squared = 0.5 ** 2 + 1.1 ** 2;
    assert.ok(Math.abs(product - Math.exp((-squared * 0.7 ** 2) / 2)) < 0.05, `${product}`);
    assert.notDeepEqual(fourierFrequencies({ ...step, seed: 6 }, 2), fourierFrequencies(step, 2));
    assert.deepEqual(fourierFrequencies(step, 2), fourierFrequencies(step, 2));
  });

  test('random numbers are the same on every machine', () => {
    const random = randomFrom(1);
    assert.deepEqual(
      Array.from({ length: 3 }, () => Math.round(random() * 1e6)),
      [627074, 2736, 527447],
    );
  });

  test('too many features are refused, and the way out is named', () => {
    const wide = createDataset(new Float64Array(100), 100);
    assert.throws(
      () => fitPreprocessing('degree2', wide),
      isDatasetError({
        code: 'bad-argument',
        message: /degree2 would give 5150 features; at most 4096 are allowed: put pca:K before it/,
      }),
    );
    assert.throws(
      () => fitPreprocessing({ kind: 'fourier', k: 3997 }, wide),
      isDatasetError({ code: 'bad-argument', message: /fourier would give 4097 features/ }),
    );
    assert.equal(outputFeatures(fitPreprocessing({ kind: 'fourier', k: 3996 }, wide)), 4096);
  });
});

suite('chains', () => {
  const random = randomFrom(9);
  const data = createDataset(
    Float64Array.from({ length: 120 }, () => Math.exp(3 * random())),
    3,
  );
  const spelled = 'quantile+degree2+fourier:4:7:0.25+standardize+pca:5:whiten';

  test('steps are fitted to what the steps before them give', () => {
    const whole = fitAndApply(parsePreprocessingKind(spelled), data);
    let current = data;
    for (const part of spelled.split('+')) {
      const step = fitPreprocessing(parsePreprocessingKind(part), current);
      current = applyPreprocessing(step, current);
    }
    assert.deepEqual(whole.data.features, current.features);
    assert.deepEqual(applyPreprocessing(whole.preprocessing, data).features, current.features);
    assert.deepEqual([inputFeatures(whole.preprocessing), outputFeatures(whole.preprocessing)], [3, 5]);
    assert.equal(preprocessingName(whole.preprocessing), spelled);
  });

  test('a chain survives JSON to the bit', () => {
    const { preprocessing } = fitAndApply(parsePreprocessingKind(spelled), data);
    const read = parsePreprocessing(JSON.parse(JSON.stringify(preprocessing)));
    assert.deepEqual(read, preprocessing);
  });

  for (const text of ['quantile', 'standardize+pca:4', 'fourier:8', 'none+center', spelled])
    test(`reads and spells ${text}`, () => assert.equal(spellingOf(parsePreprocessingKind(text)), text));

  for (const text of ['', 'quantile+', 'standardize+lda', 'fourier', 'fourier:0', 'fourier:8:1:0', 'pca:0+none'])
    test(`refuses ${JSON.stringify(text)}`, () =>
      assert.throws(
        () => parsePreprocessingKind(text),
        isDatasetError({ code: 'bad-argument', message: /unknown preprocessing/ }),
      ));

  test('refuses long chains', () =>
    assert.throws(
      () => parsePreprocessingKind(Array(9).fill('none').join('+')),
      isDatasetError({ code: 'bad-argument', message: /preprocessing of 9 steps; at most 8/ }),
    ));

  const curve = { x: [0, 1], y: [0, 1] };
  const cases: [string, unknown, RegExp][] = [
    ['no steps', { kind: 'chain', steps: [] }, /steps must be an array of 1 to 8 steps; it is of 0/],
    ['a chain in a chain', { kind: 'chain', steps: [{ kind: 'chain', steps: [] }] }, /kind is "chain"/],
    ['a step that is no object', { kind: 'chain', steps: [3] }, /steps\[0\] must be an object/],
    [
      'widths that do not fit',
      {
        kind: 'chain',
        steps: [
          { kind: 'degree2', features: 2 },
          { kind: 'center', mean: [1, 2] },
        ],
      },
      /steps\[1\] takes 2 features and the steps before it give 5/,
    ],
    ['a curve that turns', { kind: 'quantile', curves: [{ x: [1, 1], y: [0, 1] }] }, /x in ascending order/],
    ['a curve without scores', { kind: 'quantile', curves: [{ ...curve, y: [0] }] }, /as many y as x/],
    ['no curves', { kind: 'quantile', curves: [] }, /curves must be an array/],
    ['half a feature', { kind: 'degree2', features: 1.5 }, /features must be a whole number from 1 to 4096/],
    ['no bandwidth', { kind: 'fourier', features: 1, k: 1, seed: 1, bandwidth: 0 }, /bandwidth must be a positive/],
    ['a negative seed', { kind: 'fourier', features: 1, k: 1, seed: -1, bandwidth: 1 }, /seed must be a whole number/],
    ['an unknown key', { kind: 'degree2', features: 1, more: 1 }, /unknown key "more"/],
  ];
  for (const [why, value, message] of cases)
    test(`refuses ${why}`, () =>
      assert.throws(() => parsePreprocessing(value), isDatasetError({ code: 'bad-preprocessing', message: message })));
});
