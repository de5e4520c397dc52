import assert from 'node:assert/strict';
import test from 'node:test';
import { create, createRegistry, equals } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';
import { buildRegnet, encodeModel, FeatureError, parseModel, randomRegnetWeights } from '@blindfit/images';
import { float32, floatTensor, int64Tensor, model, node, valueInfo } from '../../src/backbones/onnx/build.ts';
import type { OnnxModel } from '../../src/backbones/onnx/model-file.ts';
import {
  GraphProtoSchema,
  ModelProtoSchema,
  ValueInfoProtoSchema,
  type GraphProto,
} from '../../src/backbones/onnx/onnx_pb.ts';
import { tensorType } from '../../src/backbones/onnx/tensor-type.ts';
import { buildScattering } from '../../src/backbones/scattering.ts';
import { image, loadSession, randomReals, runSession, squeezenet } from './support.ts';

/** Numbers of AttributeProto.AttributeType. */
const [STRING, TENSOR, GRAPH, FLOATS, INTS, STRINGS, GRAPHS] = [3, 4, 5, 6, 7, 8, 10];

/** A model with every kind of attribute, a graph inside a node, an omitted input and fields outside the schema. */
function fullModel(): OnnxModel {
  const branch = (name: string): GraphProto =>
    create(GraphProtoSchema, {
      name,
      node: [node('Mul', ['x', name], `${name}_out`)],
      initializer: [floatTensor(name, [], [2])],
      output: [valueInfo(`${name}_out`, [undefined, 3])],
    });
  const base = model({
    name: 'everything',
    node: [
      node('ReduceSum', ['x', 'axes'], 'sum', { keepdims: 0 }),
      node('Greater', ['sum', 'zero'], 'positive'),
      node('If', ['positive'], 'chosen', {
        then_branch: { type: GRAPH, g: branch('double') },
        else_branch: { type: GRAPH, g: branch('half') },
      }),
      node('Clip', ['chosen', '', 'most'], 'clipped'),
      node('LeakyRelu', ['clipped'], 'y', { alpha: float32(0.25) }),
      node('Made up', ['y'], 'z', {
        minus: -1,
        largest: { type: INTS, ints: [2n ** 63n - 1n, -(2n ** 63n), 0n] },
        none: [],
        text: { type: STRING, s: Buffer.from('größe') },
        floats: { type: FLOATS, floats: [0.5, -0, Infinity] },
        tensor: { type: TENSOR, t: int64Tensor('', [2], [-1, 2 ** 40]) },
        strings: { type: STRINGS, strings: [Uint8Array.of(255, 0), new Uint8Array(0)] },
        graphs: { type: GRAPHS, graphs: [branch('a'), branch('b')] },
      }),
    ],
    initializer: [int64Tensor('axes', [2], [0, 1]), floatTensor('zero', [], [0]), floatTensor('most', [], [10])],
    input: [valueInfo('x', ['N', 3])],
    output: [valueInfo('y', ['N', 3])],
  });
  // Field 25 (functions), and field 6 (doc_string).
  base.$unknown = [
    { no: 25, wireType: WireType.LengthDelimited, data: Uint8Array.of(0x03, 0x0a, 0x01, 0x66) },
    { no: 6, wireType: WireType.LengthDelimited, data: Uint8Array.of(0x02, 0x68, 0x69) },
  ];
  return {
    ...base,
    metadataProps: [
      { $typeName: 'onnx.StringStringEntryProto', key: 'a', value: '' },
      { $typeName: 'onnx.StringStringEntryProto', key: 'ключ', value: 'значение' },
    ],
  };
}

await test('a model is read as it was written, down to the last attribute and unknown field', () => {
  const bytes = encodeModel(fullModel());
  assert.ok(equals(ModelProtoSchema, parseModel(bytes), fullModel(), { registry: createRegistry(), unknown: true }));
  assert.deepEqual(encodeModel(parseModel(bytes)), bytes);
  assert.match(Buffer.from(bytes).toString('hex'), /ca01030a0166(?:32026869)$/);
});

