import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import {
  buildRegnet,
  randomRegnetWeights,
  extractDataset,
  loadBackbone,
  openFolderSource,
  type ExtractProgress,
  type FeatureModel,
} from '@blindfit/images';
import { temporaryDirectory } from '@blindfit/testkit';
import { ECHO, echoed, model, noiseImages, ramps } from './image-sets.ts';
import { echo, oneStep } from './onnx.ts';
import { collect, isError, largestDifference, put } from './support.ts';

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
    const source = await noiseImages(folder, 1200);
    const child = spawn(
      process.execPath,
      [
        '--expose-gc',
        '--max-old-space-size=200',
        fileURLToPath(new URL('./memory-run.ts', import.meta.url)),
        join(folder, 'noise-1200.idx'),
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
    // As floats of 224 x 224 x 3 the images would take 0.7 GB.
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
