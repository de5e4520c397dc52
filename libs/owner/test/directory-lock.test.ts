import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { asOrdinaryUser, temporaryDirectory } from '@blindfit/testkit';
import { directoryKeys } from '../src/node/directory-keys.ts';
import { lockDirectory } from '../src/node/directory-lock.ts';
import { assertRefused } from './assert-refused.ts';

describe('the lock of a directory', () => {
  const holder = (fields: object): string =>
    JSON.stringify({ token: 'other', host: hostname(), pid: process.pid, started: '1', ...fields });

  it('is taken from a process that is gone, also if another has its number', async () => {
    await using home = await temporaryDirectory();
    const path = join(home.path, 'lock');
    for (const text of [holder({}), holder({ pid: 2 ** 22 + 1 })]) {
      await writeFile(path, text);
      using lock = await lockDirectory(home.path, 1000);
      await lock.refresh();
      assert.notEqual((JSON.parse(await readFile(path, 'utf8')) as { token: string }).token, 'other');
    }
    await assert.rejects(stat(path), { code: 'ENOENT' });
  });

  it('is waited for while its holder lives, and taken from another host after silence', async () => {
    await using home = await temporaryDirectory();
    const path = join(home.path, 'lock');
    await writeFile(path, holder({ host: 'elsewhere' }));
    await assertRefused('KEYSET_BUSY', /process \d+ on elsewhere.*delete .*lock/, () => lockDirectory(home.path, 300));
    const old = new Date(Date.now() - 3_600_000);
    await utimes(path, old, old);
    using lock = await lockDirectory(home.path, 1000);
    const waiting = lockDirectory(home.path, 10_000);
    lock.release();
    using second = await waiting;
    await second.refresh();
  });

  it('is not taken when its file is something else', async () => {
    await using home = await temporaryDirectory();
    await writeFile(join(home.path, 'lock'), 'mine');
    await assertRefused('KEYSET_CORRUPT', /no lock file.*delete it/, () => lockDirectory(home.path, 300));
  });

  it('is given back when what is left there cannot be looked at', async () => {
    await using home = await temporaryDirectory();
    const path = join(home.path, 'keys', 'N1');
    await chmod(home.path, 0o755);
    await mkdir(join(home.path, 'keys'));
    await mkdir(path);
    await writeFile(join(path, 'secret.key'), '');
    // It may be written to and not listed.
    await chmod(path, 0o333);
    await asOrdinaryUser(() =>
      assert.rejects(directoryKeys(join(home.path, 'keys')).keyset('N1').lock(), { code: 'EACCES' }),
    );
    await chmod(path, 0o755);
    assert.deepEqual(await readdir(path), ['secret.key']);
  });
});
