import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { applyPreprocessing, createDataset, outputFeatures, type Preprocessing } from '@blindfit/data';
import {
  encodeModel,
  exportModel,
  FeatureError,
  parseModel,
  type ExportOptions,
  type FeatureErrorCode,
} from '@blindfit/images';
import { findBackbone } from '../../src/backbones/backbones.ts';
import { floatTensor, model, node, valueInfo } from '../../src/backbones/onnx/build.ts';
import { ValueInfoProtoSchema } from '../../src/backbones/onnx/onnx_pb.ts';
import { buildScattering } from '../../src/backbones/scattering.ts';
import { image, largestDifference, loadSession, randomReals, runSession, squeezenet, withOutputs } from './support.ts';

const random = randomReals(21);

function reals(count: number, scale = 1): number[] {
  return Array.from({ length: count }, () => scale * (2 * random() - 1));
}

function matrix(rows: number, columns: number, scale?: number): number[][] {
  return Array.from({ length: rows }, () => reals(columns, scale));
}

/** Scores, probabilities and label in double precision, from the features of one image. */
function headOf(
  features: readonly number[],
  preprocessing: Preprocessing,
  weights: readonly (readonly number[])[],
  temperature?: number,
): { scores: number[]; probabilities: number[]; label: number } {
  let x = features;
  if ('mean' in preprocessing) x = x.map((value, j) => value - preprocessing.mean[j]!);
  if (preprocessing.kind === 'standardize') x = x.map((value, j) => value * preprocessing.scale[j]!);
  if (preprocessing.kind === 'pca') {
    const centred = x;
    x = preprocessing.components.map((row) => row.reduce((sum, value, j) => sum + value * centred[j]!, 0));
  }
  // Tests of @blindfit/data hold these against arithmetic of their own.
  if (['chain', 'quantile', 'degree2', 'fourier'].includes(preprocessing.kind))
    x = [...applyPreprocessing(preprocessing, createDataset(Float64Array.from(x), x.length)).features];
  const scores = weights.map((row) => x.reduce((sum, value, j) => sum + value * row[j + 1]!, row[0]!));
  const parts = scores.map((z) => (temperature === undefined ? 1 / (1 + Math.exp(-z)) : Math.exp(z / temperature)));
  const total = parts.reduce((a, b) => a + b, 0);
  return { scores, probabilities: parts.map((part) => part / total), label: scores.indexOf(Math.max(...scores)) };
}

function preprocessings(d: number): Preprocessing[] {
  return [
    { kind: 'none' },
    { kind: 'center', mean: reals(d) },
    { kind: 'standardize', mean: reals(d), scale: reals(d).map((v, j) => (j === 3 ? 0 : Math.abs(v))) },
    { kind: 'pca', whiten: false, mean: reals(d), components: matrix(7, d, 0.1) },
    {
      kind: 'chain',
      steps: [
        {
          kind: 'quantile',
          curves: Array.from({ length: d }, (_, j) =>
            j % 5 === 0 ? { x: [0], y: [0] } : { x: [-1, 0.2, 1], y: [-2, 0.1, 2] },
          ),
        },
        { kind: 'pca', whiten: true, mean: reals(d), components: matrix(3, d, 0.1) },
        { kind: 'degree2', features: 3 },
        { kind: 'fourier', features: 9, k: 5, seed: 3, bandwidth: 0.7 },
        { kind: 'standardize', mean: reals(14), scale: reals(14).map(Math.abs) },
        { kind: 'pca', whiten: true, mean: reals(14), components: matrix(7, 14, 0.5) },
      ],
    },
  ];
}

