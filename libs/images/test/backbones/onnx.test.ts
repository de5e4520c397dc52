import assert from 'node:assert/strict';
import test from 'node:test';
import {
  buildRegnet,
  buildScattering,
  encodeModel,
  OnnxFormatError,
  parseModel,
  randomRegnetWeights,
  tensorType,
  type OnnxGraph,
  type OnnxModel,
} from '@blindfit/images';
import { float32, floatTensor, int64Tensor, model, node, valueInfo } from '../../src/backbones/onnx/build.ts';
import { image, loadSession, randomReals, runSession, squeezenet } from './support.ts';

const NOTHING = new Uint8Array(0);

/** A model with every kind of attribute, a graph inside a node, a left-out input and fields this package does not know. */
function fullModel(): OnnxModel {
  const branch = (name: string): OnnxGraph => ({
    name, nodes: [node('Mul', ['x', name], `${name}_out`)], initializers: [floatTensor(name, [], [2])], inputs: [], outputs: [valueInfo(`${name}_out`, [undefined, 3])], valueInfos: [], unknown: NOTHING,
  }); // prettier-ignore
  const base = model({
    name: 'everything',
    nodes: [
      node('ReduceSum', ['x', 'axes'], 'sum', { keepdims: 0 }),
      node('Greater', ['sum', 'zero'], 'positive'),
      node('If', ['positive'], 'chosen', { then_branch: { type: 'graph', value: branch('double') }, else_branch: { type: 'graph', value: branch('half') } }),
      node('Clip', ['chosen', '', 'most'], 'clipped'),
      node('LeakyRelu', ['clipped'], 'y', { alpha: float32(0.25) }),
      node('Made up', ['y'], 'z', {
        minus: -1, largest: { type: 'ints', value: [2n ** 63n - 1n, -(2n ** 63n), 0n] }, none: [], text: 'größe',
        floats: { type: 'floats', value: [0.5, -0, Infinity] }, tensor: { type: 'tensor', value: int64Tensor('', [2], [-1, 2 ** 40]) },
        strings: { type: 'strings', value: [Uint8Array.of(255, 0), NOTHING] }, graphs: { type: 'graphs', value: [branch('a'), branch('b')] },
      }),
    ],
    initializers: [int64Tensor('axes', [2], [0, 1]), floatTensor('zero', [], [0]), floatTensor('most', [], [10])],
    inputs: [valueInfo('x', ['N', 3])],
    outputs: [valueInfo('y', ['N', 3])],
  }); // prettier-ignore
  // Field 25 (functions), length 3; ModelProto.doc_string.
  const unknown = Uint8Array.of(0xca, 0x01, 0x03, 0x0a, 0x01, 0x66, 0x32, 0x02, 0x68, 0x69);
  return {
    ...base,
    metadata: [
      { key: 'a', value: '' },
      { key: 'ключ', value: 'значение' },
    ],
    unknown,
  };
}

await test('a model is read as it was written, down to the last attribute', () => {
  const full = fullModel();
  assert.deepEqual(parseModel(encodeModel(full)), full);
  assert.deepEqual(encodeModel(parseModel(encodeModel(full))), encodeModel(full));
});

await test('onnxruntime runs what was written: branches, left-out inputs, attributes', async () => {
  const full = fullModel();
  const runnable = { ...full, unknown: NOTHING, graph: { ...full.graph, nodes: full.graph.nodes.slice(0, -1) } };
  const session = await loadSession(encodeModel(runnable));
  for (const [x, y] of [
    [
      [1, 2, 9],
      [2, 4, 10],
    ],
    [
      [-1, -2, 1],
      [-0.5, -1, 2],
    ],
  ] as const) {
    const outputs = await runSession(session, 'x', image(Float32Array.from(x), [1, 3]));
    assert.deepEqual([...(outputs['y']?.data ?? [])], y);
  }
});

await test('packed numbers and attributes without a type, as older exporters write them, are read', () => {
  // An attribute "a" with ints [3, -1] packed and no type; a tensor with packed dims.
  const attribute = [0x0a, 0x01, 0x61, 0x42, 0x0b, 0x03, ...Array.from({ length: 9 }, () => 0xff), 0x01];
  const nodeBytes = [0x12, 0x01, 0x79, 0x22, 0x01, 0x4f, 0x2a, attribute.length, ...attribute];
  const tensor = [0x0a, 0x02, 0x02, 0x03, 0x10, 0x01, 0x42, 0x01, 0x77];
  const graph = [0x0a, nodeBytes.length, ...nodeBytes, 0x2a, tensor.length, ...tensor];
  const parsed = parseModel(Uint8Array.from([0x08, 0x03, 0x3a, graph.length, ...graph]));
  assert.deepEqual(parsed.graph.nodes[0]?.attributes[0]?.value, { type: 'ints', value: [3n, -1n] });
  assert.deepEqual(parsed.graph.initializers[0]?.dims, [2, 3]);
  assert.equal(parsed.graph.initializers[0].name, 'w');
});

await test('types of values: sizes, names, unknown sizes, no shape', () => {
  assert.deepEqual(tensorType(valueInfo('x', ['N', 3, undefined])), { dataType: 1, shape: ['N', 3, undefined] });
  assert.deepEqual(tensorType(valueInfo('x', [])), { dataType: 1, shape: [] });
  assert.deepEqual(tensorType({ name: 'x', type: Uint8Array.of(0x0a, 0x02, 0x08, 0x01), unknown: NOTHING }), {
    dataType: 1,
    shape: undefined,
  });
  assert.equal(tensorType({ name: 'x', type: NOTHING, unknown: NOTHING }), undefined);
});

