/** Files of a host: which go first, what the budget allows, how they are written and claimed. */
import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { required } from '@blindfit/base';
import { takeLock } from '@blindfit/base/node';
import { asOrdinaryUser, temporaryDirectory } from '@blindfit/testkit';
import { HostFiles } from '../src/host-files.ts';

const MINUTE = 60_000;

interface Fixture {
  readonly directory: string;
  readonly files: HostFiles;
  /** Another process of the same host, which knows nothing of what this one has written. */
  readonly another: () => HostFiles;
  readonly names: () => Promise<string[]>;
  /** Makes it look as if a file was last used some minutes ago. */
  readonly age: (name: string, minutes: number) => Promise<void>;
}

async function fixture(t: TestContext, maxBytes = 1000): Promise<Fixture> {
  const directory = join(await temporaryDirectory(t), 'files');
  return {
    directory,
    files: new HostFiles(directory, '.key', maxBytes),
    another: () => new HostFiles(directory, '.key', maxBytes),
    names: async () => (await readdir(directory)).sort(),
    age: async (name, minutes) => {
      const at = new Date(Date.now() - minutes * MINUTE);
      await utimes(join(directory, name), at, at);
    },
  };
}

const bytes = (length: number, fill = 1): Uint8Array => new Uint8Array(length).fill(fill);
const create = (files: HostFiles, name: string, length: number): Promise<string | undefined> =>
  files.createOnce(name, () => Promise.resolve(bytes(length)));
const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

describe('createOnce', () => {
  it('writes the content under the name and suffix, readable by the user only, and leaves nothing else', async (t) => {
    const { directory, files, names } = await fixture(t);
    assert.equal(await files.touch('a'), undefined, 'there is not even a directory');
    const path = await create(files, 'a', 10);
    assert.equal(path, join(directory, 'a.key'));
    assert.deepEqual(new Uint8Array(await readFile(path)), bytes(10));
    assert.equal(await modeOf(path), 0o600);
    assert.equal(await modeOf(directory), 0o700);
    assert.deepEqual(await names(), ['a.key']);
    assert.equal(await files.touch('a'), path);
    assert.equal(await files.touch('b'), undefined);
  });

  it('makes a file once for all that ask for it meanwhile', async (t) => {
    const { files, another, names } = await fixture(t);
    const content = Promise.withResolvers<Uint8Array>();
    let asked = 0;
    const first = files.createOnce('a', () => (asked++, content.promise));
    while (asked === 0) await files.waitForOthers();
    assert.equal(await create(another(), 'a', 10), undefined);
    assert.equal(await create(files, 'a', 10), undefined);
    assert.ok((await create(files, 'b', 10)) !== undefined, 'others can be made');
    content.resolve(bytes(20));
    await first;
    assert.deepEqual(await names(), ['a.key', 'b.key']);
  });

  it('gives the claim back when the content fails', async (t) => {
    const { files, names } = await fixture(t);
    await assert.rejects(
      files.createOnce('a', () => Promise.reject(new Error('no such blob'))),
      /no such blob/,
    );
    assert.deepEqual(await names(), []);
    assert.ok((await create(files, 'a', 10)) !== undefined);
  });

  it('takes over from a dead process, from silence, and from earlier releases', async (t) => {
    const { directory, files, age } = await fixture(t);
    await mkdir(directory);
    const claim = join(directory, 'a.claim');
    const held = await takeLock(claim);
    t.after(() => held.release());
    await age('a.claim', 0.45);
    assert.equal(await create(files, 'a', 10), undefined, 'a claim of 27 seconds holds');
    await age('a.claim', 0.55);
    assert.ok((await create(files, 'a', 10)) !== undefined, 'one of 33 seconds does not');
    const dead = { token: 'of a dead process', host: hostname(), pid: 999_999_999, started: '' };
    await writeFile(claim, JSON.stringify(dead));
    assert.ok((await create(files, 'a', 10)) !== undefined);
    await writeFile(claim, '999999999');
    assert.equal(await create(files, 'a', 10), undefined);
    assert.ok((await create(files, 'a', 10)) !== undefined, 'the old claim is gone');
  });
});

