import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import {
  buildRegnet,
  randomRegnetWeights,
  extractDataset,
  extractFeatures,
  loadBackbone,
  openFolderSource,
  openIdxSource,
  type ExtractProgress,
  type FeatureModel,
  type ImageSource,
} from '@blindfit/images';
import { echo, oneStep, onnx, type Shape } from './onnx.ts';
import { collect, idx, isError, largestDifference, noise, put, temporaryDirectory } from './support.ts';

/** Images of 2 x 2 pixels in memory: the bytes of image i are 10 i, 10 i + 1, ... */
async function ramps(folder: string, count: number): Promise<ImageSource> {
  const pixels = Uint8Array.from({ length: 4 * count }, (_, at) => (10 * Math.floor(at / 4) + (at % 4)) % 256);
  const images = await put(join(folder, 'images.idx'), idx([count, 2, 2], pixels));
  const labels = await put(
    join(folder, 'labels.idx'),
    idx(
      [count],
      Uint8Array.from({ length: count }, (_, i) => i % 10),
    ),
  );
  return await openIdxSource({ images, labels });
}

async function noiseImages(folder: string, count: number, side = 28): Promise<ImageSource> {
  return await openIdxSource({
    images: await put(join(folder, `noise-${count}.idx`), idx([count, side, side], noise(count * side * side))),
  });
}

const model = (bytes: Uint8Array, rest: Omit<FeatureModel, 'name' | 'bytes'> = {}): FeatureModel => ({
  name: 'test.onnx',
  bytes,
  ...rest,
});
const ECHO = model(echo(['N', 1, 2, 2]));
const echoed = (i: number): number[] => [0, 1, 2, 3].map((k) => Math.fround(((10 * i + k) % 256) / 255));

suite('extraction', () => {
  test('gives every image its label and its features, in order, for any batch size', async (t) => {
    const source = await ramps(await temporaryDirectory(t), 23);
    for (const batch of [1, 4, 23, 100, undefined]) {
      const rows = await collect({ source, backbone: ECHO, batch });
      assert.deepEqual(
        rows.map(({ index, label, features }) => [index, label, ...features]),
        Array.from({ length: 23 }, (_, i) => [i, String(i % 10), ...echoed(i)]),
      );
    }
    const { data, indices } = await extractDataset({ source, backbone: ECHO, batch: 5 });
    assert.deepEqual(
      [data.n, data.d, data.labels?.[12], [...data.features.subarray(48, 52)], indices[22]],
      [23, 4, '2', echoed(12), 22],
    );
  });

  test('a fixed batch is kept to, the last one filled up', async (t) => {
    const source = await ramps(await temporaryDirectory(t), 7);
    for (const fixed of [1, 3]) {
      const rows = await collect({
        source,
        backbone: model(oneStep([fixed, 1, 2, 2], 'Flatten', [fixed, 4], { axis: 1 })),
        batch: 5,
      });
      assert.deepEqual(
        rows.map(({ features }) => [...features]),
        Array.from({ length: 7 }, (_, i) => echoed(i)),
      );
    }
  });

  test('an output with height and width is averaged over them', async (t) => {
    const source = await ramps(await temporaryDirectory(t), 5);
    const rows = await collect({ source, backbone: model(oneStep(['N', 3, 2, 2], 'Relu', ['N', 3, 2, 2])) });
    rows.forEach(({ features }, i) => {
      const mean = echoed(i).reduce((sum, value) => sum + value, 0) / 4;
      assert.equal(features.length, 3);
      for (const value of features) assert.ok(Math.abs(value - mean) < 1e-6);
    });
  });

  test('channels, mean, standard deviation and size reach the model', async (t) => {
    const source = await ramps(await temporaryDirectory(t), 2);
    const [, row] = await collect({
      source,
      backbone: model(echo(['N', 3, 'H', 'W']), { size: 1, mean: [0, 0.5, 1], std: [1, 2, 0.5], channels: 'bgr' }),
    });
    // 10, 11, 12, 13 shrink to their mean, rounded in two steps.
    const value = 12 / 255;
    assert.deepEqual([...(row?.features ?? [])], [value, (value - 0.5) / 2, (value - 1) / 0.5].map(Math.fround));
  });

  test('memory is that of a few batches', async (t) => {
    const folder = await temporaryDirectory(t);
    const source = await noiseImages(folder, 3000);
    const child = spawn(
      process.execPath,
      [
        '--expose-gc',
        '--max-old-space-size=200',
        fileURLToPath(new URL('./memory-run.ts', import.meta.url)),
        join(folder, 'noise-3000.idx'),
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const [text, status] = await Promise.all([
      child.stdout.toArray().then((parts) => Buffer.concat(parts as Buffer[]).toString()),
      new Promise((resolve) => child.once('close', resolve)),
    ]);
    assert.equal(status, 0);
    const { rows, early, late } = JSON.parse(text) as { rows: number; early: number; late: number };
    assert.equal(rows, source.count);
    // As floats of 224 x 224 x 3 the images would take 1.8 GB.
    assert.ok(late - early < 100 * 2 ** 20, `${early} bytes after 500 images, ${late} after ${rows}`);
  });
});

suite('the same features whatever the batch size and the number of threads', () => {
  const sets: [string, () => Promise<FeatureModel>, number][] = [
    ['scattering', () => loadBackbone({ backbone: 'scattering' }), 40],
    [
      'regnet_x_400mf with random weights',
      () => Promise.resolve({ name: 'regnet', bytes: buildRegnet(randomRegnetWeights(1)), size: 224 }),
      6,
    ],
  ];
  for (const [name, load, count] of sets) {
    test(name, async (t) => {
      const source = await noiseImages(await temporaryDirectory(t), count);
      const backbone = await load();
      const reference = await collect({ source, backbone, batch: count, threads: 1 });
      assert.equal(reference[0]?.features.length, 400);
      assert.ok(
        reference[0].features.some((value) => value > 1e-3),
        'there are features',
      );
      for (const [batch, threads] of [
        [1, 2],
        [3, 1],
        [4, 3],
      ] as const) {
        const difference = largestDifference(reference, await collect({ source, backbone, batch, threads }));
        t.diagnostic(`batch ${batch}, ${threads} threads: largest difference ${difference.toExponential(1)}`);
        assert.ok(difference < 1e-4);
      }
    });
  }
});

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
        /N x 1 x H x W\), so height and width are open; say with --size/,
      ],
      [
        'another size than the model’s',
        model(image(['N', 1, 2, 2]), { size: 4 }),
        'bad-argument',
        /so the size is 2 and cannot be 4; leave out --size/,
      ],
      [
        'a silly size',
        model(image(['N', 1, 'H', 'W']), { size: 0 }),
        'bad-argument',
        /whole number from 1 to 4096 pixels; got 0/,
      ],
      ['open channels', model(image(['N', 'C', 2, 2])), 'bad-argument', /the channels are open; say with --channels/],
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
        /the outputs of test\.onnx are "flat" \(float32 N x 4\); "map" \(float32 N x 1 x 2 x 2\); choose .* --output/,
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
    await assert.rejects(loadBackbone({ backbone: 'regnet_x_400mf' }), /--weights/);
  });
});

