/** Secret keys do not land in a git work tree unnoticed: a real git says what it would commit. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Parameters } from '@blindfit/he';
import { temporaryDirectory } from '@blindfit/testkit';
import { assertNotInGit } from '../src/node/git.ts';
import { openKeyset } from '../src/node/index.ts';
import { SMALL } from './small-ring.ts';

const plan = { parameters: Parameters.of(SMALL, 'none'), steps: [] };

function hasGit(): boolean {
  try {
    execFileSync('git', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

test('a new secret key in a work tree is refused unless git ignores it', { skip: !hasGit() }, async (t) => {
  const home = await temporaryDirectory(t);
  const work = join(home, 'work');
  execFileSync('git', ['init', '--quiet', work]);
  const make = async (directory: string, steps: readonly number[] = []): Promise<void> => {
    (await openKeyset({ directory, plan: { ...plan, steps }, create: true }))[Symbol.dispose]();
  };
  const keys = join(work, 'deep', 'keys');
  const refused = (directory: string, hint: RegExp): Promise<void> =>
    assert.rejects(make(directory), { code: 'KEYSET_IN_GIT', message: /git does not ignore it/, hint });
  await refused(keys, /choose a directory outside of it, .* echo '\/deep\/keys\/' >> \S+\/work\/\.gitignore$/);
  await refused(work, /choose a directory outside of/);
  assert.ok(!existsSync(join(work, 'deep')), 'nothing was made');

  // As the hint says.
  await writeFile(join(work, '.gitignore'), '/deep/keys/\n');
  await make(keys);
  const status = execFileSync('git', ['-C', work, 'status', '--porcelain', '--untracked-files=all'], {
    encoding: 'utf8',
  });
  assert.equal(status, '?? .gitignore\n');
  // Keys that are there are opened and completed, whatever git thinks of them.
  await writeFile(join(work, '.gitignore'), '');
  await make(keys, [1]);

  await make(join(home, 'beside'));
  const linked = join(home, 'linked');
  await mkdir(linked);
  await writeFile(join(linked, '.git'), `gitdir: ${join(work, '.git')}\n`);
  await refused(join(linked, 'keys'), /outside/);

  // Patterns for directories cover one that is still to be made, and hooks name a repository in the environment.
  await writeFile(join(work, '.gitignore'), 'safe/\n');
  process.env['GIT_DIR'] = join(home, 'nowhere');
  t.after(() => delete process.env['GIT_DIR']);
  await assertNotInGit(join(work, 'safe'));
  await assert.rejects(assertNotInGit(join(work, 'unsafe')), { message: /git does not ignore it/ });

  await writeFile(join(linked, '.git'), 'nonsense\n');
  await assert.rejects(make(join(linked, 'keys')), { code: 'KEYSET_IN_GIT', message: /git cannot say/ });
});