await test('the bytes of a small model are those that protobuf prescribes', () => {
  const graph = {
    name: 'g',
    node: [node('Relu', ['x', ''], 'y', { k: 0 })],
    initializer: [int64Tensor('w', [1, 1], [5])],
  };
  const bytes = Buffer.from(encodeModel(model(graph))).toString('hex');
  const attribute = `2a080a016b1800a00102`;
  const nodeBytes = `0a0178` + `0a00` + `120179` + `1a0179` + `220452656c75` + attribute;
  const tensor = `08010801` + `1007` + `420177` + `4a080500000000000000`;
  const graphBytes = `0a1b${nodeBytes}` + `120167` + `2a13${tensor}`;
  assert.equal(
    bytes,
    `0808` + `1208626c696e64666974` + `3a${(graphBytes.length / 2).toString(16)}${graphBytes}` + `42021011`,
  );
});

await test('weights are views of the file', () => {
  const bytes = encodeModel(model({ initializer: [floatTensor('w', [1], [1])] }));
  const [weights] = parseModel(bytes).graph.initializer;
  assert.equal(weights?.rawData?.buffer, bytes.buffer);
});

await test('onnxruntime runs what was written: branches, left-out inputs, attributes', async () => {
  const full = fullModel();
  delete full.$unknown;
  full.graph.node.pop();
  const session = await loadSession(encodeModel(full));
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
  assert.deepEqual(parsed.graph.node[0]?.attribute[0]?.ints, [3n, -1n]);
  assert.deepEqual(parsed.graph.initializer[0]?.dims, [2n, 3n]);
  assert.equal(parsed.graph.initializer[0].name, 'w');
});

await test('types of values: sizes, names, unknown sizes, no shape', () => {
  const typed = (type: object): unknown => tensorType(create(ValueInfoProtoSchema, { name: 'x', type }));
  assert.deepEqual(tensorType(valueInfo('x', ['N', 3, undefined])), { dataType: 1, shape: ['N', 3, undefined] });
  assert.deepEqual(tensorType(valueInfo('x', [-1, 0, 1])), { dataType: 1, shape: [undefined, undefined, 1] });
  assert.deepEqual(tensorType(valueInfo('x', [])), { dataType: 1, shape: [] });
  assert.deepEqual(typed({ tensorType: { elemType: 7 } }), { dataType: 7, shape: undefined });
  assert.equal(typed({}), undefined);
  assert.equal(tensorType(undefined), undefined);
});