it('touch marks a use at most once a minute', async (t) => {
  const { directory, files, age } = await fixture(t);
  await create(files, 'a', 10);
  const usedAt = async (): Promise<number> => (await stat(join(directory, 'a.key'))).mtimeMs;
  await age('a.key', 0.9);
  const before = await usedAt();
  await files.touch('a');
  assert.equal(await usedAt(), before);
  await age('a.key', 1.1);
  await files.touch('a');
  assert.ok((await usedAt()) > before);
});

describe('openOrDiscard', () => {
  it('gives what the opener gives', async (t) => {
    const { files, names } = await fixture(t);
    const path = required(await create(files, 'a', 10), 'a path');
    assert.equal(await files.openOrDiscard(path, (at) => `opened ${at}`), `opened ${path}`);
    assert.deepEqual(await names(), ['a.key']);
  });

  it('removes a file that cannot be opened', async (t) => {
    const { directory, names } = await fixture(t);
    let damaged = 0;
    const files = new HostFiles(directory, '.key', 1000, () => damaged++);
    for (const [code, count] of [
      ['DAMAGED_FILE', 1],
      ['ANOTHER', 1],
    ] as const) {
      const path = required(await create(files, 'a', 10), 'a path');
      const refuse = (): never => {
        throw Object.assign(new Error('it cannot be used'), { code });
      };
      assert.equal(await files.openOrDiscard(path, refuse), undefined);
      assert.deepEqual(await names(), []);
      assert.equal(damaged, count, 'files of earlier releases and of other parameters are not damaged');
    }
    const gone = (): never => {
      throw new Error('gone');
    };
    assert.equal(await files.openOrDiscard(join(directory, 'a.key'), gone), undefined, 'one that is gone is no error');
  });
});

describe('trim', () => {
  it('removes the least recently used files until the budget is kept', async (t) => {
    const { files, names, age } = await fixture(t);
    for (const [name, minutes] of [
      ['a', 1],
      ['b', 3],
      ['c', 2],
      ['d', 0],
    ] as const) {
      await create(files, name, 300);
      await age(`${name}.key`, minutes);
    }
    await files.trim(new Set());
    assert.deepEqual(await names(), ['a.key', 'c.key', 'd.key'], '900 of 1000 bytes are left');
  });

  it('does nothing when the files fit exactly', async (t) => {
    const { files, names } = await fixture(t);
    for (const name of ['a', 'b']) await create(files, name, 500);
    await files.trim(new Set());
    assert.deepEqual(await names(), ['a.key', 'b.key']);
    await create(files, 'c', 1);
    await files.trim(new Set());
    assert.equal((await names()).length, 2);
  });

  it('keeps the named files, whatever their age, and goes on beyond them', async (t) => {
    const { files, names, age } = await fixture(t);
    for (const [name, minutes] of [
      ['a', 3],
      ['b', 2],
      ['c', 1],
    ] as const) {
      await create(files, name, 600);
      await age(`${name}.key`, minutes);
    }
    await files.trim(new Set(['a']));
    assert.deepEqual(await names(), ['a.key']);
  });

  it('counts a touch as a use', async (t) => {
    const { files, names, age } = await fixture(t);
    for (const name of ['a', 'b']) {
      await create(files, name, 600);
      await age(`${name}.key`, name === 'a' ? 2 : 1);
    }
    await files.touch('a');
    await files.trim(new Set());
    assert.deepEqual(await names(), ['a.key']);
  });

  it('removes parts and claims of 30 seconds, and no younger ones', async (t) => {
    const { directory, files, names, age } = await fixture(t);
    await mkdir(directory);
    for (const name of ['old.part', 'old.claim', 'new.part']) await writeFile(join(directory, name), 'x');
    for (const name of ['old.part', 'old.claim']) await age(name, 0.55);
    await age('new.part', 0.45);
    await files.trim(new Set());
    assert.deepEqual(await names(), ['new.part']);
  });
});

