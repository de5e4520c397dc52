/** From a trained model to predictions on images and to an ONNX file, as people do it. */
import assert from 'node:assert/strict';
import { access, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { required } from '@blindfit/base';
import {
  accuracy,
  classIndices,
  predictLabels,
  readIdxImages,
  serialiseModel,
  withLabels,
  type LabelledDataset,
  type Model,
} from '@blindfit/data';
import { digitFiles, type Split } from '@blindfit/demo';
import { encodeModel, extractDataset, loadBackbone, openIdxSource, parseModel } from '@blindfit/images';
import { prepareData } from '@blindfit/owner';
import { temporaryDirectory } from '@blindfit/testkit';
import { DEFAULT_HYPERPARAMETERS, trainClear } from '@blindfit/training';
import { exportTrained } from '../src/export/export-model.ts';
import { askCli, cleanEnv, runCli } from './support.ts';

async function digits(split: Split, limit: number): Promise<LabelledDataset> {
  const { data } = await extractDataset({
    source: await openIdxSource({ ...digitFiles(split), limit }),
    backbone: await loadBackbone({ backbone: 'scattering' }),
  });
  return withLabels(data, data.labels ?? []);
}

function train(training: LabelledDataset, preprocessing: Parameters<typeof prepareData>[0]['preprocessing']): Model {
  const data = prepareData({ training, preprocessing });
  const { weights } = trainClear(
    data.set.x,
    data.shape.samples,
    data.shape.features,
    data.set.labels,
    DEFAULT_HYPERPARAMETERS,
  );
  return {
    classes: data.classes,
    weights: weights.map((row) => [...row]),
    preprocessing: data.preprocessing,
    training: { backbone: 'scattering' },
  };
}

suite('a model of the built-in backbone', () => {
  let heldOut: LabelledDataset;
  let models: ReadonlyMap<string, Model>;

  before(async () => {
    const training = await digits('train', 128);
    heldOut = await digits('heldout', 40);
    models = new Map([
      ['pca', train(training, { kind: 'pca', k: 63, whiten: false })],
      ['whitened pca', train(training, { kind: 'pca', k: 63, whiten: true })],
      ['standardize', train(training, 'standardize')],
      ['none', train(training, 'none')],
    ]);
  });

  const modelOf = (name: string): Model => {
    const model = models.get(name);
    assert.ok(model);
    return model;
  };

  test('predict classifies images as their features', async (t) => {
    const directory = await temporaryDirectory(t);
    const model = modelOf('pca');
    await writeFile(join(directory, 'model.json'), serialiseModel(model));
    const { images, labels } = digitFiles('heldout');
    // The model says which backbone it was trained with.
    const { status, stdout, stderr } = await runCli(
      t,
      [
        'predict',
        '--model',
        join(directory, 'model.json'),
        '--images',
        images,
        '--labels',
        labels,
        '--limit',
        '40',
        '--json',
        '--quiet',
      ],
      cleanEnv({ XDG_CACHE_HOME: join(directory, 'cache') }),
    );
    assert.deepEqual([status, stderr], [0, '']);
    const found = JSON.parse(stdout) as {
      accuracy: number;
      samples: number;
      predictions: { predicted: string; actual: string; sample: string }[];
    };
    const expected = predictLabels(model, heldOut);
    assert.deepEqual(
      found.predictions.map(({ predicted }) => predicted),
      expected,
    );
    assert.deepEqual(
      found.predictions.map(({ actual }) => actual),
      heldOut.labels,
    );
    assert.equal(found.samples, 40);
    assert.equal(
      found.accuracy,
      accuracy(classIndices(expected, model.classes), classIndices(heldOut.labels, model.classes)),
    );
    assert.ok(found.accuracy > 0.6, `${found.accuracy}`);
  });

  for (const name of ['pca', 'whitened pca', 'standardize', 'none']) {
    test(`export after ${name}: onnxruntime predicts from pixels what we predict`, async (t) => {
      const model = modelOf(name);
      const exported = await exportTrained(model, await loadBackbone({ backbone: 'scattering' }));
      t.diagnostic(`scores on random images within ${exported.difference.toExponential(1)} of their range`);
      assert.deepEqual([exported.size, exported.channels, exported.greyOnly], [28, 'grey', false]);
      assert.ok(exported.difference < 1e-4);
      const { pixels } = await readIdxImages(digitFiles('heldout').images);
      const input = Float32Array.from(pixels.subarray(0, heldOut.n * 784), (value) => value / 255);
      const session = await InferenceSession.create(exported.bytes);
      const outputs = await session.run({ image: new Tensor('float32', input, [heldOut.n, 1, 28, 28]) });
      const indices = await outputs['label_index']?.getData();
      await session.release();
      assert.ok(indices instanceof BigInt64Array);
      assert.deepEqual(
        Array.from(indices, (k) => model.classes[Number(k)]),
        predictLabels(model, heldOut),
      );
    });
  }

  test('the export command writes the file and cautions', async (t) => {
    const directory = await temporaryDirectory(t);
    await writeFile(join(directory, 'model.json'), serialiseModel(modelOf('pca')));
    const { status, stdout, stderr } = await runCli(t, [
      'export',
      '--model',
      join(directory, 'model.json'),
      '--out',
      join(directory, 'digits.onnx'),
    ]);
    assert.equal(status, 0, stderr);
    assert.match(
      stdout,
      /^model {4}.*digits\.onnx, [\d.]+ [KM]iB\ninput {4}image: N x 1 x 28 x 28, grey in \[0, 1\]\noutputs {2}scores, probabilities, label_index: 10 classes\ncheck {4}onnxruntime agrees with "blindfit predict" on 4 random images: scores within \d\.\de-\d+ of their range\n$/,
    );
    assert.match(stderr, /^caution: the model's weights were decrypted from CKKS ciphertexts[^]*CPA-D/);
    const { metadataProps: metadata } = parseModel(await readFile(join(directory, 'digits.onnx')));
    assert.deepEqual(
      JSON.parse(required(metadata.find(({ key }) => key === 'blindfit.classes')?.value, 'blindfit.classes')),
      modelOf('pca').classes,
    );
  });

  test('a graph that computes something else is not written', async (t) => {
    const directory = await temporaryDirectory(t);
    const { bytes } = await loadBackbone({ backbone: 'scattering' });
    const source = parseModel(bytes);
    const { graph } = source;
    const like = graph.node.at(-1);
    assert.ok(like);
    // onnxruntime seeds noise with the node's number, which the export changes by leaving out an unneeded node.
    const node = (opType: string, input: string[], name: string): typeof like => ({
      ...like,
      name,
      opType,
      input,
      output: [name],
      attribute: [],
    });
    const renamed = graph.node.map((original) => ({
      ...original,
      name: `steady ${original.name}`,
      output: original.output.map((value) => (value === 'features' ? 'steady' : value)),
    }));
    graph.node = [
      node('Identity', ['image'], 'unused'),
      ...renamed,
      node('RandomNormalLike', ['steady'], 'noise'),
      node('Add', ['steady', 'noise'], 'features'),
    ];
    await writeFile(join(directory, 'random.onnx'), encodeModel(source));
    await writeFile(join(directory, 'model.json'), serialiseModel(modelOf('none')));
    const out = join(directory, 'out.onnx');
    const { status, stdout, stderr } = await askCli([
      'export',
      '--model',
      join(directory, 'model.json'),
      '--backbone',
      join(directory, 'random.onnx'),
      '--out',
      out,
    ]);
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(
      stderr,
      /^error: the exported model does not compute what the trained one predicts: on 4 random images the scores differ by up to [\d.e-]+ of their range; nothing was written\nhint: /,
    );
    await assert.rejects(access(out));
  });

  test('says what is wrong', async (t) => {
    const directory = await temporaryDirectory(t);
    const at = (name: string): string => join(directory, name);
    const small: Model = {
      classes: ['a', 'b'],
      weights: [
        [0, 1, 2],
        [0, 2, 1],
      ],
      preprocessing: { kind: 'none' },
      training: {},
    };
    await writeFile(at('small.json'), serialiseModel(small));
    await writeFile(at('not.onnx'), 'text');
    for (const [args, status, message] of [
      [
        ['export', '--model', at('small.json'), '--backbone', 'scattering', '--out', at('x.onnx')],
        1,
        /^error: the backbone gives 400 features and the model was trained on 2; use the backbone it was trained with\n$/,
      ],
      [
        ['export', '--model', at('small.json'), '--backbone', 'nonsense', '--out', at('x.onnx')],
        1,
        /^error: there is no backbone "nonsense"; use one of scattering, regnet_x_400mf, or an \.onnx file/,
      ],
      [
        ['export', '--model', at('small.json'), '--backbone', at('not.onnx'), '--out', at('x.onnx')],
        1,
        /^error: onnxruntime cannot load not\.onnx/,
      ],
      [['export', '--model', at('none.json')], 1, /^error: the model .*none\.json cannot be read/],
      [['predict', '--model', at('small.json')], 2, /^error: there are no samples to classify\nhint: give --features/],
      [
        ['predict', '--model', at('small.json'), '--features', 'x.csv', '--images', 'y'],
        2,
        /^error: --features excludes --images/,
      ],
      [
        [
          'predict',
          '--model',
          at('small.json'),
          '--images',
          digitFiles('heldout').images,
          '--limit',
          '2',
          '--quiet',
          '--no-cache',
        ],
        1,
        /^error: the model was trained on 2 features and the data has 400/,
      ],
    ] as const) {
      const ended = await askCli(args);
      assert.equal(ended.status, status, ended.stderr);
      assert.match(ended.stderr, message);
      assert.equal(ended.stdout, '');
    }
    await assert.rejects(access(at('x.onnx')));
  });
});
