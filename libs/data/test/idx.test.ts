import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { suite, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { centrePixels, classesOf, DatasetError, readIdxImages, readIdxLabels, withLabels } from '../src/index.ts';
import { isDatasetError, mutate, randomIntegers, scratchFiles, type ExpectedError } from './support.ts';

const scratch = await scratchFiles();

/** An IDX file of unsigned bytes: magic, big-endian dimensions, data. */
function idx(dimensions: readonly number[], data: Uint8Array, magic = 0x0800 + dimensions.length): Buffer {
  const header = Buffer.alloc(4 + 4 * dimensions.length);
  header.writeUInt32BE(magic, 0);
  dimensions.forEach((size, i) => header.writeUInt32BE(size, 4 + 4 * i));
  return Buffer.concat([header, data]);
}

/** 0, 1, 2, ... modulo 251, so that rows, columns and images differ. */
const ramp = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i % 251);

for (const [name, pack] of [
  ['plain', (b: Buffer) => b],
  ['gzip', (b: Buffer) => gzipSync(b)],
] as const) {
  suite(`IDX, ${name}`, () => {
    test('images', async () => {
      const images = await readIdxImages(await scratch(pack(idx([2, 3, 4], ramp(24)))));
      assert.deepEqual(
        { ...images, pixels: [...images.pixels] },
        { count: 2, rows: 3, columns: 4, pixels: [...ramp(24)] },
      );
    });
    test('images of many chunks', async () => {
      const pixels = ramp(300 * 28 * 28);
      const images = await readIdxImages(await scratch(pack(idx([300, 28, 28], pixels))));
      assert.deepEqual(images.pixels, pixels);
    });
    test('labels', async () => {
      assert.deepEqual(await readIdxLabels(await scratch(pack(idx([4], Uint8Array.of(5, 0, 10, 255))))), [
        '5',
        '0',
        '10',
        '255',
      ]);
    });

    const images: ({ name: string; bytes: Buffer } & ExpectedError)[] = [
      { name: 'an empty file', bytes: Buffer.alloc(0), code: 'empty', message: /empty/ },
      { name: 'one byte', bytes: Buffer.of(0), code: 'bad-idx', message: /1 bytes are too few/ },
      {
        name: 'half a header',
        bytes: idx([2, 3, 4], ramp(24)).subarray(0, 15),
        code: 'bad-idx',
        message: /15 bytes are too few for the header of 16/,
      },
      {
        name: 'a labels file',
        bytes: idx([64], ramp(64)),
        code: 'bad-idx',
        message: /this is an IDX labels file .* expected an IDX images file \(0x00000803\)/,
      },
      { name: 'images of floats', bytes: idx([2, 3, 4], ramp(96), 0x0d03), code: 'bad-idx', message: /0x00000d03/ },
      { name: 'something else', bytes: Buffer.from('<!doctype html><p>404'), code: 'bad-idx', message: /no IDX file/ },
      {
        name: 'a byte too few',
        bytes: idx([2, 3, 4], ramp(23)),
        code: 'bad-idx',
        message: /only 23 bytes of data follow, not the 2 x 3 x 4 bytes/,
      },
      {
        name: 'a byte too many',
        bytes: idx([2, 3, 4], ramp(25)),
        code: 'bad-idx',
        message: /more data than the 2 x 3 x 4 bytes/,
      },
      { name: 'no images', bytes: idx([0, 28, 28], ramp(0)), code: 'empty', message: /no samples/ },
      { name: 'images without pixels', bytes: idx([1, 0, 28], ramp(0)), code: 'bad-idx', message: /0 x 28 pixels/ },
      { name: 'giant images', bytes: idx([1, 4097, 28], ramp(0)), code: 'bad-idx', message: /1 to 4096/ },
      {
        name: 'a header that lies about terabytes',
        bytes: idx([0xffffff, 4096, 4096], ramp(9)),
        code: 'too-large',
        message: /1073741824 bytes are allowed/,
      },
      {
        name: 'too many samples',
        bytes: idx([2 ** 24 + 1, 1, 1], ramp(9)),
        code: 'too-large',
        message: /16777216 samples/,
      },
      {
        name: 'a gigabyte that is not there',
        bytes: idx([1 << 14, 256, 256], ramp(9)),
        code: 'bad-idx',
        message: /only 9 bytes/,
      },
    ];
    for (const { name, bytes, ...expected } of images) {
      test(`refuses ${name}`, async () => {
        const path = await scratch(pack(bytes));
        await assert.rejects(readIdxImages(path), isDatasetError(expected, path));
      });
    }
    const labels: ({ name: string; bytes: Buffer } & ExpectedError)[] = [
      {
        name: 'an images file',
        bytes: idx([2, 3, 4], ramp(24)),
        code: 'bad-idx',
        message: /this is an IDX images file/,
      },
      { name: 'labels cut short', bytes: idx([5], ramp(4)), code: 'bad-idx', message: /only 4 bytes/ },
      { name: 'too many labels', bytes: idx([2 ** 24 + 1], ramp(4)), code: 'too-large', message: /16777216 samples/ },
    ];
    for (const { name, bytes, ...expected } of labels) {
      test(`refuses ${name} as labels`, async () => {
        const path = await scratch(pack(bytes));
        await assert.rejects(readIdxLabels(path), isDatasetError(expected, path));
      });
    }

    test('300 random mutations: images or a DatasetError', async () => {
      const valid = pack(idx([3, 4, 5], ramp(60)));
      const random = randomIntegers(2);
      const outcomes = { read: 0, refused: 0 };
      for (let i = 0; i < 300; i++) {
        const bytes = mutate(valid, random);
        try {
          const { count, rows, columns, pixels } = await readIdxImages(await scratch(bytes));
          assert.equal(pixels.length, count * rows * columns);
          outcomes.read++;
        } catch (error) {
          assert.ok(
            error instanceof DatasetError,
            `mutation ${i}, ${Buffer.from(bytes).toString('hex')}: ${String(error)}`,
          );
          outcomes.refused++;
        }
      }
      assert.ok(outcomes.read > 0 && outcomes.refused > 100, JSON.stringify(outcomes));
    });
  });
}