describe('putIfRoom', () => {
  const put = (files: HostFiles, name: string, length: number): Promise<string | undefined> =>
    files.putIfRoom(name, [bytes(length - 1, 1), bytes(1, 2)]);

  it('writes all pieces while there is room, and not a byte more', async (t) => {
    const { directory, files, another, names } = await fixture(t);
    const path = await put(files, 'a', 400);
    assert.equal(path, join(directory, 'a.key'));
    assert.deepEqual([...(await readFile(path)).subarray(398)], [1, 2]);
    assert.equal(await modeOf(path), 0o600);
    assert.ok((await put(another(), 'b', 600)) !== undefined, 'exactly the budget');
    assert.equal(await put(another(), 'c', 1), undefined);
    assert.deepEqual(await names(), ['a.key', 'b.key']);
  });

  it('counts what it has written since it looked at the directory', async (t) => {
    const { files, another, names } = await fixture(t);
    await put(another(), 'a', 950);
    assert.ok((await put(files, 'b', 40)) !== undefined);
    assert.equal(await put(files, 'c', 20), undefined);
    assert.ok((await put(another(), 'd', 10)) !== undefined);
    assert.deepEqual(await names(), ['a.key', 'b.key', 'd.key']);
  });

  it('refuses what exceeds the budget alone', async (t) => {
    const { files, names } = await fixture(t);
    assert.equal(await put(files, 'a', 1001), undefined);
    assert.deepEqual(await names(), []);
  });

  it('makes room by files that went unused for ten minutes, the oldest first, and by no others', async (t) => {
    const { another, names, age } = await fixture(t);
    for (const [name, minutes] of [
      ['a', 11],
      ['b', 12],
      ['c', 9.9],
    ] as const) {
      await put(another(), name, 300);
      await age(`${name}.key`, minutes);
    }
    assert.ok((await put(another(), 'd', 300)) !== undefined);
    assert.deepEqual(await names(), ['a.key', 'c.key', 'd.key']);
    assert.equal(await put(another(), 'e', 800), undefined);
    assert.deepEqual(await names(), ['c.key', 'd.key'], 'the idle one went in vain, the used ones stayed');
  });

  it('sees what other processes write after a sixteenth of the budget of its own', async (t) => {
    const { files, another, names } = await fixture(t, 1600);
    await put(files, 'a', 90);
    await put(another(), 'b', 1400);
    assert.ok((await put(files, 'c', 90)) !== undefined, 'its own count says 180');
    assert.equal(await put(files, 'd', 90), undefined, 'it has added more than 100 and looks again: 1580');
    assert.deepEqual(await names(), ['a.key', 'b.key', 'c.key']);
  });

  it('does not survey a full directory again for ten seconds', async (t) => {
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
    const { directory, files } = await fixture(t);
    await put(files, 'a', 900);
    assert.equal(await put(files, 'b', 200), undefined);
    await rm(join(directory, 'a.key'));
    t.mock.timers.tick(9_999);
    assert.equal(await put(files, 'b', 200), undefined);
    t.mock.timers.tick(1);
    assert.ok((await put(files, 'b', 200)) !== undefined);
  });

  it('gives up for ten seconds where nothing can be written', async (t) => {
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
    const { directory, files } = await fixture(t);
    await writeFile(directory, 'no directory');
    assert.equal(await put(files, 'a', 10), undefined);
    await rm(directory);
    assert.equal(await put(files, 'a', 10), undefined);
    t.mock.timers.tick(10_000);
    assert.ok((await put(files, 'a', 10)) !== undefined);
  });

  it('does not hide errors that are not the file system’s', async (t) => {
    const { files } = await fixture(t);
    const pieces = [{ length: 5 } as unknown as Uint8Array];
    await assert.rejects(files.putIfRoom('a', pieces), TypeError);
  });
});

it('the file of another user is used although its times cannot be set', async (t) => {
  const { directory, files } = await fixture(t);
  const path = required(await create(files, 'a', 10), 'a path');
  await chmod(directory, 0o000);
  try {
    await asOrdinaryUser(async () => assert.equal(await files.touch('a'), path));
  } finally {
    await chmod(directory, 0o700);
  }
});
