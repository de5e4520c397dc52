import assert from 'node:assert/strict';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { loadBackbone, openIdxSource, type FeatureModel } from '@blindfit/images';
import { temporaryDirectory } from '@blindfit/testkit';
import { ECHO, model, ramps } from './image-sets.ts';
import { echo, oneStep, onnx, type Shape } from './onnx.ts';
import { collect, idx, isError, put } from './support.ts';

suite('models', () => {
  test('refuses what is no backbone, and says why', async (t) => {
    const source = await ramps(await temporaryDirectory(t), 3);
    const image = (shape: Shape): Uint8Array => echo(shape);
    const two = onnx(
      [{ name: 'image', shape: ['N', 1, 2, 2] }],
      [
        { op: 'Flatten', inputs: ['image'], output: 'flat' },
        { op: 'Relu', inputs: ['image'], output: 'map' },
      ],
      [
        { name: 'flat', shape: ['N', 4] },
        { name: 'map', shape: ['N', 1, 2, 2] },
      ],
    );
    const cases: [string, FeatureModel, Parameters<typeof isError>[0], RegExp, string?][] = [
      [
        'no ONNX',
        model(Buffer.from('no model at all')),
        'bad-model',
        /onnxruntime cannot load test\.onnx: .*; it must be an ONNX file/,
      ],
      ['an empty file', model(new Uint8Array(0)), 'bad-model', /onnxruntime cannot load test\.onnx/],
      [
        'no input',
        model(
          onnx([], [{ op: 'RandomNormal', inputs: [], output: 'features' }], [{ name: 'features', shape: [1, 1] }]),
        ),
        'bad-model',
        /cannot load|has 0 inputs/,
      ],
      [
        'two inputs',
        model(
          onnx(
            [
              { name: 'a', shape: ['N', 1, 2, 2] },
              { name: 'b', shape: ['N', 1, 2, 2] },
            ],
            [{ op: 'Add', inputs: ['a', 'b'], output: 'c' }],
            [{ name: 'c', shape: ['N', 1, 2, 2] }],
          ),
        ),
        'bad-model',
        /has 2 inputs \("a" \(float32 N x 1 x 2 x 2\); "b" .*takes images and nothing else/,
      ],
      [
        'bytes',
        model(
          onnx(
            [{ name: 'image', shape: ['N', 1, 2, 2], type: 2 }],
            [{ op: 'Flatten', inputs: ['image'], output: 'features' }],
            [{ name: 'features', shape: ['N', 4], type: 2 }],
          ),
        ),
        'bad-model',
        /takes "image" \(uint8 N x 1 x 2 x 2\); a backbone takes 32-bit floats/,
      ],
      [
        'three dimensions',
        model(image(['N', 2, 2])),
        'bad-model',
        /takes "image" \(float32 N x 2 x 2\); a backbone takes images of shape N x channels x height x width/,
      ],
      [
        'no shape at all',
        model(
          onnx([{ name: 'image' }], [{ op: 'Flatten', inputs: ['image'], output: 'features' }], [{ name: 'features' }]),
        ),
        'bad-model',
        /"image" \(float32, shape unknown\)/,
      ],
      [
        'channels last',
        model(image(['N', 2, 2, 3])),
        'bad-model',
        /the channels seem to come last: export the model with channels first/,
      ],
      ['4 channels', model(image(['N', 4, 2, 2])), 'bad-model', /images have 1 channel \(grey\) or 3/],
      ['oblong images', model(image(['N', 1, 2, 4])), 'bad-model', /only square images/],
      [
        'open sides',
        model(image(['N', 1, 'H', 'W'])),
        'bad-argument',
        /N x 1 x H x W\), so height and width are open; say with `size`/,
      ],
      [
        'another size than the model’s',
        model(image(['N', 1, 2, 2]), { size: 4 }),
        'bad-argument',
        /so the size is 2 and cannot be 4; leave out `size`/,
      ],
      [
        'a silly size',
        model(image(['N', 1, 'H', 'W']), { size: 0 }),
        'bad-argument',
        /whole number from 1 to 4096 pixels; got 0/,
      ],
      ['open channels', model(image(['N', 'C', 2, 2])), 'bad-argument', /the channels are open; say with `channels`/],
      [
        'colours for a grey model',
        model(image(['N', 1, 2, 2]), { channels: 'rgb' }),
        'bad-argument',
        /takes grey images .* cannot be rgb/,
      ],
      [
        'two means for three channels',
        model(image(['N', 3, 2, 2]), { mean: [1, 2] }),
        'bad-argument',
        /2 values of mean and 3 channels/,
      ],
      [
        'a deviation of 0',
        model(image(['N', 3, 2, 2]), { std: [1, 0, 1] }),
        'bad-argument',
        /std cannot be 0; allowed are positive numbers/,
      ],
      [
        'several outputs',
        model(two),
        'unknown-output',
        /the outputs of test\.onnx are "flat" \(float32 N x 4\); "map" \(float32 N x 1 x 2 x 2\); choose .* `output`/,
      ],
      [
        'an output that is not there',
        model(two),
        'unknown-output',
        /there is no output "flap"; the outputs of test\.onnx are "flat"/,
        'flap',
      ],
      [
        'features of rank 3',
        model(oneStep(['N', 1, 2, 2], 'Squeeze', ['N', 2, 2])),
        'bad-model',
        /features are N x d, or N x d x height x width/,
      ],
      [
        'integers',
        model(
          onnx(
            [{ name: 'image', shape: ['N', 1, 2, 2] }],
            [{ op: 'Shape', inputs: ['image'], output: 'features' }],
            [{ name: 'features', shape: [4], type: 7 }],
          ),
        ),
        'bad-model',
        /does not hold 32-bit floats/,
      ],
      [
        'one row for all images',
        model(oneStep(['N', 1, 2, 2], 'Flatten', ['rows', 'd'], { axis: 0 })),
        'bad-model',
        /made 1 x 12 features of 3 images/,
      ],
    ];
    for (const [name, backbone, code, message, output] of cases) {
      await t.test(name, () => assert.rejects(collect({ source, backbone, batch: 3, output }), isError(code, message)));
    }
    const rows = await collect({ source, backbone: model(two), output: 'map' });
    assert.equal(rows[0]?.features.length, 1);
    await assert.rejects(collect({ source, backbone: ECHO, batch: 0 }), isError('bad-argument', /batch must be/));
    await assert.rejects(collect({ source, backbone: ECHO, threads: 1.5 }), isError('bad-argument', /threads must be/));
  });

  test('a model that fails on a batch says so', async (t) => {
    const source = await ramps(await temporaryDirectory(t), 3);
    // N x 1 x 2 x 2 and a batch that cannot be squeezed to rank 2: axis 0 must be 1.
    const bad = onnx(
      [{ name: 'image', shape: ['N', 1, 'H', 'W'] }],
      [{ op: 'DepthToSpace', inputs: ['image'], output: 'features', ints: { blocksize: 2 } }],
      [{ name: 'features' }],
    );
    await assert.rejects(
      collect({ source, backbone: model(bad, { size: 2 }), batch: 3 }),
      isError('model-failed', /onnxruntime failed to run test\.onnx on images of 3 x 1 x 2 x 2: /),
    );
  });

  test('features that are no numbers are an error naming the image, and are not kept', async (t) => {
    const folder = await temporaryDirectory(t);
    const images = join(folder, 'images.idx');
    await put(
      images,
      idx(
        [5, 2, 2],
        Uint8Array.from({ length: 20 }, (_, at) => (Math.floor(at / 4) === 3 ? 0 : 9)),
      ),
    );
    const source = await openIdxSource({ images });
    const log = model(oneStep(['N', 1, 2, 2], 'Log', ['N', 1, 2, 2]));
    for (const batch of [1, 2, 5]) {
      await assert.rejects(
        collect({ source, backbone: log, batch, cacheDirectory: join(folder, 'cache') }),
        isError('not-finite', /feature 0 of image 3 of .*images\.idx is -Infinity: test\.onnx cannot be used on it/),
      );
    }
    const nan = model(oneStep(['N', 1, 2, 2], 'Sqrt', ['N', 1, 2, 2]), { mean: [0.01] });
    await assert.rejects(collect({ source, backbone: nan }), isError('not-finite', /image 3 of .* is NaN/));
  });

  test('backbones are found by name or file', async (t) => {
    const folder = await temporaryDirectory(t);
    const path = await put(join(folder, 'Own.ONNX'), ECHO.bytes);
    assert.deepEqual(await loadBackbone({ backbone: path, size: 2 }), {
      name: 'Own.ONNX',
      bytes: Buffer.from(ECHO.bytes),
      size: 2,
    });
    const scattering = await loadBackbone({ backbone: 'scattering', mean: [0.5] });
    assert.deepEqual([scattering.size, scattering.channels, scattering.mean], [28, 'grey', [0.5]]);
    await assert.rejects(
      loadBackbone({ backbone: 'resnet1000' }),
      /there is no backbone "resnet1000"; use one of scattering,/,
    );
    await assert.rejects(
      loadBackbone({ backbone: join(folder, 'no.onnx') }),
      isError('bad-model', /ONNX file .*no\.onnx cannot be read: ENOENT/),
    );
    await assert.rejects(
      loadBackbone({ backbone: path, weights: path }),
      isError('bad-argument', /brings its own weights/),
    );
    await assert.rejects(
      loadBackbone({ backbone: 'regnet_x_400mf', weights: join(folder, 'no') }),
      isError('bad-model', /file of weights .* cannot be read/),
    );
    await assert.rejects(loadBackbone({ backbone: 'regnet_x_400mf' }), /`weights`/);
  });
});
