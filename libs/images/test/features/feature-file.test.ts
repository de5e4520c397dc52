import assert from 'node:assert/strict';
import { chmod, mkdir, open, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { asOrdinaryUser, temporaryDirectory } from '@blindfit/testkit';
import { FeatureWriter, readFeatures } from '../../src/index.ts';
import { isDatasetError, isError, noise } from './support.ts';

type Row = readonly [string, Float32Array];

/** Rows with awkward labels and numbers. */
const ROWS: readonly Row[] = [
  ['5', Float32Array.of(0, -0.1, 1 / 3)],
  ['a, "quoted" cat', Float32Array.of(3.4028234663852886e38, 1.401298464324817e-45, -1e-7)],
  ['5', Float32Array.of(16777217, 123456.789, 1e10)],
  ['Zürich 日本', Float32Array.of(0, 1, -1)],
];

async function write(path: string, rows: readonly Row[] = ROWS): Promise<void> {
  const writer = await FeatureWriter.create(path);
  for (const [label, features] of rows) await writer.write(label, features);
  await writer.finish();
}

for (const name of ['features.csv', 'features.bin']) {
  test(`${name} gives back what was written`, async (t) => {
    const folder = await temporaryDirectory(t);
    const path = join(folder, name);
    await write(path);
    const { n, d, labels, features } = await readFeatures(path);
    assert.deepEqual([n, d, labels], [4, 3, ROWS.map(([label]) => label)]);
    assert.deepEqual(Float32Array.from(features), Float32Array.from(ROWS.flatMap(([, values]) => [...values])));
    assert.deepEqual(await readdir(folder), [name]);
  });

  test(`${name} of many rows, more than fit in a buffer`, async (t) => {
    const path = join(await temporaryDirectory(t), name);
    const rows = Array.from({ length: 3000 }, (_, i): Row => [
      String(i % 10),
      Float32Array.from(noise(200, i + 1), (byte) => byte / 256 - i),
    ]);
    await write(path, rows);
    const { n, d, labels, features } = await readFeatures(path);
    assert.deepEqual([n, d], [3000, 200]);
    assert.deepEqual(
      labels,
      rows.map(([label]) => label),
    );
    rows.forEach(([, values], i) =>
      assert.deepEqual(Float32Array.from(features.subarray(200 * i, 200 * (i + 1))), values),
    );
  });

  test(`${name} appears only when it is complete`, async (t) => {
    const folder = await temporaryDirectory(t);
    const path = join(folder, name);
    await writeFile(path, 'what was there before');
    // Left behind by a process that is long gone, and by one that is still there.
    const left = (pid: number): string => `.${name}.${pid}.partial`;
    await writeFile(join(folder, left(4_194_304)), 'x');
    await writeFile(join(folder, left(process.ppid)), 'x');
    const writer = await FeatureWriter.create(path);
    for (const [label, features] of ROWS) await writer.write(label, features);
    assert.equal(await readFile(path, 'utf8'), 'what was there before');
    assert.deepEqual((await readdir(folder)).sort(), [left(process.pid), left(process.ppid), name].sort());
    await writer.discard();
    assert.deepEqual((await readdir(folder)).sort(), [left(process.ppid), name].sort());
    await write(path);
    assert.equal((await readFeatures(path)).n, 4);
  });
}

test('rows of CSV are what other programs write and read', async (t) => {
  const path = join(await temporaryDirectory(t), 'f.CSV');
  await write(path, [
    ['7', Float32Array.of(0.1, 2, 1e-20)],
    ['a,b', Float32Array.of(0, -1.5, 3)],
  ]);
  assert.equal(await readFile(path, 'utf8'), '7,0.100000001,2,9.99999968e-21\n"a,b",0,-1.5,3\n');
});

test('a .bin file is known by its first bytes, whatever its name', async (t) => {
  const folder = await temporaryDirectory(t);
  await write(join(folder, 'f.bin'));
  await writeFile(join(folder, 'f.data'), await readFile(join(folder, 'f.bin')));
  assert.equal((await readFeatures(join(folder, 'f.data'))).n, 4);
});

test('a .bin file with any byte changed, cut short or added to is refused', async (t) => {
  const folder = await temporaryDirectory(t);
  const path = join(folder, 'f.bin');
  await write(path);
  const whole = await readFile(path);
  for (let at = 0; at < whole.length; at++) {
    const bytes = Buffer.from(whole);
    bytes[at] = bytes[at]! ^ 0x10;
    await writeFile(path, bytes);
    await assert.rejects(
      readFeatures(path),
      isError('bad-file', /f\.bin is (damaged: .*; write it again|no features file)/),
      `byte ${at}`,
    );
  }
  for (const length of [0, 7, 35, 36, 60, whole.length - 1]) {
    await writeFile(path, whole.subarray(0, length));
    await assert.rejects(
      readFeatures(path),
      isError('bad-file', /f\.bin is damaged: it (is cut short|has \d+ bytes and should have)/),
      `${length} bytes`,
    );
  }
  await writeFile(path, Buffer.concat([whole, Buffer.of(0)]));
  await assert.rejects(readFeatures(path), isError('bad-file', /has 139 bytes and should have 138|should have/));
});

test('files that are not there or no features', async (t) => {
  const folder = await temporaryDirectory(t);
  await assert.rejects(readFeatures(join(folder, 'no.bin')), isError('bad-file', /no\.bin cannot be read: ENOENT/));
  await assert.rejects(readFeatures(join(folder, 'no.csv')), isDatasetError('file-not-found', /no\.csv: no such file/));
  await assert.rejects(readFeatures(folder), isDatasetError('unreadable', /directory/));
  await writeFile(join(folder, 'x.bin'), noise(100));
  await assert.rejects(readFeatures(join(folder, 'x.bin')), isError('bad-file', /x\.bin is no features file/));
});

test('places that cannot be written to', async (t) => {
  const folder = await temporaryDirectory(t);
  await mkdir(join(folder, 'd.csv'));
  await symlink('/dev/null', join(folder, 'null.csv'));
  await assert.rejects(FeatureWriter.create(join(folder, 'f.txt')), isError('bad-file', /must end in \.csv or \.bin/));
  await assert.rejects(FeatureWriter.create(join(folder, 'd.csv')), isError('bad-file', /it is there and no file/));
  await assert.rejects(FeatureWriter.create(join(folder, 'null.csv')), isError('bad-file', /it is there and no file/));
  await assert.rejects(
    FeatureWriter.create(join(folder, 'none', 'f.csv')),
    isError('bad-file', /f\.csv cannot be written: ENOENT/),
  );
  assert.ok((await stat('/dev/null')).isCharacterDevice());
  await chmod(folder, 0o555);
  await asOrdinaryUser(() =>
    assert.rejects(FeatureWriter.create(join(folder, 'f.csv')), isError('bad-file', /cannot be written: EACCES/)),
  );
});

test('a file is synced before it gets its name', async (t) => {
  const folder = await temporaryDirectory(t);
  const path = join(folder, 'f.bin');
  await write(path);
  const before = await readFile(path);
  // All handles share one prototype; a sync that is left out would show on no file system that does not lose power.
  const probe = await open(path);
  const prototype = Object.getPrototypeOf(probe) as { sync: (this: unknown) => Promise<void> };
  await probe.close();
  const states: string[] = [];
  const { sync } = prototype;
  t.mock.method(prototype, 'sync', async function (this: unknown) {
    const renamed = !(await readFile(path)).equals(before);
    const names = await readdir(folder);
    states.push(renamed ? 'renamed' : 'partial');
    if (!renamed) {
      const partial = await readFile(
        join(
          folder,
          names.find((name) => name.endsWith('.partial'))!,
        ),
      );
      assert.equal(partial.subarray(0, 8).toString('hex'), '894246464541540a');
    }
    return sync.call(this);
  });
  await write(path, ROWS.slice(0, 2));
  assert.deepEqual(states, ['partial', 'renamed']);
});

test('rows of other lengths than the first are refused', async (t) => {
  const path = join(await temporaryDirectory(t), 'features.csv');
  for (const count of [0, 1, 3]) {
    const writer = await FeatureWriter.create(path);
    await writer.write('a', Float32Array.of(1, 2));
    await assert.rejects(writer.write('b', new Float32Array(count)), RangeError);
    await writer.discard();
  }
});
