/** The limits of files and datasets, met exactly and exceeded by one. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { centrePixels, createDataset, readCsv, readIdxImages, readIdxLabels } from '../src/index.ts';
import { LIMITS, type DataLimits } from '../src/limits.ts';
import { isDatasetError, scratchFiles } from './support.ts';

const file = await scratchFiles();
const limits = (changes: Partial<DataLimits>): DataLimits => ({ ...LIMITS, ...changes });
const tooLarge = (message: RegExp, path?: string, line?: number): ((error: unknown) => true) =>
  isDatasetError({ code: 'too-large', message, line }, path);

function idx(dimensions: readonly number[], bytes: number): Buffer {
  const header = Buffer.alloc(4 + 4 * dimensions.length);
  header.writeUInt32BE(0x0800 + dimensions.length, 0);
  dimensions.forEach((size, i) => header.writeUInt32BE(size, 4 + 4 * i));
  return Buffer.concat([header, Buffer.alloc(bytes)]);
}

test('the limits are those of the documentation', () => {
  assert.deepEqual(LIMITS, {
    values: 134_217_728,
    samples: 16_777_216,
    idxBytes: 1_073_741_824,
    csvRecordBytes: 4_194_304,
  });
});

suite('CSV', () => {
  test('rows', async () => {
    const path = await file('a,1,2\nb,3,4\na,5,6\n');
    assert.equal((await readCsv(path, limits({ samples: 3 }))).n, 3);
    const message = /goes on after 2 rows; at most 2 rows and \d+ values are allowed: use fewer rows/;
    await assert.rejects(readCsv(path, limits({ samples: 2 })), tooLarge(message, path, 3));
  });

  test('values', async () => {
    const path = await file('a,1,2\nb,3,4\na,5,6\n');
    assert.deepEqual([...(await readCsv(path, limits({ values: 6 }))).features], [1, 2, 3, 4, 5, 6]);
    await assert.rejects(readCsv(path, limits({ values: 5 })), tooLarge(/goes on after 2 rows/, path, 3));
  });

  test('a header is no row', async () => {
    const path = await file('label,x,y\na,1,2\nb,3,4\n');
    assert.equal((await readCsv(path, limits({ samples: 2, values: 4 }))).n, 2);
  });

  test('more values than the first buffer of 1024 holds', async () => {
    const rows = Array.from({ length: 700 }, (_, i) => `a,${i},${-i}`);
    const { features } = await readCsv(await file(rows.join('\n')), limits({ values: 1400 }));
    assert.deepEqual([features.length, features[1398], features[1399]], [1400, 699, -699]);
  });

  test('a first row that is wider than the first buffer', async () => {
    const numbers = Array.from({ length: 3000 }, (_, j) => j + 0.5);
    const { features } = await readCsv(await file(`a,${numbers.join()}\n`));
    assert.deepEqual([...features], numbers);
  });

  test('bytes of a record', async () => {
    const path = await file(`a,1\n"${'b'.repeat(200)},2\n`);
    await assert.rejects(
      readCsv(path, limits({ csvRecordBytes: 100 })),
      isDatasetError({ code: 'malformed-csv', message: /a row exceeds 100 bytes/, line: 2 }, path),
    );
  });
});

suite('IDX', () => {
  test('samples', async () => {
    const path = await file(idx([3], 3));
    assert.equal((await readIdxLabels(path, limits({ samples: 3 }))).length, 3);
    await assert.rejects(
      readIdxLabels(path, limits({ samples: 2 })),
      tooLarge(/announces 3 bytes; at most 2 samples/, path),
    );
  });

  test('bytes, compressed or not', async () => {
    const content = idx([2, 3, 4], 24);
    for (const bytes of [content, gzipSync(content)]) {
      const path = await file(bytes);
      assert.equal((await readIdxImages(path, limits({ idxBytes: 24 }))).pixels.length, 24);
      await assert.rejects(
        readIdxImages(path, limits({ idxBytes: 23 })),
        tooLarge(/announces 2 x 3 x 4 bytes; at most \d+ samples and 23 bytes/, path),
      );
    }
  });

  test('values of centre pixels', async () => {
    const images = await readIdxImages(await file(idx([2, 3, 3], 18)));
    assert.equal(centrePixels(images, 2, limits({ values: 8 })).d, 4);
    assert.throws(
      () => centrePixels(images, 2, limits({ values: 7 })),
      tooLarge(/2 images x 4 pixels are more than 7/),
    );
  });
});

suite('datasets', () => {
  const features = Float64Array.of(1, 2, 3, 4, 5, 6);

  test('values', () => {
    assert.equal(createDataset(features, 2, undefined, limits({ values: 6 })).n, 3);
    assert.throws(
      () => createDataset(features, 2, undefined, limits({ values: 5 })),
      tooLarge(/may hold 5 values, this one has 6/),
    );
  });

  test('samples', () => {
    assert.equal(createDataset(features, 2, undefined, limits({ samples: 3 })).n, 3);
    assert.throws(
      () => createDataset(features, 2, undefined, limits({ samples: 2 })),
      tooLarge(/may hold 2 samples, this one has 3/),
    );
  });
});