suite('bad images', () => {
  test('are an error, or are passed over by name', async (t) => {
    const folder = join(await temporaryDirectory(t), 'set');
    for (const i of [0, 1, 2, 3, 4]) {
      await put(
        join(folder, i % 2 === 0 ? 'even' : 'odd', `${i}.png`),
        await sharp(new Uint8Array(12).fill(50 * i), { raw: { width: 2, height: 2, channels: 3 } })
          .png()
          .toBuffer(),
      );
    }
    await put(join(folder, 'even', '1-notes.txt'), 'not a picture');
    await put(join(folder, 'odd', '9.png'), '');
    const source = await openFolderSource({ folder });
    const cacheDirectory = join(folder, '..', 'cache');
    for (const batch of [1, 3, 50])
      await assert.rejects(
        collect({ source, backbone: ECHO, batch }),
        isError('bad-image', /even\/1-notes\.txt is no image/),
      );
    // The second time most of it comes from the cache.
    for (const from of ['computed', 'cached'] as const) {
      const skipped: string[] = [];
      let last: ExtractProgress | undefined;
      const rows = await collect({
        source,
        backbone: ECHO,
        batch: 3,
        skipBad: true,
        cacheDirectory,
        onSkip: (error) => skipped.push(error.message.replace(/^.*set\/(\S+) .*$/, '$1')),
        onProgress: (progress) => (last = progress),
      });
      assert.deepEqual(
        rows.map(({ index, label, features }) => [index, label, features[0]]),
        [
          [0, 'even', 0],
          [2, 'even', Math.fround(100 / 255)],
          [3, 'even', Math.fround(200 / 255)],
          [4, 'odd', Math.fround(50 / 255)],
          [5, 'odd', Math.fround(150 / 255)],
        ],
      );
      assert.deepEqual(skipped, ['even/1-notes.txt', 'odd/9.png']);
      assert.deepEqual(last, { total: 7, done: 7, computed: 0, cached: 0, skipped: 2, [from]: 5 });
    }
    const { data, indices } = await extractDataset({ source, backbone: ECHO, skipBad: true });
    assert.deepEqual([data.n, data.labels, [...indices]], [5, ['even', 'even', 'even', 'odd', 'odd'], [0, 2, 3, 4, 5]]);
  });

  test('nothing but bad images is an error', async (t) => {
    const folder = await temporaryDirectory(t);
    await put(join(folder, 'a', 'x.png'), 'x');
    await assert.rejects(
      extractDataset({ source: await openFolderSource({ folder }), backbone: ECHO, skipBad: true }),
      isError('bad-image', /none of the images of .* can be read/),
    );
  });
});