await test(
  'SqueezeNet survives reading and writing: same parts, same features',
  { skip: squeezenet.skip },
  async () => {
    const bytes = squeezenet.read();
    const parsed = parseModel(bytes);
    const written = encodeModel(parsed);
    assert.deepEqual(encodeModel(parseModel(written)), written);
    assert.ok(written.length > 2_500_000, `${written.length} bytes`);
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
    ['two graphs', [0x08, 0x08, 0x3a, 0x00, 0x3a, 0x00], /byte 4: it holds two values of graph/],
    ['a length past the end', [0x08, 0x08, 0x3a, 0x05, 0x0a], /byte 2: field 7 claims 5 bytes and 1 follow/],
    ['a length of 2^63', [0x3a, ...Array.from({ length: 9 }, () => 0x80), 0x01], /no IR version/],
    ['a length of 2^32 - 1', [0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f], /claims 4294967295 bytes and 0 follow/],
    ['an endless number', [0x08, ...zeros(11).fill(0x80), 0x01, ...zeros(9)], /illegal tag|varint/],
    ['a number cut off', [0x08, 0x80], /EOF/],
    ['a fixed field cut off', [0x0d, 0x00], /wire type 5 where 0 belongs/],
    ['an unknown fixed field cut off', [0xfd, 0x01, 0x00], /EOF/],
    [
      'a field that runs past its message',
      [0x08, 0x08, 0x3a, 0x02, 0xf8, 0x01, 0x01],
      /GraphProto, byte 4: field 31 runs past the end/,
    ],
    ['field 0', [0x00, 0x00], /field no 0/],
    ['a group', [0x0b], /wire type 3/],
    [
      'a graph that is a number',
      [0x08, 0x08, 0x38, 0x01],
      /ModelProto, byte 2: field 7 has the wire type 0 where 2 belongs/,
    ],
    ['text that is not UTF-8', [0x12, 0x01, 0xff], /utf-8/i],
    ['a negative IR version', [0x08, ...Array.from({ length: 9 }, () => 0xff), 0x01], /no graph/],
    [
      'packed floats cut off',
      [0x08, 0x08, ...message(7, message(1, message(5, message(7, [0, 0, 0]))))],
      /are cut off/,
    ],
    ['packed numbers cut off', [0x08, 0x08, ...message(7, message(5, message(1, [0x80])))], /are cut off/],
    // A tensor's field 1 (dims) is -1; it is an initializer (field 5 of the graph), and an attribute's (field 5).
    [
      'a negative dimension',
      [0x08, 0x08, ...message(7, message(5, [0x08, ...Array.from({ length: 9 }, () => 0xff), 0x01]))],
      /a tensor has a dimension of -1/,
    ],
    [
      'a dimension of 2^53, in an attribute of a node',
      [
        0x08,
        0x08,
        ...message(7, message(1, message(5, message(5, [0x08, ...Array.from({ length: 7 }, () => 0x80), 0x10])))),
      ],
      /a tensor has a dimension of 9007199254740992/,
    ],
    // Attribute "a" of type 4 (tensor) and of type 5 (graph), field 20.
    [
      'a tensor attribute without a tensor',
      [0x08, 0x08, ...message(7, message(1, message(5, [0x0a, 1, 0x61, 0xa0, 0x01, TENSOR])))],
      /the attribute "a" has type 4 and no value/,
    ],
    [
      'a graph attribute without a graph',
      [0x08, 0x08, ...message(7, message(1, message(5, [0x0a, 1, 0x61, 0xa0, 0x01, GRAPH])))],
      /the attribute "a" has type 5 and no value/,
    ],
    ['graphs nested 33 deep', [0x08, 0x08, ...message(7, nested(33))], /more than 32 deep/],
    ['graphs nested 100 deep', [0x08, 0x08, ...message(7, nested(100))], /more than 32 deep/],
  ];
  for (const [name, bytes, message_] of cases) {
    await t.test(name, () =>
      assert.throws(
        () => parseModel(Uint8Array.from(bytes)),
        (error) => error instanceof FeatureError && error.code === 'bad-model' && message_.test(error.message),
      ),
    );
  }
  await t.test('graphs nested 32 deep are read', () => {
    parseModel(Uint8Array.from([0x08, 0x08, ...message(7, nested(32))]));
  });
  await t.test('more empty nodes than are allowed', () => {
    const nodes = Array.from({ length: 2 * 98 }, (_, i) => (i % 2 === 0 ? 0x0a : 0));
    const bytes = Uint8Array.from([0x08, 0x08, ...message(7, nodes)]);
    assert.equal(parseModel(bytes, 100).graph.node.length, 98);
    assert.throws(() => parseModel(bytes, 99), /more than 99 fields/);
  });
  await t.test('more packed values than are allowed', () => {
    const floats = Uint8Array.from([0x08, 0x08, ...message(7, message(1, message(5, message(7, zeros(40)))))]);
    parseModel(floats, 15);
    assert.throws(() => parseModel(floats, 14), /more than 14 fields/);
    const dims = Uint8Array.from([0x08, 0x08, ...message(7, message(5, message(1, [0x80, 0x01, 2, 3])))]);
    parseModel(dims, 7);
    assert.throws(() => parseModel(dims, 6), /more than 6 fields/);
  });
});

await test('two thousand random mutations: a model or a FeatureError', () => {
  const good = encodeModel(fullModel());
  const random = randomReals(3);
  let refused = 0;
  for (let i = 0; i < 2000; i++) {
    const bytes = Uint8Array.from(good);
    for (let edits = 0; edits < 3; edits++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    try {
      encodeModel(parseModel(bytes));
    } catch (error) {
      assert.ok(error instanceof FeatureError, String(error));
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

function zeros(count: number): number[] {
  return Array.from({ length: count }, () => 0);
}