await test(
  'SqueezeNet survives reading and writing: same parts, same features',
  { skip: squeezenet.skip },
  async () => {
    const bytes = squeezenet.read();
    const parsed = parseModel(bytes);
    const written = encodeModel(parsed);
    assert.deepEqual(parseModel(written), parsed);
    const weights = parsed.graph.initializers.reduce(
      (sum, { rawData, unknown }) => sum + (rawData?.length ?? 0) + unknown.length,
      0,
    );
    assert.ok(weights > 2_500_000, `${weights} bytes of weights`);
    const random = randomReals(5);
    const pixels = image(
      Float32Array.from({ length: 3 * 224 * 224 }, () => random()),
      [1, 3, 224, 224],
    );
    const [before, after] = [
      await runSession(await loadSession(bytes), 'image', pixels),
      await runSession(await loadSession(written), 'image', pixels),
    ];
    assert.equal(before['features']?.data.length, 512);
    assert.deepEqual(after, before);
  },
);

await test('damaged and hostile bytes are refused', async (t) => {
  const nested = (depth: number): number[] => {
    // A graph with a node with an attribute with a graph with ...
    let graph: number[] = [];
    for (let i = 0; i < depth; i++) graph = message(1, message(5, message(6, graph)));
    return graph;
  };
  const cases: readonly (readonly [string, readonly number[], RegExp])[] = [
    ['nothing', [], /not an ONNX model: no graph in its 0 bytes/],
    ['a PNG', [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a], /not an ONNX model|damaged/],
    ['text', [...Buffer.from('<!DOCTYPE html><html>')], /not an ONNX model/],
    ['no IR version', [0x3a, 0x00], /no IR version/],
    ['two graphs', [0x08, 0x08, 0x3a, 0x00, 0x3a, 0x00], /two graphs/],
    ['a length past the end', [0x08, 0x08, 0x3a, 0x05, 0x0a], /byte 2: field 7 claims 5 bytes and 1 follow/],
    ['a length of 2^63', [0x3a, ...Array.from({ length: 9 }, () => 0x80), 0x01], /claims 9223372036854775808 bytes/],
    ['an endless number', [0x08, ...Array.from({ length: 11 }, () => 0x80)], /longer than 10 bytes/],
    ['a number cut off', [0x08, 0x80], /runs past the end/],
    ['a fixed field cut off', [0x0d, 0x00], /runs past the end/],
    ['field 0', [0x00, 0x00], /field number 0/],
    ['a group', [0x0b], /wire type 3/],
    ['a graph that is a number', [0x08, 0x08, 0x38, 0x01], /ModelProto, field 7: wire type 0 where 2 belongs/],
    ['text that is not UTF-8', [0x12, 0x01, 0xff], /not valid UTF-8/],
    ['a negative IR version', [0x08, ...Array.from({ length: 9 }, () => 0xff), 0x01], /-1 is not a count/],
    [
      'a negative dimension',
      [0x08, 0x08, ...message(7, message(5, [0x08, ...Array.from({ length: 9 }, () => 0xff), 0x01]))],
      /dimension of -1/,
    ],
    [
      'a tensor attribute without a tensor',
      [0x08, 0x08, ...message(7, message(1, message(5, [0xa0, 0x01, 0x04])))],
      /has type 4 and no value/,
    ],
    ['graphs nested 100 deep', [0x08, 0x08, ...message(7, nested(100))], /more than 32 deep/],
  ];
  for (const [name, bytes, message_] of cases) {
    await t.test(name, () =>
      assert.throws(
        () => parseModel(Uint8Array.from(bytes)),
        (error) => error instanceof OnnxFormatError && message_.test(error.message),
      ),
    );
  }
  await t.test('more empty nodes than are allowed', () => {
    const nodes = new Uint8Array(250_000);
    for (let at = 0; at < nodes.length; at += 2) nodes[at] = 0x0a;
    const head = Uint8Array.from([0x08, 0x08, 0x3a, ...varint(nodes.length)]);
    assert.throws(() => parseModel(Buffer.concat([head, nodes]), 100_000), /more than 100000 fields/);
  });
});

await test('two thousand random mutations: a model or an OnnxFormatError', () => {
  const good = encodeModel(fullModel());
  const random = randomReals(3);
  let refused = 0;
  for (let i = 0; i < 2000; i++) {
    const bytes = Uint8Array.from(good);
    for (let edits = 0; edits < 3; edits++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    try {
      encodeModel(parseModel(bytes));
    } catch (error) {
      assert.ok(error instanceof OnnxFormatError, String(error));
      refused++;
    }
  }
  assert.ok(refused > 200 && refused < 2000, `${refused} refused`);
});

await test('our own models survive reading and writing', () => {
  for (const bytes of [buildScattering(), buildRegnet(randomRegnetWeights(1))])
    assert.deepEqual(encodeModel(parseModel(bytes)), bytes);
});

function message(field: number, payload: readonly number[]): number[] {
  return [...varint(8 * field + 2), ...varint(payload.length), ...payload];
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}