suite('cache', () => {
  const files = async (directory: string): Promise<string[]> =>
    (await readdir(directory, { recursive: true }))
      .filter((name) => name.endsWith('.features'))
      .map((name) => join(directory, name));

  test('nothing is computed twice, except for another model, output or preprocessing', async (t) => {
    const folder = await temporaryDirectory(t);
    const source = await ramps(folder, 20);
    const cacheDirectory = join(folder, 'cache');
    const run = async (backbone: FeatureModel, more: { batch?: number } = {}): Promise<[number, number]> => {
      let last: ExtractProgress | undefined;
      await collect({ source, backbone, cacheDirectory, ...more, onProgress: (progress) => (last = progress) });
      return [last?.computed ?? -1, last?.cached ?? -1];
    };
    const reference = await collect({ source, backbone: ECHO });
    assert.deepEqual(await run(ECHO), [20, 0]);
    assert.deepEqual(await run(ECHO, { batch: 3 }), [0, 20]);
    assert.equal(largestDifference(reference, await collect({ source, backbone: ECHO, cacheDirectory })), 0);
    assert.deepEqual(await run({ ...ECHO, mean: [0.5] }), [20, 0]);
    assert.deepEqual(await run({ ...ECHO, std: [0.5] }), [20, 0]);
    assert.deepEqual(await run({ ...ECHO, name: 'the same under another name' }), [0, 20]);
    const other = model(oneStep(['N', 1, 2, 2], 'Relu', ['N', 1, 2, 2]));
    assert.deepEqual(await run(other), [20, 0]);
    assert.equal((await files(cacheDirectory)).length, 4);
    assert.equal((await stat(cacheDirectory)).mode & 0o077, 0, 'only the owner may look');
  });

  test('half a record, damage, foreign files and an empty file cost no more than what they held', async (t) => {
    const folder = await temporaryDirectory(t);
    const source = await ramps(folder, 20);
    const cacheDirectory = join(folder, 'cache');
    const reference = await collect({ source, backbone: ECHO, cacheDirectory });
    const [path = ''] = await files(cacheDirectory);
    const record = 32 + 16 + 4;
    const whole = await readFile(path);
    assert.equal(whole.length, 16 + 20 * record);
    const computed = async (): Promise<number> => {
      let last: ExtractProgress | undefined;
      assert.equal(
        largestDifference(
          reference,
          await collect({ source, backbone: ECHO, cacheDirectory, onProgress: (progress) => (last = progress) }),
        ),
        0,
      );
      return last?.computed ?? -1;
    };
    await truncate(path, whole.length - 1);
    assert.equal(await computed(), 1);
    assert.equal(await computed(), 0);
    const flipped = Buffer.from(whole);
    // In a key, in a feature, in a checksum, of three records.
    for (const at of [2 * record, 5 * record + 40, 9 * record + 50]) flipped[16 + at] = (flipped[16 + at] ?? 0) ^ 4;
    await writeFile(path, flipped);
    assert.equal(await computed(), 3);
    assert.equal(await computed(), 0);
    const directory = join(path, '..');
    await writeFile(join(directory, 'empty.features'), '');
    await writeFile(join(directory, 'foreign.features'), noise(5000));
    await writeFile(join(directory, 'notes.txt'), 'x');
    assert.equal(await computed(), 0);
    await writeFile(path, Buffer.concat([noise(16), whole.subarray(16)]));
    assert.equal(await computed(), 16);
  });

  test('two runs at a time do not harm each other', async (t) => {
    const folder = await temporaryDirectory(t);
    const source = await ramps(folder, 25);
    const cacheDirectory = join(folder, 'cache');
    const reference = await collect({ source, backbone: ECHO });
    const both = await Promise.all([1, 2].map((batch) => collect({ source, backbone: ECHO, batch, cacheDirectory })));
    for (const rows of [...both, await collect({ source, backbone: ECHO, cacheDirectory })])
      assert.equal(largestDifference(reference, rows), 0);
  });

  test('a directory that cannot be written to is an error that says what to do', async (t) => {
    const folder = await temporaryDirectory(t);
    const source = await ramps(folder, 2);
    await assert.rejects(
      collect({ source, backbone: ECHO, cacheDirectory: join(folder, 'images.idx') }),
      isError('bad-cache', /cannot be used: .*; free space or permissions there, or use --no-cache/),
    );
  });

  test('a run that was killed goes on where it was', async (t) => {
    const folder = await temporaryDirectory(t);
    const source = await noiseImages(folder, 400);
    const cacheDirectory = join(folder, 'cache');
    const child = spawn(
      process.execPath,
      [fileURLToPath(new URL('./killed-run.ts', import.meta.url)), join(folder, 'noise-400.idx'), cacheDirectory],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    t.after(() => child.kill('SIGKILL'));
    const ended = new Promise<NodeJS.Signals | null>((resolve) =>
      child.once('close', (_status, signal) => resolve(signal)),
    );
    // It writes a line per batch, and slowly enough to be hit in the middle.
    let lines = 0;
    for await (const chunk of child.stdout) {
      lines += String(chunk).split('\n').length - 1;
      if (lines >= 4) child.kill('SIGKILL');
    }
    assert.equal(await ended, 'SIGKILL');
    const backbone = await loadBackbone({ backbone: 'scattering' });
    let last: ExtractProgress | undefined;
    const rows = await collect({
      source,
      backbone,
      cacheDirectory,
      batch: 10,
      onProgress: (progress) => (last = progress),
    });
    t.diagnostic(`${last?.cached ?? 0} of 400 images were there`);
    assert.ok(last !== undefined && last.cached >= 40 && last.cached < 400, `${last?.cached ?? -1} from the cache`);
    assert.equal(last.cached + last.computed, 400);
    assert.ok(largestDifference(rows, await collect({ source, backbone })) < 1e-4);
  });
});

suite('interruption', () => {
  test('a signal ends the extraction after the batch under way, and what was computed is kept', async (t) => {
    const folder = await temporaryDirectory(t);
    const source = await noiseImages(folder, 400);
    const backbone = await loadBackbone({ backbone: 'scattering' });
    const aborter = new AbortController();
    const reason = new Error('enough');
    const cacheDirectory = join(folder, 'cache');
    await assert.rejects(
      collect({
        source,
        backbone,
        batch: 20,
        cacheDirectory,
        signal: aborter.signal,
        onProgress: ({ done }) => done >= 60 && aborter.abort(reason),
      }),
      (error) => error === reason,
    );
    let last: ExtractProgress | undefined;
    await collect({ source, backbone, batch: 20, cacheDirectory, onProgress: (progress) => (last = progress) });
    assert.ok(last !== undefined && last.cached >= 60 && last.cached <= 120, `${last?.cached ?? -1} were kept`);
    await assert.rejects(collect({ source, backbone, signal: AbortSignal.abort(reason) }), (error) => error === reason);
  });

  test('a consumer that stops early leaves no thread behind', async (t) => {
    const source = await noiseImages(await temporaryDirectory(t), 200);
    const before = process.listenerCount('exit');
    for await (const row of extractFeatures({
      source,
      backbone: await loadBackbone({ backbone: 'scattering' }),
      batch: 10,
    }))
      if (row.index === 15) break;
    assert.equal(process.listenerCount('exit'), before);
    await sleep(50);
    assert.ok(!process.getActiveResourcesInfo().includes('MessagePort'), process.getActiveResourcesInfo().join(', '));
  });

  test('a process that exits in the middle of a batch exits with its own status', async (t) => {
    const folder = await temporaryDirectory(t);
    await noiseImages(folder, 400);
    for (let i = 0; i < 3; i++) {
      const child = spawn(
        process.execPath,
        [
          fileURLToPath(new URL('./killed-run.ts', import.meta.url)),
          join(folder, 'noise-400.idx'),
          join(folder, `cache-${i}`),
          'exit',
        ],
        { stdio: ['ignore', 'ignore', 'pipe'] },
      );
      const errors = child.stderr.toArray();
      const [status] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
        child.once('close', (code, signal) => resolve([code, signal])),
      );
      assert.equal(Buffer.concat((await errors) as Buffer[]).toString(), '');
      assert.equal(status, 7);
    }
  });
});
