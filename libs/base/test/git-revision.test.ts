/** The commit of checkouts of all forms. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gitRevision } from '../src/node/index.ts';

const HASH = 'a'.repeat(40);
const root = mkdtempSync(join(tmpdir(), 'blindfit-revision-'));
after(() => rmSync(root, { recursive: true, force: true }));

test('a repository, a packed branch, a work tree and a detached head tell their commit', () => {
  const git = (...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], { cwd: root, encoding: 'utf8' }).trim();
  assert.equal(gitRevision(root), undefined, 'there is no repository');
  git('init', '--quiet');
  assert.equal(gitRevision(root), undefined, 'there is no commit');
  git('commit', '--quiet', '--allow-empty', '--message', 'one');
  const head = git('rev-parse', 'HEAD');
  assert.equal(gitRevision(root), head);
  git('worktree', 'add', '--quiet', '-b', 'other', join(root, 'other'));
  assert.equal(gitRevision(join(root, 'other')), head);
  // Another branch whose name ends alike.
  const elsewhere = git('commit-tree', '-m', 'two', `${head}^{tree}`);
  git('update-ref', 'refs/heads/a/other', elsewhere);
  git('update-ref', 'refs/heads/other-one', elsewhere);
  git('pack-refs', '--all');
  assert.equal(gitRevision(root), head);
  assert.equal(gitRevision(join(root, 'other')), head);
  writeFileSync(join(root, '.git', 'HEAD'), `${HASH}\n`);
  assert.equal(gitRevision(root), HASH);
});