async function check(
  t: TestContext,
  backbone: Uint8Array,
  input: string,
  pixels: Float32Array,
  dims: readonly number[],
  options: Omit<ExportOptions, 'featurePreprocessing' | 'weights' | 'classes'>,
  featuresOf: (data: number[]) => number[][],
): Promise<void> {
  const raw = await runSession(
    await loadSession(withOutputs(backbone, [options.featureOutput])),
    input,
    image(pixels, dims),
  );
  const features = featuresOf([...(raw[options.featureOutput]?.data ?? [])]);
  const d = features[0]!.length;
  for (const featurePreprocessing of preprocessings(d)) {
    const width = outputFeatures(featurePreprocessing) ?? d;
    const weights = matrix(10, width + 1, 0.2);
    const classes = Array.from({ length: 10 }, (_, k) => `класс ${k}`);
    const temperature = featurePreprocessing.kind === 'center' ? 0.5 : undefined;
    const bytes = exportModel(backbone, { ...options, featurePreprocessing, weights, classes, temperature });
    const outputs = await runSession(await loadSession(bytes), 'image', image(pixels, dims));
    const expected = features.map((row) => headOf(row, featurePreprocessing, weights, temperature));
    const { scores, probabilities, label_index } = outputs;
    assert.deepEqual(
      [scores?.dims, probabilities?.dims, label_index?.dims],
      [[features.length, 10], [features.length, 10], [features.length]],
    );
    const wanted = expected.flatMap((row) => row.scores);
    // Scores far above 1 carry their own rounding: 32-bit floats have 7 digits.
    const unit = Math.max(1, ...wanted.map(Math.abs));
    const difference = largestDifference(scores?.data ?? [], wanted);
    t.diagnostic(
      `${featurePreprocessing.kind}: scores up to ${unit.toFixed(1)}, difference ${difference.toExponential(1)}`,
    );
    assert.ok(difference < 1e-5 * unit, featurePreprocessing.kind);
    assert.ok(
      largestDifference(
        probabilities?.data ?? [],
        expected.flatMap((row) => row.probabilities),
      ) < 1e-5,
      featurePreprocessing.kind,
    );
    assert.deepEqual(
      [...(label_index?.data ?? [])],
      expected.map(({ label }) => label),
    );
    const { metadataProps: metadata } = parseModel(bytes);
    assert.deepEqual(JSON.parse(metadata.find(({ key }) => key === 'blindfit.classes')!.value), classes);
  }
}

function rows(d: number): (data: number[]) => number[][] {
  return (data) => Array.from({ length: data.length / d }, (_, i) => data.slice(i * d, (i + 1) * d));
}

await test('scattering and a trained layer in one graph: as computed here, for each preprocessing', async (t) => {
  const backbone = findBackbone('scattering');
  const pixels = Float32Array.from({ length: 4 * 784 }, () => random());
  await check(
    t,
    backbone.build(),
    'image',
    pixels,
    [4, 1, 28, 28],
    { image: backbone, featureOutput: 'features' },
    rows(400),
  );
});

await test('SqueezeNet and a trained layer in one graph', { skip: squeezenet.skip }, async (t) => {
  const pixels = Float32Array.from({ length: 2 * 3 * 64 * 64 }, () => random());
  await check(
    t,
    squeezenet.read(),
    'image',
    pixels,
    [2, 3, 64, 64],
    { image: { channels: 'rgb', mean: [0, 0, 0], std: [1, 1, 1] }, featureOutput: 'features' },
    rows(512),
  );
});

/** A backbone whose names are all ours, with a classifier we do not need: 1x1 convolution of 3 planes to 5, ReLU. */
function awkwardBackbone(): Uint8Array {
  const base = model({
    name: 'awkward',
    node: [
      node('Conv', ['scores', 'blindfit_weights'], 'probabilities'),
      node('Relu', ['probabilities'], 'image'),
      node('GlobalAveragePool', ['image'], 'blindfit_input'),
      node('Flatten', ['blindfit_input'], 'flat'),
      node('MatMul', ['flat', 'classifier'], 'label_index'),
    ],
    initializer: [
      floatTensor('blindfit_weights', [5, 3, 1, 1], reals(15)),
      floatTensor('classifier', [5, 2], reals(10)),
    ],
    input: [valueInfo('scores', ['batch', 3, 6, 6])],
    output: [valueInfo('label_index', ['batch', 2])],
  });
  const { graph } = base;
  return encodeModel({
    ...base,
    graph: {
      ...graph,
      valueInfo: [valueInfo('image', ['batch', 5, 6, 6])],
      input: [...graph.input, valueInfo('blindfit_weights', [5, 3, 1, 1])],
    },
  });
}

