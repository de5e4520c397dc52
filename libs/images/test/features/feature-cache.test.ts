import assert from 'node:assert/strict';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { temporaryDirectory } from '@blindfit/testkit';
import { FeatureCache } from '../../src/features/feature-cache.ts';
import { KeyIndex } from '../../src/features/key-index.ts';

/** A key whose first 8 bytes are `head` and whose others are `tail`. */
function key(head: number, tail = 0): Buffer {
  const bytes = Buffer.alloc(32, tail);
  bytes.writeBigUInt64LE(BigInt(head), 0);
  return bytes;
}

const features = (...values: number[]): Float32Array => Float32Array.of(...values);

async function onlyFile(directory: string): Promise<string> {
  const names = await readdir(directory);
  assert.equal(names.length, 1);
  return join(directory, names[0]!);
}

suite('feature cache', () => {
  test('files and directory are for the user only, whatever the umask', async (t) => {
    const umask = process.umask(0);
    t.after(() => process.umask(umask));
    const directory = join(await temporaryDirectory(t), 'cache');
    const cache = await FeatureCache.open(directory);
    cache.append([{ key: key(1), features: features(1) }]);
    cache.close();
    assert.equal((await stat(directory)).mode & 0o777, 0o700);
    assert.equal((await stat(await onlyFile(directory))).mode & 0o777, 0o600);
  });

  test('files of other versions and record lengths are left alone', async (t) => {
    const directory = await temporaryDirectory(t);
    const cache = await FeatureCache.open(directory);
    cache.append([{ key: key(1), features: features(1, 2) }]);
    cache.close();
    const file = await onlyFile(directory);
    const bytes = await readFile(file);
    const known = async (): Promise<boolean> => {
      const again = await FeatureCache.open(directory);
      const found = again.get(key(1)) !== undefined;
      again.close();
      return found;
    };
    assert.equal(await known(), true);
    for (const [place, value] of [
      [8, 0],
      [8, 2],
      [12, 0],
      [12, 3],
      [0, 0],
    ] as const) {
      const changed = Buffer.from(bytes);
      changed[place] = value;
      await writeFile(file, changed);
      assert.equal(await known(), false, `${place}: ${value}`);
    }
  });

  test('the file has the documented form', async (t) => {
    const directory = await temporaryDirectory(t);
    const cache = await FeatureCache.open(directory);
    cache.append([{ key: key(0x0102, 7), features: features(1, -2) }]);
    cache.close();
    const bytes = await readFile(await onlyFile(directory));
    const header = '89424643414348450100000002000000';
    const record = `0201000000000000${'07'.repeat(24)}` + '0000803f000000c0';
    assert.equal(bytes.subarray(0, 16 + 40).toString('hex'), header + record);
    assert.equal(bytes.length, 16 + 32 + 8 + 4);
  });

  test('a record that is damaged while the cache is open is not used', async (t) => {
    const directory = await temporaryDirectory(t);
    const cache = await FeatureCache.open(directory);
    t.after(() => cache.close());
    cache.append([
      { key: key(1), features: features(1, 2) },
      { key: key(2), features: features(3, 4) },
    ]);
    const path = await onlyFile(directory);
    const bytes = await readFile(path);
    const first = 16 + 32;
    bytes[first] = bytes[first]! ^ 1;
    await writeFile(path, bytes);
    assert.equal(cache.get(key(1)), undefined);
    assert.deepEqual(cache.get(key(2)), features(3, 4));
  });

  test('images whose digests begin alike are not mixed up', async (t) => {
    const cache = await FeatureCache.open(await temporaryDirectory(t));
    t.after(() => cache.close());
    cache.append([{ key: key(5, 1), features: features(1) }]);
    assert.equal(cache.get(key(5, 2)), undefined);
    assert.deepEqual(cache.get(key(5, 1)), features(1));
  });

  test('records of several runs are found, the newest of a key wins, other lengths are ignored', async (t) => {
    const directory = await temporaryDirectory(t);
    for (const value of [1, 2]) {
      const cache = await FeatureCache.open(directory);
      cache.append([
        { key: key(value), features: features(value) },
        { key: key(9), features: features(10 * value) },
      ]);
      assert.deepEqual(cache.get(key(9)), features(10 * value));
      cache.close();
    }
    await writeFile(join(directory, 'zz.features'), Buffer.from('894246434143484501000000ffffffff', 'hex'));
    const cache = await FeatureCache.open(directory);
    t.after(() => cache.close());
    assert.deepEqual([cache.get(key(1)), cache.get(key(2)), cache.get(key(3))], [features(1), features(2), undefined]);
  });
});

test('the key index finds every key while it grows, and replaces a record', () => {
  const index = new KeyIndex();
  // Keys that collide in the low bits of the table, and keys that differ only in the upper or lower word.
  const keys = Array.from({ length: 3000 }, (_, i) => key(i * 4096 + (i % 3)));
  keys.push(key(2 ** 33), key(2 ** 34));
  keys.forEach((each, i) => index.set(each, i));
  index.set(key(0), 77);
  keys.forEach((each, i) => assert.equal(index.get(each), i === 0 ? 77 : i));
  assert.equal(index.get(key(2 ** 35)), undefined);
});
