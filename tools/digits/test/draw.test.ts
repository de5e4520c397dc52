/** The committed data of the demo are what this program draws. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { digitFiles, IMAGE_COUNT, type Split } from '@blindfit/demo';
import { FONTS } from '../src/fonts.ts';

const SPLITS = ['train', 'heldout'] satisfies Split[];
const PIXELS = 28 * 28;
const IMAGES_HEADER = 16;
const LABELS_HEADER = 8;
const LICENSES = new URL('../../../demo/data/LICENSES.md', import.meta.url);

const unpacked = (path: string) => gunzipSync(readFileSync(path));
const imageBytes = (images: Buffer, index: number) =>
  images.subarray(IMAGES_HEADER + index * PIXELS, IMAGES_HEADER + (index + 1) * PIXELS);
const labelsOf = (split: Split) => [...unpacked(digitFiles(split).labels).subarray(LABELS_HEADER)];

/** Why the drawing script cannot run here, or false. Its font parser and fonts are development dependencies. */
function drawingImpossible(): string | false {
  for (const name of [
    'opentype.js',
    ...SPLITS.flatMap((split) => FONTS[split].map((font) => `@fontsource/${font}/package.json`)),
  ]) {
    try {
      import.meta.resolve(name);
    } catch {
      return `the development dependency ${name} is not installed`;
    }
  }
  return false;
}

test('the held-out fonts do not occur in training', () => {
  const all = [...FONTS.train, ...FONTS.heldout];
  assert.equal(new Set(all).size, all.length);
});

const impossible = drawingImpossible();

for (const split of SPLITS) {
  test(`${split}: drawing again gives the committed bytes`, { skip: impossible }, async () => {
    const { drawImage, subjects } = await import('../src/data-set.ts');
    const shown = subjects(split);
    assert.deepEqual(
      shown.map(({ digit }) => digit),
      labelsOf(split),
    );
    const images = unpacked(digitFiles(split).images);
    for (const index of [0, 1, 77, 127, 128, IMAGE_COUNT[split] - 1]) {
      const subject = shown[index];
      assert.ok(subject);
      assert.deepEqual(Buffer.from(drawImage(split, index, subject)), imageBytes(images, index), `image ${index}`);
    }
  });
}

test('the images use every listed font, and few of them more than others', { skip: impossible }, async () => {
  const { subjects } = await import('../src/data-set.ts');
  for (const split of SPLITS) {
    for (const group of [subjects(split).slice(0, 128), subjects(split)]) {
      const even = group.length / FONTS[split].length;
      for (const font of FONTS[split]) {
        const uses = group.filter((subject) => subject.font === font).length;
        assert.ok(uses > 0.6 * even && uses < 1.4 * even, `${font}: ${uses} of ${group.length} images`);
      }
    }
  }
});

test('LICENSES.md is what the font packages say', { skip: impossible }, async () => {
  const { licensesText } = await import('../src/licenses.ts');
  assert.equal(readFileSync(LICENSES, 'utf8'), await licensesText());
});
