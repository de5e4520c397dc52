import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import {
  createDataset,
  DatasetError,
  modelFeatures,
  parseModel,
  predictLabels,
  predictScores,
  probabilitiesOf,
  serialiseModel,
  type JsonObject,
  type Model,
} from '../src/index.ts';
import { isDatasetError, mutate, randomIntegers } from './support.ts';

const model: Model = {
  classes: ['0', '1', '7'],
  weights: [
    [0.1, 1 / 3, -5e-324],
    [0, 1.7976931348623157e308, 2],
    [3, 4, 5],
  ],
  preprocessing: { kind: 'standardize', mean: [0.5, 1e-7], scale: [2, 0] },
  training: {
    iterations: 2,
    seconds: [1.5, 2.25],
    sigmoid: { degree: 3, range: [-8, 8] },
    note: 'ä "quoted"\n',
    early: null,
    refresh: false,
  },
};

/** The model's JSON object with some keys replaced; undefined removes a key. */
const variant = (changes: Record<string, unknown>): string =>
  JSON.stringify({ ...(JSON.parse(serialiseModel(model)) as object), ...changes });

suite('a model survives its file', () => {
  const table: { name: string; model: Model; classes: unknown[] }[] = [
    { name: 'numeric classes', model, classes: [0, 1, 7] },
    {
      name: 'text classes',
      model: { ...model, classes: ['cat', 'a "dog", é', '__proto__'] },
      classes: ['cat', 'a "dog", é', '__proto__'],
    },
    { name: 'numbers among text', model: { ...model, classes: ['10', '9', 'x'] }, classes: ['10', '9', 'x'] },
    {
      name: 'integers too large to be exact',
      model: { ...model, classes: ['1', '2', '9007199254740993'] },
      classes: ['1', '2', '9007199254740993'],
    },
    {
      name: 'no preprocessing, nothing on training',
      model: { ...model, preprocessing: { kind: 'none' }, training: {} },
      classes: [0, 1, 7],
    },
  ];
  for (const row of table) {
    test(row.name, () => {
      const text = serialiseModel(row.model);
      assert.deepEqual(parseModel(text), row.model);
      const json = JSON.parse(text) as Record<string, unknown>;
      assert.deepEqual(Object.keys(json), ['format', 'classes', 'weights', 'preprocessing', 'training']);
      assert.deepEqual([json['format'], json['classes']], ['blindfit-model/1', row.classes]);
      assert.equal(serialiseModel(parseModel(text)), text);
    });
  }
  test('with a byte order mark, and classes as text or as numbers', () => {
    assert.deepEqual(parseModel(`\ufeff${variant({ classes: ['0', 1, '7.0'] })}`), model);
  });
  test('and cannot be changed by its reader', () => {
    const read = parseModel(serialiseModel(model));
    assert.ok(
      Object.isFrozen(read) &&
        Object.isFrozen(read.classes) &&
        Object.isFrozen(read.weights) &&
        Object.isFrozen(read.weights[0]),
    );
  });
});

suite('the calibration of a model', () => {
  const calibrated: Model = { ...model, calibration: { temperature: 0.125 } };
  test('survives the file, and is not there in models without one', () => {
    assert.deepEqual(parseModel(serialiseModel(calibrated)), calibrated);
    assert.ok(!('calibration' in parseModel(serialiseModel(model))));
  });
  test('decides what scores mean', () => {
    const z = Float64Array.of(Math.log(2) / 8, 0, 0);
    assert.deepEqual([...probabilitiesOf(calibrated, z)], [0.5, 0.25, 0.25]);
    const sum = 2 / 3 + 0.5 + 0.5;
    const sigmoids = [2 / 3 / sum, 0.5 / sum, 0.5 / sum];
    probabilitiesOf(model, Float64Array.of(Math.log(2), 0, 0)).forEach((p, k) =>
      assert.ok(Math.abs(p - sigmoids[k]!) < 1e-15),
    );
  });
  test('has ends', () => {
    for (const temperature of [1e-4, 1e4])
      assert.deepEqual(parseModel(variant({ calibration: { temperature } })).calibration, { temperature });
    for (const calibration of [null, 2, {}, ...[0, -1, 9.9e-5, 10001, '1'].map((temperature) => ({ temperature }))])
      assert.throws(
        () => parseModel(variant({ calibration })),
        isDatasetError({ code: 'bad-model', message: /temperature from 0.0001 to 10000; it is/ }),
      );
  });
});

