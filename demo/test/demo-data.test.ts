import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { at } from '@blindfit/base';
import { digitFiles, IMAGE_COUNT, type Split } from '@blindfit/demo';

const SPLITS = ['train', 'heldout'] satisfies Split[];
const PIXELS = 28 * 28;
const IMAGES_HEADER = 16;
const LABELS_HEADER = 8;
const LICENSES = new URL('../data/LICENSES.md', import.meta.url);

const unpacked = (path: string) => gunzipSync(readFileSync(path));
const imageBytes = (images: Buffer, index: number) =>
  images.subarray(IMAGES_HEADER + index * PIXELS, IMAGES_HEADER + (index + 1) * PIXELS);
const labelsOf = (split: Split) => [...unpacked(digitFiles(split).labels).subarray(LABELS_HEADER)];

function countByDigit(labels: number[]): number[] {
  const counts = new Array<number>(10).fill(0);
  for (const label of labels) counts[label] = at(counts, label, 'counts') + 1;
  return counts;
}

test('the data files stay under 1 MB together', () => {
  const paths = SPLITS.flatMap((split) => Object.values(digitFiles(split)) as string[]);
  assert.equal(paths.length, 4);
  for (const path of paths) assert.ok(isAbsolute(path), path);
  const total = [...paths, LICENSES].reduce((sum, path) => sum + statSync(path).size, 0);
  assert.ok(total < 1_000_000, `${total} bytes`);
});

for (const split of SPLITS) {
  test(`${split}: the IDX headers match the data`, () => {
    const images = unpacked(digitFiles(split).images);
    const labels = unpacked(digitFiles(split).labels);
    assert.deepEqual(
      [0, 4, 8, 12].map((offset) => images.readUInt32BE(offset)),
      [0x803, IMAGE_COUNT[split], 28, 28],
    );
    assert.deepEqual(
      [0, 4].map((offset) => labels.readUInt32BE(offset)),
      [0x801, IMAGE_COUNT[split]],
    );
    assert.equal(images.length, IMAGES_HEADER + IMAGE_COUNT[split] * PIXELS);
    assert.equal(labels.length, LABELS_HEADER + IMAGE_COUNT[split]);
  });

  test(`${split}: every 128 consecutive images hold each class 12 or 13 times`, () => {
    const labels = labelsOf(split);
    for (let start = 0; start < labels.length; start += 128) {
      for (const count of countByDigit(labels.slice(start, start + 128))) {
        assert.ok(
          count === 12 || count === 13,
          `from image ${start}: ${countByDigit(labels.slice(start, start + 128)).join(' ')}`,
        );
      }
    }
  });

  test(`${split}: each image is a white digit centred on black`, () => {
    const images = unpacked(digitFiles(split).images);
    for (let index = 0; index < IMAGE_COUNT[split]; index++) {
      let [mass, x, y, brightest] = [0, 0, 0, 0];
      imageBytes(images, index).forEach((value, i) => {
        const [column, row] = [i % 28, Math.floor(i / 28)];
        mass += value;
        x += value * column;
        y += value * row;
        brightest = Math.max(brightest, value);
      });
      const ink = mass / (255 * PIXELS);
      assert.ok(ink > 0.02 && ink < 0.35, `image ${index} has ${ink} ink`);
      assert.equal(brightest, 255, `image ${index} is faint`);
      // The middle is 13.5; the script moves digits by up to half a pixel on purpose.
      assert.ok(Math.abs(x / mass - 13.5) < 0.7 && Math.abs(y / mass - 13.5) < 0.7, `image ${index} is off centre`);
    }
  });
}

test('no image occurs twice', () => {
  const seen = new Set<string>();
  for (const split of SPLITS) {
    const images = unpacked(digitFiles(split).images);
    for (let index = 0; index < IMAGE_COUNT[split]; index++) seen.add(imageBytes(images, index).toString('base64'));
  }
  assert.equal(seen.size, IMAGE_COUNT.train + IMAGE_COUNT.heldout);
});
