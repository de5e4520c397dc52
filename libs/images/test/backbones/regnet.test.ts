import assert from 'node:assert/strict';
import test from 'node:test';
import { FeatureError, BACKBONES, buildRegnet, parseModel, randomRegnetWeights } from '@blindfit/images';
import { findBackbone } from '../../src/backbones/backbones.ts';
import { REGNET_PARAMETERS } from '../../src/backbones/regnet-layers.ts';
import type { StateDict } from '../../src/backbones/regnet-weights.ts';
import { safetensorsBytes } from './safetensors-bytes.ts';
import { image, largestDifference, loadSession, randomReals, runSession, withOutputs } from './support.ts';

const WEIGHTS = randomRegnetWeights(1);

interface Planes {
  readonly channels: number;
  readonly side: number;
  readonly data: Float64Array;
}

function weight(weights: StateDict, name: string): Float32Array {
  const tensor = weights.get(name);
  assert.ok(tensor, name);
  return tensor.floats();
}

/** torchvision's Conv2dNormActivation as it reads: convolution, batch normalisation in eval mode, ReLU or not. */
function convNorm(
  weights: StateDict,
  name: string,
  x: Planes,
  o: { outputs: number; kernel: number; stride: number; groups?: number; relu?: boolean },
): Planes {
  const { outputs, kernel, stride, groups = 1, relu = true } = o;
  const side = Math.ceil(x.side / stride);
  const k = weight(weights, `${name}.0.weight`);
  const [gamma, beta, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map((part) =>
    weight(weights, `${name}.1.${part}`),
  );
  const perGroup = x.channels / groups;
  const data = new Float64Array(outputs * side * side);
  for (let c = 0; c < outputs; c++) {
    const group = Math.floor(c / (outputs / groups));
    const plane = new Float64Array(side * side);
    for (let i = 0; i < perGroup; i++) {
      for (let dr = 0; dr < kernel; dr++) {
        for (let dc = 0; dc < kernel; dc++) {
          const w = k[((c * perGroup + i) * kernel + dr) * kernel + dc]!;
          for (let row = 0; row < side; row++) {
            const r = row * stride + dr - (kernel - 1) / 2;
            if (r < 0 || r >= x.side) continue;
            const line = ((group * perGroup + i) * x.side + r) * x.side;
            for (let column = 0; column < side; column++) {
              const s = column * stride + dc - (kernel - 1) / 2;
              if (s >= 0 && s < x.side)
                plane[row * side + column] = plane[row * side + column]! + w * x.data[line + s]!;
            }
          }
        }
      }
    }
    for (let at = 0; at < plane.length; at++) {
      const value = ((plane[at]! - mean![c]!) / Math.sqrt(variance![c]! + 1e-5)) * gamma![c]! + beta![c]!;
      data[c * side * side + at] = relu ? Math.max(0, value) : value;
    }
  }
  return { channels: outputs, side, data };
}

function residualBlock(weights: StateDict, name: string, x: Planes, outputs: number, stride: number): Planes {
  const a = convNorm(weights, `${name}.f.a`, x, { outputs, kernel: 1, stride: 1 });
  const b = convNorm(weights, `${name}.f.b`, a, { outputs, kernel: 3, stride, groups: outputs / 16 });
  const c = convNorm(weights, `${name}.f.c`, b, { outputs, kernel: 1, stride: 1, relu: false });
  const shortcut = weights.has(`${name}.proj.0.weight`)
    ? convNorm(weights, `${name}.proj`, x, { outputs, kernel: 1, stride, relu: false })
    : x;
  return { ...c, data: c.data.map((value, at) => Math.max(0, value + shortcut.data[at]!)) };
}

/** The whole network in double precision. */
function regnet(weights: StateDict, pixels: Float32Array): Record<'stem' | 'firstBlock' | 'features', Float64Array> {
  const stem = convNorm(
    weights,
    'stem',
    { channels: 3, side: 224, data: Float64Array.from(pixels) },
    { outputs: 32, kernel: 3, stride: 2 },
  );
  let x = stem;
  let firstBlock: Planes | undefined;
  for (const [stage, [width, depth]] of (
    [
      [32, 1],
      [64, 2],
      [160, 7],
      [400, 12],
    ] as const
  ).entries()) {
    for (let i = 0; i < depth; i++) {
      x = residualBlock(weights, `trunk_output.block${stage + 1}.block${stage + 1}-${i}`, x, width, i === 0 ? 2 : 1);
      firstBlock ??= x;
    }
  }
  const { side } = x;
  assert.equal(side, 7);
  const features = Float64Array.from(
    { length: x.channels },
    (_, c) => x.data.subarray(c * side * side, (c + 1) * side * side).reduce((a, b) => a + b, 0) / (side * side),
  );
  assert.ok(firstBlock);
  return { stem: stem.data, firstBlock: firstBlock.data, features };
}

function randomImages(count: number, seed: number): Float32Array {
  const random = randomReals(seed);
  return Float32Array.from({ length: count * 3 * 224 * 224 }, () => random());
}

/** Largest difference relative to the largest expected value. */
function relativeDifference(actual: ArrayLike<number>, expected: Float64Array): number {
  const largest = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  assert.ok(largest > 0.01, `nothing to compare: the largest value is ${largest}`);
  return largestDifference(actual, expected) / largest;
}

await test('regnet_x_400mf has 5,094,976 parameters, in its state dict and in its graph', () => {
  assert.equal(REGNET_PARAMETERS, 5_094_976);
  const trainable = [...WEIGHTS].filter(([name]) => !name.includes('running_'));
  assert.equal(
    trainable.reduce((sum, [, { shape }]) => sum + shape.reduce((a, b) => a * b, 1), 0),
    5_094_976,
  );
  const { graph } = parseModel(buildRegnet(WEIGHTS, { foldBatchNorm: false }));
  const inGraph = graph.initializer.filter(({ name }) => !name.includes('running_'));
  assert.equal(
    inGraph.reduce((sum, { dims }) => sum + dims.reduce((a, b) => a * Number(b), 1), 0),
    5_094_976,
  );
  // Stem, 22 blocks of 3 and a projection in the first block of each stage.
  assert.equal(graph.node.filter(({ opType }) => opType === 'Conv').length, 1 + 22 * 3 + 4);
  for (const name of [
    'stem.0.weight',
    'trunk_output.block1.block1-0.proj.0.weight',
    'trunk_output.block4.block4-11.f.c.1.running_var',
  ])
    assert.ok(WEIGHTS.has(name), name);
  assert.deepEqual(WEIGHTS.get('trunk_output.block4.block4-0.f.b.0.weight')?.shape, [400, 16, 3, 3]);
});

await test('regnet_x_400mf equals a naive network in double precision: stem, first block, features', async (t) => {
  const pixels = randomImages(1, 2);
  const expected = regnet(WEIGHTS, pixels);
  for (const foldBatchNorm of [true, false]) {
    const bytes = buildRegnet(WEIGHTS, { foldBatchNorm });
    const { features } = await runSession(await loadSession(bytes), 'image', image(pixels, [1, 3, 224, 224]));
    assert.deepEqual(features?.dims, [1, 400]);
    const difference = relativeDifference(features.data, expected.features);
    t.diagnostic(`features, batch norm ${foldBatchNorm ? 'folded' : 'kept'}: ${difference.toExponential(1)}`);
    assert.ok(difference < 1e-5, String(difference));

    const inner = await runSession(
      await loadSession(withOutputs(bytes, ['stem.2', 'trunk_output.block1.block1-0'])),
      'image',
      image(pixels, [1, 3, 224, 224]),
    );
    assert.ok(relativeDifference(inner['stem.2']?.data ?? [], expected.stem) < 1e-6);
    assert.ok(relativeDifference(inner['trunk_output.block1.block1-0']?.data ?? [], expected.firstBlock) < 1e-6);
  }
});

await test('regnet_x_400mf features are the same to 1e-4 in any batch, on any number of threads', async () => {
  const pixels = randomImages(3, 3);
  const bytes = buildRegnet(WEIGHTS);
  const { features: together } = await runSession(
    await loadSession(bytes, 2),
    'image',
    image(pixels, [3, 3, 224, 224]),
  );
  const session = await loadSession(bytes, 1);
  for (let i = 0; i < 3; i++) {
    const { features } = await runSession(
      session,
      'image',
      image(pixels.slice(150_528 * i, 150_528 * (i + 1)), [1, 3, 224, 224]),
    );
    assert.ok(largestDifference(features?.data ?? [], together?.data.slice(400 * i, 400 * (i + 1)) ?? []) < 1e-4);
  }
});

await test('the registry builds regnet_x_400mf from a safetensors file', () => {
  const backbone = findBackbone('regnet_x_400mf');
  const file = safetensorsBytes(
    [...WEIGHTS].map(([name, { shape, floats }]) => ({
      name,
      dtype: 'F32',
      shape,
      bytes: new Uint8Array(floats().buffer),
    })),
    { format: 'pt' },
  );
  assert.deepEqual(backbone.build(file), buildRegnet(WEIGHTS));
  const { graph } = parseModel(backbone.build(file));
  assert.deepEqual([graph.input[0]?.name, graph.output[0]?.name], [backbone.input, backbone.output]);
  assert.throws(
    () => backbone.build(),
    (error) =>
      error instanceof FeatureError &&
      /needs its weights: `weights` FILE\.safetensors/.test(error.message) &&
      error.message.includes('torchvision'),
  );
  assert.throws(() => backbone.build(file.subarray(0, file.length - 4)), /may be cut off/);
  for (const { channels, mean, std } of BACKBONES)
    assert.deepEqual([mean.length, std.length], channels === 'grey' ? [1, 1] : [3, 3]);
});

await test('weights that are not those of regnet_x_400mf are refused by name', async (t) => {
  const changed = (name: string, tensor?: { shape: readonly number[]; values: readonly number[] }): StateDict => {
    const copy = new Map(WEIGHTS);
    if (tensor === undefined) copy.delete(name);
    else copy.set(name, { shape: tensor.shape, floats: () => Float32Array.from(tensor.values) });
    return copy;
  };
  const stem = Array.from({ length: 32 }, (_, i) => i);
  const cases: readonly (readonly [string, StateDict, RegExp])[] = [
    [
      'missing',
      changed('trunk_output.block2.block2-1.f.b.1.bias'),
      /lack trunk_output\.block2\.block2-1\.f\.b\.1\.bias/,
    ],
    [
      'wrong shape',
      changed('stem.1.bias', { shape: [16, 2], values: stem }),
      /stem\.1\.bias has the shape \[16, 2\] and must have \[32\]/,
    ],
    [
      'NaN',
      changed('stem.1.bias', { shape: [32], values: [...stem.slice(0, 31), NaN] }),
      /stem\.1\.bias holds NaN at position 31/,
    ],
    [
      'negative variance',
      changed('stem.1.running_var', { shape: [32], values: stem.map((v) => 3 - v) }),
      /variance -1 in stem\.1\.running_var/,
    ],
    [
      'another network',
      changed('trunk_output.block1.block1-0.f.se.fc1.weight', { shape: [1], values: [0] }),
      /hold "trunk_output\.block1\.block1-0\.f\.se\.fc1\.weight", which regnet_x_400mf has not/,
    ],
  ];
  for (const [name, weights, message] of cases) {
    await t.test(name, () =>
      assert.throws(
        () => buildRegnet(weights),
        (error) => error instanceof FeatureError && message.test(error.message),
      ),
    );
  }
  await t.test('a classifier and batch counters are left aside', () => {
    const more = new Map(changed('fc.weight', { shape: [1], values: [0] })).set('stem.1.num_batches_tracked', {
      shape: [],
      floats: () => assert.fail('was read'),
    });
    assert.deepEqual(buildRegnet(more), buildRegnet(WEIGHTS));
  });
});