suite('parseModel refuses', () => {
  const table: { name: string; text: string; message: RegExp }[] = [
    { name: 'nothing', text: '', message: /not a model file: it is not JSON/ },
    { name: 'other text', text: 'label,f1\n', message: /not JSON/ },
    { name: 'JSON cut short', text: serialiseModel(model).slice(0, -5), message: /not JSON/ },
    { name: 'an array', text: '[]', message: /expected a JSON object, found an array/ },
    { name: 'null', text: 'null', message: /found null/ },
    { name: 'another object', text: '{}', message: /format is missing; this version reads "blindfit-model\/1"/ },
    { name: 'a later format', text: variant({ format: 'blindfit-model/2' }), message: /format is "blindfit-model\/2"/ },
    ...['classes', 'weights', 'preprocessing', 'training'].map((key) => ({
      name: `a model without ${key}`,
      text: variant({ [key]: undefined }),
      message: new RegExp(`the key "${key}" is missing`),
    })),
    {
      name: 'an unknown key',
      text: variant({ preprocesing: {} }),
      message: /unknown key "preprocesing"; allowed are format/,
    },
    {
      name: 'classes that are no list',
      text: variant({ classes: '0,1,7' }),
      message: /classes must be an array .* "0,1,7"/,
    },
    {
      name: 'one class',
      text: variant({ classes: [0], weights: [[1, 2, 3]] }),
      message: /at least 2 labels; it is of 1/,
    },
    { name: 'a class twice', text: variant({ classes: ['1', 1, 7] }), message: /names 1 more than once/ },
    { name: 'an empty class', text: variant({ classes: ['1', ' ', 7] }), message: /classes\[1\]: the label is empty/ },
    {
      name: 'a fractional class',
      text: variant({ classes: [1, 1.5, 7] }),
      message: /classes\[1\] is 1.5; a class is a string or a whole number/,
    },
    { name: 'a class that is an object', text: variant({ classes: [1, {}, 7] }), message: /classes\[1\] is an object/ },
    { name: 'weights that are no list', text: variant({ weights: {} }), message: /weights must be an array of 3 rows/ },
    {
      name: 'weights of a class missing',
      text: variant({
        weights: [
          [1, 2, 3],
          [1, 2, 3],
        ],
      }),
      message: /3 rows, one per class; it is of 2/,
    },
    {
      name: 'ragged weights',
      text: variant({
        weights: [
          [1, 2, 3],
          [1, 2],
          [1, 2, 3],
        ],
      }),
      message: /weights\[1\] has 2 numbers and weights\[0\] has 3/,
    },
    {
      name: 'a bias only',
      text: variant({ weights: [[1], [2], [3]] }),
      message: /weights\[0\] must be an array of a bias and at least one weight; it is of 1/,
    },
    {
      name: 'a row that is no list',
      text: variant({ weights: [[1, 2, 3], 'x', [1, 2, 3]] }),
      message: /weights\[1\] must be an array .* "x"/,
    },
    {
      name: 'a null weight, as JSON.stringify makes of NaN',
      text: variant({
        weights: [
          [1, 2, 3],
          [1, NaN, 3],
          [1, 2, 3],
        ],
      }),
      message: /weights\[1\]\[1\] must be a finite number; it is null/,
    },
    {
      name: 'an infinite weight',
      text: serialiseModel(model).replace('[3,4,5]', '[3,4,5e999]'),
      message: /weights\[2\]\[2\] .* Infinity/,
    },
    {
      name: 'bad preprocessing',
      text: variant({ preprocessing: { kind: 'lda' } }),
      message: /not a valid model: preprocessing kind is "lda"/,
    },
    {
      name: 'preprocessing of other features',
      text: variant({ preprocessing: { kind: 'center', mean: [1, 2, 3] } }),
      message: /preprocessing is for 3 features and the weights are for 2/,
    },
    {
      name: 'components of other weights',
      text: variant({ preprocessing: { kind: 'pca', whiten: false, mean: [1, 2, 3], components: [[1, 2, 3]] } }),
      message: /preprocessing gives 1 features and the weights are for 2/,
    },
    {
      name: 'training that is no object',
      text: variant({ training: [1] }),
      message: /training must be an object, .* an array/,
    },
    {
      name: 'a bottomless training',
      text: serialiseModel(model).replace('"iterations":2', `"iterations":${'['.repeat(5000)}${']'.repeat(5000)}`),
      message: /nested more than 32 deep/,
    },
  ];
  for (const { name, text, message } of table) {
    test(name, () => {
      assert.throws(() => parseModel(text), isDatasetError({ code: 'bad-model', message }));
      assert.throws(() => parseModel(text, 'model.json'), isDatasetError({ code: 'bad-model', message }, 'model.json'));
    });
  }
});