await test('a backbone with our names, a 4-D feature map, BGR, mean and deviation', async () => {
  const backbone = awkwardBackbone();
  const options = {
    image: { channels: 'bgr', mean: [0.4, 0.5, 0.6], std: [0.25, 0.5, 2] },
    featureOutput: 'image',
  } as const;
  const rgb = Float32Array.from({ length: 2 * 3 * 36 }, () => random());
  // What the backbone should see: planes in reverse, normalised by the mean and deviation of their new place.
  const seen = rgb.map((_, at) => {
    const [n, plane, pixel] = [Math.floor(at / 108), Math.floor(at / 36) % 3, at % 36];
    return (rgb[n * 108 + (2 - plane) * 36 + pixel]! - options.image.mean[plane]!) / options.image.std[plane]!;
  });
  const raw = await runSession(
    await loadSession(withOutputs(backbone, ['image'])),
    'scores',
    image(seen, [2, 3, 6, 6]),
  );
  const maps = [...(raw['image']?.data ?? [])];
  const features = Array.from({ length: 2 }, (_, n) =>
    Array.from(
      { length: 5 },
      (__, c) => maps.slice((5 * n + c) * 36, (5 * n + c + 1) * 36).reduce((a, b) => a + b, 0) / 36,
    ),
  );
  const weights = matrix(3, 6);
  const bytes = exportModel(backbone, {
    ...options,
    featurePreprocessing: { kind: 'none' },
    weights,
    classes: ['a', 'b', 'c'],
  });
  const outputs = await runSession(await loadSession(bytes), 'image', image(rgb, [2, 3, 6, 6]));
  assert.deepEqual(Object.keys(outputs).sort(), ['label_index', 'probabilities', 'scores']);
  const expected = features.map((row) => headOf(row, { kind: 'none' }, weights));
  assert.ok(
    largestDifference(
      outputs['scores']?.data ?? [],
      expected.flatMap(({ scores }) => scores),
    ) < 1e-5,
  );
  assert.deepEqual(
    [...(outputs['label_index']?.data ?? [])],
    expected.map(({ label }) => label),
  );

  const { graph } = parseModel(bytes);
  assert.deepEqual(
    graph.input.map(({ name }) => name),
    ['image'],
  );
  assert.ok(
    graph.node.every(({ output: names }) => !names.includes('flat')),
    'the classifier is left out',
  );
  assert.equal(graph.initializer.filter(({ dims }) => dims.join() === '5,2').length, 0, 'so are its weights');
  // Exporting what was exported finds free names again.
  const again = exportModel(bytes, {
    image: { channels: 'rgb', mean: [0, 0, 0], std: [1, 1, 1] },
    featureOutput: 'scores',
    featurePreprocessing: { kind: 'none' },
    weights: matrix(2, 4),
    classes: ['x', 'y'],
  });
  assert.equal(
    (await runSession(await loadSession(again), 'image', image(rgb, [2, 3, 6, 6])))['scores']?.dims.join(),
    '2,2',
  );
});

await test('probabilities stay finite where every sigmoid is 0 in 32 bits', async () => {
  const backbone = findBackbone('scattering');
  const weights = [-1000, -1001, -2000].map((bias) => [bias, ...Array.from({ length: 400 }, () => 0)]);
  const bytes = exportModel(backbone.build(), {
    image: backbone,
    featureOutput: 'features',
    featurePreprocessing: { kind: 'none' },
    weights,
    classes: ['a', 'b', 'c'],
  });
  const { probabilities, label_index } = await runSession(
    await loadSession(bytes),
    'image',
    image(new Float32Array(784), [1, 1, 28, 28]),
  );
  const e = Math.exp(-1);
  assert.ok(largestDifference(probabilities?.data ?? [], [1 / (1 + e), e / (1 + e), 0]) < 1e-6);
  assert.deepEqual([...(label_index?.data ?? [])], [0]);
});

await test('of equal scores the first class wins', async () => {
  const backbone = findBackbone('scattering');
  const row = (bias: number): number[] => [bias, ...Array.from({ length: 400 }, () => 0)];
  const bytes = exportModel(backbone.build(), {
    image: backbone,
    featureOutput: 'features',
    featurePreprocessing: { kind: 'none' },
    weights: [row(1), row(2), row(2)],
    classes: ['a', 'b', 'c'],
  });
  const { label_index } = await runSession(
    await loadSession(bytes),
    'image',
    image(new Float32Array(784), [1, 1, 28, 28]),
  );
  assert.deepEqual([...(label_index?.data ?? [])], [1]);
});