suite('IDX files', () => {
  const whole = gzipSync(idx([2, 3, 4], ramp(24)));
  const damaged = Uint8Array.from(whole);
  damaged[damaged.length - 6] = damaged[damaged.length - 6]! ^ 1;
  const table: { name: string; bytes: Uint8Array }[] = [
    { name: 'gzip cut short', bytes: whole.subarray(0, -9) },
    { name: 'gzip without its checksum', bytes: whole.subarray(0, -8) },
    { name: 'gzip with a wrong checksum', bytes: damaged },
    { name: 'two bytes of gzip', bytes: whole.subarray(0, 2) },
  ];
  for (const { name, bytes } of table) {
    test(`refuses ${name}`, async () => {
      const path = await scratch(bytes);
      await assert.rejects(
        readIdxImages(path),
        isDatasetError({ code: 'bad-idx', message: /gzip data is damaged or cut short/ }, path),
      );
    });
  }
  test('stops a gzip bomb at the announced size', async () => {
    // 256 MiB of zeros in 256 KiB, behind a header that announces 24 bytes. In members, so as not to be held here
    // either.
    const zeros = gzipSync(new Uint8Array(2 ** 20));
    const path = await scratch(
      Buffer.concat([gzipSync(idx([2, 3, 4], ramp(24))), ...Array.from({ length: 256 }, () => zeros)]),
    );
    const before = process.memoryUsage.rss();
    await assert.rejects(readIdxImages(path), isDatasetError({ code: 'bad-idx', message: /more data/ }, path));
    const grown = process.memoryUsage.rss() - before;
    assert.ok(grown < 2 ** 26, `resident memory grew by ${grown} bytes`);
  });
  test('refuses a missing file and a directory', async () => {
    const path = join(tmpdir(), 'blindfit-no-such-file');
    await assert.rejects(
      readIdxImages(path),
      isDatasetError({ code: 'file-not-found', message: /no such file/ }, path),
    );
    await assert.rejects(
      readIdxLabels(tmpdir()),
      isDatasetError({ code: 'unreadable', message: /directory/ }, tmpdir()),
    );
  });

  const mnist = resolve(import.meta.dirname, '../../../../shared/data/mnist');
  test('MNIST', { skip: existsSync(mnist) ? false : 'the optional sample data is not here' }, async () => {
    const images = await readIdxImages(join(mnist, 't10k-last2000-images-idx3-ubyte.gz'));
    const labels = await readIdxLabels(join(mnist, 't10k-last2000-labels-idx1-ubyte.gz'));
    assert.deepEqual([images.count, images.rows, images.columns], [2000, 28, 28]);
    assert.equal(classesOf(labels).length, 10);
    assert.equal(withLabels(centrePixels(images, 14), labels).d, 196);
  });
});

suite('centrePixels', () => {
  const images = { count: 2, rows: 4, columns: 5, pixels: ramp(40) };
  const table: { size: number; expected: number[] }[] = [
    { size: 1, expected: [7, 27] },
    { size: 2, expected: [6, 7, 11, 12, 26, 27, 31, 32] },
    { size: 3, expected: [1, 2, 3, 6, 7, 8, 11, 12, 13, 21, 22, 23, 26, 27, 28, 31, 32, 33] },
    {
      size: 4,
      expected: [
        0, 1, 2, 3, 5, 6, 7, 8, 10, 11, 12, 13, 15, 16, 17, 18, 20, 21, 22, 23, 25, 26, 27, 28, 30, 31, 32, 33, 35, 36,
        37, 38,
      ],
    },
  ];
  for (const { size, expected } of table) {
    test(`${size} x ${size} of 4 x 5`, () => {
      const data = centrePixels(images, size);
      assert.deepEqual([data.n, data.d, data.labels], [2, size * size, undefined]);
      assert.deepEqual(
        [...data.features],
        expected.map((pixel) => pixel / 255),
      );
    });
  }
  test('black is 1, white is 0', () => {
    assert.deepEqual(
      [...centrePixels({ count: 1, rows: 2, columns: 2, pixels: Uint8Array.of(0, 255, 51, 0) }, 2).features],
      [0, 1, 0.2, 0],
    );
  });
  for (const size of [0, -1, 5, 1.5, NaN, Infinity, 1e9]) {
    test(`refuses size ${size}`, () => {
      assert.throws(
        () => centrePixels(images, size),
        isDatasetError({ code: 'bad-argument', message: /from 1 to 4 for images of 4 x 5/ }),
      );
    });
  }
  test('refuses more values than a dataset holds, before taking memory', () => {
    const many = { count: 200_000, rows: 28, columns: 28, pixels: new Uint8Array(0) };
    assert.throws(() => centrePixels(many, 28), isDatasetError({ code: 'too-large', message: /smaller centre/ }));
  });
});
