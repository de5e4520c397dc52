import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { suite, test } from 'node:test';
import { Resizer } from '../../src/features/resize.ts';
import { TensorWriter, type ImagePreprocessing } from '../../src/features/tensor.ts';
import type { Pixels } from '../../src/index.ts';
import { noise } from './support.ts';

const grey = (width: number, height: number, data: readonly number[]): Pixels => ({
  width,
  height,
  channels: 1,
  data: Uint8Array.from(data),
});
const rgb = (width: number, height: number, data: readonly number[]): Pixels => ({
  width,
  height,
  channels: 3,
  data: Uint8Array.from(data),
});

suite('resizing', () => {
  test('enlarging interpolates between pixel centres', () => {
    // Output centres lie at 0.25, 0.75, 1.25, 1.75 of two pixels with centres at 0.5 and 1.5.
    assert.deepEqual([...new Resizer().resize(grey(2, 1, [0, 100]), 4, 1).data], [0, 25, 75, 100]);
    assert.deepEqual([...new Resizer().resize(grey(1, 2, [0, 100]), 1, 4).data], [0, 25, 75, 100]);
    assert.deepEqual(
      [...new Resizer().resize(grey(2, 2, [0, 100, 200, 100]), 4, 4).data],
      [0, 25, 75, 100, 50, 63, 88, 100, 150, 138, 113, 100, 200, 175, 125, 100],
    );
  });

  test('shrinking averages with a triangle as wide as two output pixels', () => {
    // 4 -> 2: centre 1, reach 2, weights (3, 3, 1)/7 of pixels 0, 1, 2 at distances 0.5, 0.5, 1.5, and likewise from
    // the right.
    assert.deepEqual(
      [...new Resizer().resize(grey(4, 1, [0, 100, 200, 50]), 2, 1).data],
      [Math.round((3 * 0 + 3 * 100 + 200) / 7), Math.round((100 + 3 * 200 + 3 * 50) / 7)],
    );
    // A single bright pixel must not vanish, as it does without antialiasing.
    assert.ok(new Resizer().resize(grey(8, 1, [0, 0, 0, 0, 0, 0, 255, 0]), 2, 1).data[1]);
  });

  test('the same size changes nothing, one pixel fills everything, channels stay apart', () => {
    const image = rgb(2, 2, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    assert.deepEqual([...new Resizer().resize(image, 2, 2).data], [...image.data]);
    assert.deepEqual([...new Resizer().resize(rgb(1, 1, [7, 8, 9]), 2, 2).data], [7, 8, 9, 7, 8, 9, 7, 8, 9, 7, 8, 9]);
    assert.deepEqual(
      [...new Resizer().resize(rgb(2, 1, [0, 50, 255, 100, 50, 255]), 4, 1).data],
      [0, 50, 255, 25, 50, 255, 75, 50, 255, 100, 50, 255],
    );
  });

  // Made with Pillow 12.3.0: Image.frombytes(...).resize((W, H), Image.BILINEAR).tobytes(), SHA-256.
  for (const [width, height, channels, toWidth, toHeight, digest] of [
    [28, 28, 1, 224, 224, '06c0abaace8f63d9'],
    [28, 28, 1, 32, 32, 'e947d956338822ec'],
    [28, 28, 1, 7, 9, '6b164ec6958ae35e'],
    [5, 7, 3, 3, 2, 'e66305e8c2e1dd40'],
    [5, 7, 3, 11, 13, '8dc30e4c2791fdc1'],
    [97, 61, 3, 35, 22, '3f4ce4da8116cb70'],
    [640, 480, 1, 299, 224, '0fa8a84436fd4c1e'],
    [3, 2, 1, 3, 5, '6ed1bcb6151728de'],
    [300, 2, 1, 33600, 224, '11c5b8b7947868bc'],
  ] as const) {
    test(`${width} x ${height} x ${channels} to ${toWidth} x ${toHeight} is Pillow's, bit for bit`, () => {
      const image: Pixels = { width, height, channels, data: noise(width * height * channels) };
      const whole = new Resizer().resize(image, toWidth, toHeight);
      assert.deepEqual(
        [whole.width, whole.height, whole.data.length],
        [toWidth, toHeight, toWidth * toHeight * channels],
      );
      assert.equal(createHash('sha256').update(whole.data).digest('hex').slice(0, 16), digest);
      // A window is the same part of it.
      const window = {
        left: Math.floor(toWidth / 3),
        top: Math.floor(toHeight / 4),
        width: Math.ceil(toWidth / 2),
        height: Math.ceil(toHeight / 2),
      };
      const resizer = new Resizer();
      resizer.resize(rgb(9, 9, [...noise(9 * 9 * 3)]), 300, 300); // what came before must not show
      const part = resizer.resize(image, toWidth, toHeight, window).data;
      for (let y = 0; y < window.height; y++) {
        const from = ((window.top + y) * toWidth + window.left) * channels;
        const row = window.width * channels;
        assert.deepEqual(part.subarray(y * row, (y + 1) * row), whole.data.subarray(from, from + row), `row ${y}`);
      }
    });
  }
});

suite('tensors', () => {
  const tensor = (image: Pixels, preprocessing: Partial<ImagePreprocessing>): number[] => {
    const planes = preprocessing.planes ?? 3;
    const writer = new TensorWriter({
      size: 1,
      planes,
      order: 'rgb',
      mean: Array.from({ length: planes }, () => 0),
      std: Array.from({ length: planes }, () => 1),
      ...preprocessing,
    });
    const batch = new Float32Array(2 * writer.imageLength).fill(-1);
    writer.write(image, batch, 1);
    assert.ok(
      batch.subarray(0, writer.imageLength).every((value) => value === -1),
      'the neighbour is left alone',
    );
    return [...batch.subarray(writer.imageLength)];
  };
  const f32 = (...values: readonly number[]): number[] => values.map(Math.fround);

  test('channels come first, in the order of the model', () => {
    const image = rgb(2, 2, [0, 51, 255, 1, 52, 254, 2, 53, 253, 3, 54, 252]);
    const [r, g, b] = [
      f32(0, 1 / 255, 2 / 255, 3 / 255),
      f32(51 / 255, 52 / 255, 53 / 255, 54 / 255),
      f32(1, 254 / 255, 253 / 255, 252 / 255),
    ];
    assert.deepEqual(tensor(image, { size: 2 }), [...r, ...g, ...b]);
    assert.deepEqual(tensor(image, { size: 2, order: 'bgr' }), [...b, ...g, ...r]);
  });

  test('grey is repeated for a model of three channels, and made of colours for a model of one', () => {
    const image = grey(2, 2, [0, 255, 51, 102]);
    assert.deepEqual(tensor(image, { size: 2 }), [
      ...f32(0, 1, 0.2, 0.4),
      ...f32(0, 1, 0.2, 0.4),
      ...f32(0, 1, 0.2, 0.4),
    ]);
    assert.deepEqual(tensor(image, { size: 2, planes: 1, order: 'grey' }), f32(0, 1, 0.2, 0.4));
    // 0.299 R + 0.587 G + 0.114 B
    const colours = rgb(2, 2, [255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9]);
    const luma = f32(76 / 255, 150 / 255, 29 / 255, 9 / 255);
    assert.deepEqual(tensor(colours, { size: 2, planes: 1, order: 'grey' }), luma);
    assert.deepEqual(tensor(colours, { size: 2, order: 'grey' }), [...luma, ...luma, ...luma]);
  });

  test('mean and standard deviation are by channel, also where grey is repeated', () => {
    const options = { mean: [0.5, 0.25, 0.25], std: [0.5, 2, 2] };
    assert.deepEqual(tensor(rgb(1, 1, [255, 255, 0]), options), f32(1, 0.375, -0.125));
    assert.deepEqual(tensor(grey(1, 1, [255]), options), f32(1, 0.375, 0.375));
    assert.deepEqual(tensor(grey(1, 1, [0]), { ...options, order: 'bgr' }), f32(-1, -0.125, -0.125));
  });

  test('the shorter side is resized and the middle of the longer kept, as torchvision does', () => {
    assert.deepEqual(
      tensor(grey(4, 2, [0, 51, 102, 255, 0, 51, 102, 255]), { size: 2, planes: 1, order: 'grey' }),
      f32(0.2, 0.4, 0.2, 0.4),
    );
    assert.deepEqual(
      tensor(grey(2, 4, [0, 0, 51, 51, 102, 102, 255, 255]), { size: 2, planes: 1, order: 'grey' }),
      f32(0.2, 0.2, 0.4, 0.4),
    );
    // 3 left over: round(1.5) is 2 in Python. 5 left over: round(2.5) is 2.
    assert.deepEqual(
      tensor(grey(5, 2, [0, 51, 102, 153, 204, 0, 51, 102, 153, 204]), { size: 2, planes: 1, order: 'grey' }),
      f32(0.4, 0.6, 0.4, 0.6),
    );
    assert.deepEqual(tensor(grey(6, 1, [0, 51, 102, 153, 204, 255]), { planes: 1, order: 'grey' }), f32(0.4));
  });

  test('all pixels of a 224 x 224 tensor of a digit lie within [0, 1] and keep the mean', () => {
    const image: Pixels = { width: 28, height: 28, channels: 1, data: noise(784) };
    const values = tensor(image, { size: 224 });
    assert.equal(values.length, 3 * 224 * 224);
    assert.ok(values.every((value) => value >= 0 && value <= 1));
    const mean = (list: readonly number[]): number => list.reduce((sum, value) => sum + value, 0) / list.length;
    assert.ok(Math.abs(mean(values) - mean([...image.data]) / 255) < 0.01);
  });
});
