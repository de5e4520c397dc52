import assert from 'node:assert/strict';
import { chmod, readFile, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { temporaryDirectory } from '@blindfit/testkit';
import { writeOutput } from '../src/train/output.ts';

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

describe('a result', () => {
  it('in a new file is for its user alone', async (t) => {
    const path = join(await temporaryDirectory(t), 'model.json');
    await writeOutput('--out', path, 'secret');
    assert.equal(await modeOf(path), 0o600);
    assert.equal(await readFile(path, 'utf8'), 'secret');
  });

  it('in an existing file keeps its mode, also behind a link', async (t) => {
    const directory = await temporaryDirectory(t);
    const [path, link] = [join(directory, 'model.json'), join(directory, 'link')];
    await writeOutput('--out', path, 'first');
    await chmod(path, 0o640);
    await symlink(path, link);
    await writeOutput('--out', link, 'second');
    assert.equal(await modeOf(path), 0o640);
    assert.equal(await readFile(path, 'utf8'), 'second');
  });
});
