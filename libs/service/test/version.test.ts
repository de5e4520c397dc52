import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { temporaryDirectory } from '@blindfit/testkit';
import { revisionOf } from '../src/version.ts';

test('the commit is that of the package, else of the file of an image, else unknown', async () => {
  await using directory = await temporaryDirectory();
  assert.equal(revisionOf({}, directory.path), 'unknown');
  writeFileSync(`${directory.path}/.revision`, `${'b'.repeat(40)}\n`);
  assert.equal(revisionOf({}, directory.path), 'b'.repeat(12));
  assert.equal(revisionOf({ gitHead: 'c'.repeat(40) }, directory.path), 'c'.repeat(12));
});