suite('serialiseModel refuses', () => {
  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  const table: { name: string; model: object; message: RegExp }[] = [
    {
      name: 'NaN weights',
      model: {
        weights: [
          [1, 2, 3],
          [1, 2, NaN],
          [1, 2, 3],
        ],
      },
      message: /weights\[1\]\[2\] must be a finite number; it is NaN/,
    },
    {
      name: 'typed arrays for weights',
      model: { weights: [Float64Array.of(1, 2, 3), [1, 2, 3], [1, 2, 3]] },
      message: /weights\[0\] must be an array/,
    },
    {
      name: 'a hole in the weights',
      model: { weights: [[1, 2, 3], Array.from({ length: 3 }), [1, 2, 3]] },
      message: /weights\[1\]\[0\] .* missing/,
    },
    { name: 'a class twice', model: { classes: ['1', '1.0', '2'] }, message: /more than once/ },
    {
      name: 'infinite training facts',
      model: { training: { loss: [1, Infinity] } },
      message: /training\.loss\[1\] is Infinity, which JSON cannot hold/,
    },
    {
      name: 'undefined training facts',
      model: { training: { a: { b: undefined } } },
      message: /training\.a\.b is undefined/,
    },
    { name: 'dates', model: { training: { at: new Date(0) } }, message: /training\.at is an object with a class/ },
    { name: 'big integers', model: { training: { size: 1n } }, message: /training\.size is bigint/ },
    { name: 'cycles', model: { training: cycle }, message: /nested more than 32 deep/ },
  ];
  for (const { name, model: changes, message } of table) {
    test(name, () =>
      assert.throws(() => serialiseModel({ ...model, ...changes }), isDatasetError({ code: 'bad-model', message })),
    );
  }
});

suite('predictLabels', () => {
  const small: Model = {
    classes: ['no', 'yes'],
    weights: [
      [0, 1],
      [0, -1],
    ],
    preprocessing: { kind: 'center', mean: [10] },
    training: {} satisfies JsonObject,
  };
  test('preprocesses, scores, and names the class', () => {
    assert.deepEqual(predictLabels(small, createDataset(Float64Array.of(9, 10, 11), 1)), ['yes', 'no', 'no']);
  });
  test('projects on principal components', () => {
    const projecting: Model = {
      ...small,
      preprocessing: { kind: 'pca', whiten: false, mean: [1, 1], components: [[1, -1]] },
    };
    assert.equal(modelFeatures(projecting), 2);
    assert.deepEqual([...predictScores(projecting, createDataset(Float64Array.of(3, 2, 0, 5), 2))], [1, -1, -5, 5]);
    assert.deepEqual(predictLabels(projecting, createDataset(Float64Array.of(3, 2, 0, 5), 2)), ['no', 'yes']);
    assert.throws(
      () => predictLabels(projecting, createDataset(Float64Array.of(3), 1)),
      isDatasetError({ code: 'bad-shape', message: /trained on 2 features and the data has 1/ }),
    );
    assert.deepEqual(parseModel(serialiseModel(projecting)), projecting);
  });
  test('refuses other features, even where the count of values fits', () => {
    for (const kind of ['none', 'center'] as const) {
      const preprocessing = kind === 'none' ? { kind } : { kind, mean: [10] };
      assert.throws(
        () => predictLabels({ ...small, preprocessing }, createDataset(Float64Array.of(1, 2, 3), 3)),
        isDatasetError({ code: 'bad-shape', message: /trained on 1 features and the data has 3/ }),
      );
    }
  });
});

test('300 random mutations of a model file: a sound model or a DatasetError', () => {
  const valid = Buffer.from(serialiseModel(model));
  const random = randomIntegers(4);
  const outcomes = { read: 0, refused: 0 };
  for (let i = 0; i < 300; i++) {
    const text = Buffer.from(mutate(valid, random)).toString();
    try {
      const read = parseModel(text);
      assert.deepEqual(parseModel(serialiseModel(read)), read);
      outcomes.read++;
    } catch (error) {
      assert.ok(error instanceof DatasetError, `mutation ${i}, ${JSON.stringify(text)}: ${String(error)}`);
      outcomes.refused++;
    }
  }
  assert.ok(outcomes.read > 5 && outcomes.refused > 100, JSON.stringify(outcomes));
});