await test('what does not fit together is refused', async (t) => {
  const scattering = findBackbone('scattering');
  const good: ExportOptions = {
    image: scattering,
    featureOutput: 'features',
    featurePreprocessing: { kind: 'none' },
    weights: matrix(2, 401),
    classes: ['a', 'b'],
  };
  const bytes = buildScattering();
  const parsed = parseModel(bytes);
  const external = encodeModel({
    ...parsed,
    graph: {
      ...parsed.graph,
      initializer: parsed.graph.initializer.map((tensor) =>
        tensor.name === 'phi' ? { ...tensor, rawData: undefined, dataLocation: 1 } : tensor,
      ),
    },
  });
  const typeless = encodeModel({
    ...parsed,
    graph: { ...parsed.graph, output: [create(ValueInfoProtoSchema, { name: 'features' })] },
  });
  const twoInputs = encodeModel({
    ...parsed,
    graph: {
      ...parsed.graph,
      input: [...parsed.graph.input, valueInfo('phi', [1024, 16])],
      initializer: parsed.graph.initializer.filter(({ name }) => name !== 'phi'),
    },
  });
  const zeros = (count: number): number[] => Array.from({ length: count }, () => 0);
  const cases: readonly (readonly [string, Uint8Array, Partial<ExportOptions>, RegExp, FeatureErrorCode?])[] = [
    ['no such output', bytes, { featureOutput: 'pool' }, /computes no value "pool"; its outputs are features/],
    ['too few weights', bytes, { weights: matrix(2, 301) }, /gives 400 features and the model was trained on 300/],
    ['ragged weights', bytes, { weights: [zeros(401), zeros(400)] }, /same number of weights/],
    ['classes and rows differ', bytes, { classes: ['a'] }, /2 rows of weights for 1 classes/],
    [
      'preprocessing of another width',
      bytes,
      { featurePreprocessing: { kind: 'center', mean: zeros(399) } },
      /gives 399 features and the weights are for 400/,
    ],
    [
      'components of another width',
      bytes,
      {
        featurePreprocessing: { kind: 'pca', whiten: false, mean: zeros(400), components: [zeros(399)] },
        weights: matrix(2, 2),
      },
      /each component must have 400 numbers/,
    ],
    ['weights outside 32 bits', bytes, { weights: [zeros(401), [...zeros(400), 1e39]] }, /weights holds 1e\+39/],
    [
      'planes',
      bytes,
      { image: { channels: 'rgb', mean: [0, 0, 0], std: [1, 1, 1] } },
      /takes 1 planes and rgb images have 3/,
    ],
    [
      'mean of the wrong length',
      bytes,
      { image: { channels: 'grey', mean: [0, 0], std: [1] } },
      /grey images need 1 mean and std; there are 2 and 1/,
    ],
    ['a std of 0', bytes, { image: { channels: 'grey', mean: [0], std: [0] } }, /a std is 0/],
    ['unknown rank', typeless, {}, /give featureRank 2 or 4/],
    ['wrong rank', bytes, { featureRank: 4 }, /has 2 dimensions, not 4/],
    ['three dimensions', bytes, { featureOutput: 'averages' }, /does not say whether "averages"/],
    ['two inputs', twoInputs, {}, /depend on the inputs image, phi; a backbone must have one/, 'bad-model'],
    ['weights in another file', external, {}, /values of "phi" in another file/, 'bad-model'],
    [
      'an old opset',
      encodeModel({ ...parsed, opsetImport: [{ $typeName: 'onnx.OperatorSetIdProto', domain: '', version: 6n }] }),
      {},
      /opset 6; export it with opset 7 or later/,
      'bad-model',
    ],
    ['no ONNX', Uint8Array.of(1, 2, 3), {}, /ONNX/, 'bad-model'],
  ];
  for (const [name, backbone, changes, message, code = 'bad-argument'] of cases) {
    await t.test(name, () =>
      assert.throws(
        () => exportModel(backbone, { ...good, ...changes }),
        (error) => error instanceof FeatureError && error.code === code && message.test(error.message),
      ),
    );
  }
  await t.test('a rank that is given makes up for one that is not known', async () => {
    const session = await loadSession(exportModel(typeless, { ...good, featureRank: 2 }));
    assert.deepEqual(
      (await runSession(session, 'image', image(new Float32Array(784), [1, 1, 28, 28])))['scores']?.dims,
      [1, 2],
    );
  });
});
