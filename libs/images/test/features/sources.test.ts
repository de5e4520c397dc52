import assert from 'node:assert/strict';
import { mkdir, rename, symlink, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';
import { temporaryDirectory } from '@blindfit/testkit';
import { openFolderSource, openIdxSource, type ImageSource } from '../../src/index.ts';
import { idx, isDatasetError, isError, noise, pixelsOf, put } from './support.ts';

const listed = (source: ImageSource): [string, string | undefined][] =>
  Array.from({ length: source.count }, (_, i) => [source.name(i), source.label(i)]);

suite('IDX', () => {
  for (const [name, pack] of [
    ['plain', (bytes: Buffer) => bytes],
    ['gzip', (bytes: Buffer) => gzipSync(bytes)],
  ] as const) {
    test(`${name} images and labels`, async (t) => {
      const folder = await temporaryDirectory(t);
      const images = await put(join(folder, 'images'), pack(idx([3, 2, 4], noise(24))));
      const labels = await put(join(folder, 'labels'), pack(idx([3], Uint8Array.of(7, 0, 7))));
      const source = await openIdxSource({ images, labels });
      assert.deepEqual(listed(source), [
        [`image 0 of ${images}`, '7'],
        [`image 1 of ${images}`, '0'],
        [`image 2 of ${images}`, '7'],
      ]);
      assert.deepEqual(
        (await pixelsOf(source)).map((pixels) => ({ ...pixels, data: [...pixels.data] })),
        [0, 1, 2].map((i) => ({ width: 4, height: 2, channels: 1, data: [...noise(24).subarray(8 * i, 8 * i + 8)] })),
      );
      const two = await openIdxSource({ images, limit: 2 });
      assert.deepEqual([two.count, two.labelled, two.label(0)], [2, false, undefined]);
      assert.equal((await openIdxSource({ images, limit: 99 })).count, 3);
    });
  }

  test('equal pixels have equal digests, other shapes and other pixels others', async (t) => {
    const folder = await temporaryDirectory(t);
    const of = async (name: string, dimensions: readonly number[], data: Uint8Array): Promise<string[]> => {
      const source = await openIdxSource({ images: await put(join(folder, name), idx(dimensions, data)) });
      return Promise.all(
        Array.from({ length: source.count }, async (_, i) => (await source.read(i)).digest.toString('hex')),
      );
    };
    const [a, b, c] = await of('a', [3, 2, 2], Uint8Array.of(1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 5));
    const [wide] = await of('b', [1, 1, 4], Uint8Array.of(1, 2, 3, 4));
    assert.equal(a, b);
    assert.equal(new Set([a, c, wide]).size, 3);
  });

  test('refuses other files and counts that do not match', async (t) => {
    const folder = await temporaryDirectory(t);
    const images = await put(join(folder, 'images'), idx([3, 2, 2], noise(12)));
    const labels = await put(join(folder, 'labels'), idx([20], noise(20)));
    await assert.rejects(
      openIdxSource({ images: labels }),
      isDatasetError('bad-idx', /this is an IDX labels file .* expected an IDX images file \(0x00000803\)/),
    );
    await assert.rejects(
      openIdxSource({ images, labels: images }),
      isDatasetError('bad-idx', /this is an IDX images file/),
    );
    await assert.rejects(
      openIdxSource({ images: await put(join(folder, 'x'), 'GIF89a trailing text here') }),
      isDatasetError('bad-idx', /starts with 0x47494638/),
    );
    await assert.rejects(
      openIdxSource({ images: join(folder, 'none') }),
      isDatasetError('file-not-found', /none: no such file/),
    );
    await assert.rejects(
      openIdxSource({ images, labels }),
      isError('bad-labels', /images holds 3 images and .*labels 20 labels; name the labels file/),
    );
    await assert.rejects(openIdxSource({ images, limit: 0 }), /at least 1; got 0/);
  });
});

/** A picture with a red left half and a blue right half. */
const redBlue = (width: number, height: number): Sharp =>
  sharp(
    Buffer.from(
      Array.from({ length: width * height }, (_, i) => (i % width < width / 2 ? [255, 0, 0] : [0, 0, 255])).flat(),
    ),
    { raw: { width, height, channels: 3 } },
  );

suite('folders', () => {
  test('classes and files come in one order on every machine; litter is passed over, links are followed', async (t) => {
    const folder = join(await temporaryDirectory(t), 'pets');
    for (const name of ['dog/b.png', 'dog/a.png', 'Zebra/1.png', 'cat/10.png', 'cat/9.png', '05/x.png'])
      await put(join(folder, name), await redBlue(2, 1).png().toBuffer());
    await put(join(folder, '.DS_Store'), 'litter');
    await put(join(folder, 'cat', 'Thumbs.db'), 'litter');
    await put(join(folder, 'cat', '.hidden', 'x.png'), 'litter');
    await mkdir(join(folder, '..', 'elsewhere'));
    await rename(join(folder, 'dog'), join(folder, '..', 'elsewhere', 'dog'));
    await symlink(join('..', 'elsewhere', 'dog'), join(folder, 'dog'));
    const source = await openFolderSource({ folder });
    assert.equal(source.labelled, true);
    assert.deepEqual(
      listed(source).map(([name, label]) => [name.slice(folder.length + 1), label]),
      // Labels have one spelling: features read back from CSV have the same.
      [
        ['05/x.png', '5'],
        ['Zebra/1.png', 'Zebra'],
        ['cat/10.png', 'cat'],
        ['cat/9.png', 'cat'],
        ['dog/a.png', 'dog'],
        ['dog/b.png', 'dog'],
      ],
    );
    const limited = async (limit: number): Promise<string[]> =>
      listed(await openFolderSource({ folder, limit })).map(([name]) => name.slice(folder.length + 1));
    assert.deepEqual(await limited(3), ['05/x.png', 'Zebra/1.png', 'cat/10.png']);
    assert.deepEqual(await limited(5), ['05/x.png', 'Zebra/1.png', 'cat/10.png', 'cat/9.png', 'dog/a.png']);
    assert.equal((await limited(100)).length, 6);
  });

  test('a folder of images only has no labels', async (t) => {
    const folder = await temporaryDirectory(t);
    await put(join(folder, 'b.png'), await redBlue(2, 1).png().toBuffer());
    await put(join(folder, 'a.webp'), await redBlue(2, 1).webp({ lossless: true }).toBuffer());
    const source = await openFolderSource({ folder });
    assert.deepEqual(
      [source.labelled, listed(source)],
      [
        false,
        [
          [join(folder, 'a.webp'), undefined],
          [join(folder, 'b.png'), undefined],
        ],
      ],
    );
  });

  test('PNG, JPEG and WebP, grey, colour, palette, 16 bit, transparent, CMYK, turned by EXIF', async (t) => {
    const folder = await temporaryDirectory(t);
    const raw = (channels: 1 | 2 | 4, values: readonly number[]): Sharp =>
      sharp(Buffer.from(values), { raw: { width: values.length / channels, height: 1, channels } });
    const files: Record<string, [Promise<Buffer>, readonly number[], number, number?]> = {
      'a-rgb.png': [redBlue(2, 1).png().toBuffer(), [255, 0, 0, 0, 0, 255], 2],
      'b-palette.png': [redBlue(2, 1).png({ palette: true }).toBuffer(), [255, 0, 0, 0, 0, 255], 2],
      'c-lossless.webp': [redBlue(2, 1).webp({ lossless: true }).toBuffer(), [255, 0, 0, 0, 0, 255], 2],
      // 16 x 8, so that every half has blocks of its own; only the first and the last pixel are looked at.
      'd-colour.jpg': [
        redBlue(32, 16).jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).toBuffer(),
        [255, 0, 0, 0, 0, 255],
        32,
        3,
      ],
      // Inks cannot print these colours; what they come to depends on the colour profile.
      'e-cmyk.jpg': [
        redBlue(32, 16).toColourspace('cmyk').jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).toBuffer(),
        [232, 0, 0, 28, 60, 139],
        32,
        30,
      ],
      // Orientation 6: to be turned by 90 degrees clockwise, so the left half comes to the top.
      'f-turned.jpg': [
        redBlue(32, 16).withMetadata({ orientation: 6 }).jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).toBuffer(),
        [255, 0, 0, 0, 0, 255],
        16,
        3,
      ],
      'g-grey.png': [raw(1, [10, 200]).toColourspace('b-w').png().toBuffer(), [10, 200], 2],
      'h-grey16.png': [raw(1, [10, 200]).toColourspace('grey16').png().toBuffer(), [10, 200], 2, 1],
      // Half transparent black on white is grey.
      'i-transparent.png': [raw(4, [0, 0, 0, 128, 9, 8, 7, 0]).png().toBuffer(), [127, 127, 127, 255, 255, 255], 2, 1],
      'j-grey-alpha.png': [raw(2, [0, 255, 0, 0]).toColourspace('b-w').png().toBuffer(), [0, 255], 2],
    };
    for (const [name, [bytes]] of Object.entries(files)) await put(join(folder, name), await bytes);
    const images = await pixelsOf(await openFolderSource({ folder }));
    Object.entries(files).forEach(([name, [, expected, width, tolerance = 0]], i) => {
      const image = images[i];
      assert.ok(
        image !== undefined &&
          image.width === width &&
          image.data.length === image.width * image.height * image.channels,
        name,
      );
      const ends = [image.data.subarray(0, image.channels), image.data.subarray(-image.channels)].flatMap((pixel) => [
        ...pixel,
      ]);
      // Grey may come as three equal channels.
      const wanted =
        expected.length === 2 && image.channels === 3 ? expected.flatMap((value) => [value, value, value]) : expected;
      assert.equal(ends.length, wanted.length, name);
      ends.forEach((value, c) =>
        assert.ok(
          Math.abs(value - wanted[c]!) <= tolerance,
          `${name}: ${ends.join(' ')}, expected ${wanted.join(' ')}`,
        ),
      );
    });
  });

  test('names images that cannot be read', async (t) => {
    const folder = await temporaryDirectory(t);
    const jpeg = await sharp(noise(3 * 64 * 64), { raw: { width: 64, height: 64, channels: 3 } })
      .jpeg()
      .toBuffer();
    await put(join(folder, 'a.jpg'), jpeg.subarray(0, jpeg.length / 2));
    await put(join(folder, 'b.png'), 'no picture at all');
    await put(join(folder, 'c.png'), '');
    // What its name says does not matter: an SVG could make the decoder read other files.
    await put(join(folder, 'd.png'), '<svg xmlns="http://www.w3.org/2000/svg" width="2" height="2"/>');
    await put(join(folder, 'e.gif'), await redBlue(2, 2).gif().toBuffer());
    await symlink('nowhere', join(folder, 'f.png'));
    await truncate(await put(join(folder, 'g.png'), ''), 2 ** 28 + 1);
    const source = await openFolderSource({ folder });
    const failures = [
      /a\.jpg is no image that can be read \(.*\); PNG, JPEG and WebP are allowed/,
      /b\.png is no image/,
      /c\.png is no image/,
      /d\.png is no image that can be read \(its format is svg\)/,
      /e\.gif .*its format is gif/,
      /f\.png cannot be read: ENOENT/,
      /g\.png cannot be read: 268435457 bytes are more than an image may have \(268435456\)/,
    ];
    assert.equal(source.count, failures.length);
    for (const [i, message] of failures.entries()) {
      await assert.rejects(async () => (await source.read(i)).decode(), isError('bad-image', message));
    }
  });

  test('refuses folders that are none, are empty, or mix things up', async (t) => {
    const folder = await temporaryDirectory(t);
    await put(join(folder, 'mixed', 'cat', 'a.png'), 'x');
    await put(join(folder, 'mixed', 'b.png'), 'x');
    await put(join(folder, 'deep', 'cat', 'young', 'a.png'), 'x');
    await put(join(folder, 'same', '5', 'a.png'), 'x');
    await put(join(folder, 'same', '05', 'a.png'), 'x');
    await put(join(folder, 'odd', 'a\u0007', 'a.png'), 'x');
    await put(join(folder, 'hollow', 'cat', 'a.png'), 'x');
    await mkdir(join(folder, 'hollow', 'dog'));
    await mkdir(join(folder, 'nothing'));
    for (const [name, code, message] of [
      ['none', 'bad-folder', /none: there is no such folder/],
      ['mixed/b.png', 'bad-folder', /this is a file; name a folder/],
      ['mixed', 'bad-folder', /both subfolders \(cat, \.\.\.\) and files \(b\.png, \.\.\.\)/],
      ['deep', 'bad-folder', /deep\/cat holds the subfolder young/],
      ['same', 'bad-labels', /the subfolders 05 and 5 of .* both stand for the class 5/],
      ['odd', 'bad-labels', /the subfolder "a\\u0007" .* cannot be the name of a class/],
      ['hollow', 'bad-folder', /hollow\/dog is empty/],
      ['nothing', 'bad-folder', /holds no images/],
    ] as const) {
      await assert.rejects(openFolderSource({ folder: join(folder, name) }), isError(code, message));
    }
  });
});
