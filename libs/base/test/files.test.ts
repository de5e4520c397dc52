import assert from 'node:assert/strict';
import { chmod, mkdir, open, readdir, readFile, stat, utimes, writeFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { createFile, removeParts, replaceFile, undefinedIfMissing, writePart } from '@blindfit/base/node';
import { temporaryDirectory } from '@blindfit/testkit';

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

describe('replaceFile', () => {
  it('writes or replaces a file and leaves nothing else', async (t) => {
    const directory = await temporaryDirectory(t);
    const path = join(directory, 'file');
    await replaceFile(path, 'first');
    await replaceFile(path, [Buffer.from('sec'), Buffer.from('ond')], { sync: false });
    assert.equal(await readFile(path, 'utf8'), 'second');
    assert.deepEqual(await readdir(directory), ['file']);
  });

  it('lets only the user read it unless told otherwise', async (t) => {
    const directory = await temporaryDirectory(t);
    await replaceFile(join(directory, 'private'), new Uint8Array(3));
    await replaceFile(join(directory, 'read-only'), new Uint8Array(3), { mode: 0o400 });
    assert.equal(await modeOf(join(directory, 'private')), 0o600);
    assert.equal(await modeOf(join(directory, 'read-only')), 0o400);
  });

  it('leaves no part when the rename fails', async (t) => {
    const directory = await temporaryDirectory(t);
    const path = join(directory, 'file', 'below');
    await replaceFile(join(directory, 'file'), '');
    await assert.rejects(replaceFile(path, ''), { code: 'ENOTDIR' });
    await mkdir(join(directory, 'sub'));
    await assert.rejects(replaceFile(join(directory, 'sub'), ''), { code: /EISDIR|EBUSY|ENOTEMPTY|EEXIST/ });
    assert.deepEqual((await readdir(directory)).sort(), ['file', 'sub']);
  });
});

describe('createFile', () => {
  it('never overwrites', async (t) => {
    const directory = await temporaryDirectory(t);
    const path = join(directory, 'file');
    await createFile(path, 'first');
    await assert.rejects(createFile(path, 'second'), { code: 'EEXIST' });
    assert.equal(await readFile(path, 'utf8'), 'first');
    assert.equal(await modeOf(path), 0o600);
    assert.deepEqual(await readdir(directory), ['file']);
  });

  it('has one winner', async (t) => {
    const path = join(await temporaryDirectory(t), 'file');
    const outcomes = await Promise.allSettled(['a', 'b', 'c', 'd'].map((text) => createFile(path, text)));
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.equal(
      await readFile(path, 'utf8'),
      ['a', 'b', 'c', 'd'][outcomes.findIndex((o) => o.status === 'fulfilled')],
    );
  });
});

describe('parts', () => {
  it('of dead processes are removed, by age where others may be writing', async (t) => {
    const directory = await temporaryDirectory(t);
    const [old, fresh] = [await writePart(directory, 'old'), await writePart(directory, 'fresh')];
    await writeFile(join(directory, 'other'), '');
    const hourAgo = new Date(Date.now() - 3_600_000);
    await utimes(old, hourAgo, hourAgo);
    await removeParts(directory, 1_800_000);
    assert.deepEqual((await readdir(directory)).map((name) => join(directory, name)).sort(), [
      ...[fresh, join(directory, 'other')].sort(),
    ]);
    await removeParts(directory);
    assert.deepEqual(await readdir(directory), ['other']);
  });

  it('keep all bytes of pieces longer than one write', async (t) => {
    const bytes = Buffer.alloc(5 * 2 ** 20, 'blindfit');
    const path = await writePart(await temporaryDirectory(t), [
      bytes.subarray(0, 3_000_001),
      bytes.subarray(3_000_001),
    ]);
    assert.ok((await readFile(path)).equals(bytes));
  });
});

/** The prototype of open files, whose methods tests replace. */
async function handles(t: TestContext): Promise<FileHandle> {
  const handle = await open(await temporaryDirectory(t), 'r');
  await handle.close();
  return Object.getPrototypeOf(handle) as FileHandle;
}

describe('a power failure', () => {
  it('finds a file and its entry synced, unless that is not wanted', async (t) => {
    const synced = t.mock.method(await handles(t), 'sync', () => Promise.resolve());
    const path = join(await temporaryDirectory(t), 'file');
    const syncs = async (work: Promise<unknown>): Promise<number> => {
      synced.mock.resetCalls();
      await work;
      return synced.mock.callCount();
    };
    assert.equal(await syncs(writePart(await temporaryDirectory(t), '')), 1);
    assert.equal(await syncs(replaceFile(path, 'a')), 2);
    assert.equal(await syncs(createFile(`${path}2`, 'a')), 2);
    assert.equal(await syncs(replaceFile(path, 'a', { sync: false })), 0);
    assert.equal(await syncs(createFile(`${path}3`, 'a', { sync: false })), 0);
  });
});

describe('a write', () => {
  it('that is cut short goes on where it ended', async (t) => {
    const prototype = await handles(t);
    const write = Reflect.get(prototype, 'write') as (...call: unknown[]) => Promise<unknown>;
    t.mock.method(prototype, 'write', function (this: FileHandle, bytes: Uint8Array, at = 0) {
      return Reflect.apply(write, this, [bytes, at, Math.min(3, bytes.length - at)]);
    });
    const path = join(await temporaryDirectory(t), 'file');
    await replaceFile(
      path,
      ['0123456789', 'abc'].map((text) => Buffer.from(text)),
    );
    assert.equal(await readFile(path, 'utf8'), '0123456789abc');
  });

  it('that fails leaves no part', async (t) => {
    t.mock.method(await handles(t), 'write', () => Promise.reject(new Error('no space')));
    const directory = await temporaryDirectory(t);
    await assert.rejects(writePart(directory, 'a'), /no space/);
    await assert.rejects(replaceFile(join(directory, 'b'), 'a'), /no space/);
    assert.deepEqual(await readdir(directory), []);
  });
});

it('undefinedIfMissing passes ENOENT only', async (t) => {
  const directory = await temporaryDirectory(t);
  await chmod(directory, 0o700);
  assert.equal(await readFile(join(directory, 'none')).catch(undefinedIfMissing), undefined);
  await assert.rejects(readFile(directory).catch(undefinedIfMissing), { code: 'EISDIR' });
});
