import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const CHILD = fileURLToPath(new URL('./temporary-child.ts', import.meta.url));

for (const [how, status] of [
  ['return', 0],
  ['throw', 1],
  ['exit', 3],
] as const) {
  test(`a temporary directory goes when its program ends: ${how}`, () => {
    const child = spawnSync(process.execPath, [CHILD, how], { encoding: 'utf8' });
    assert.equal(child.status, status, child.stderr);
    assert.ok(child.stdout.startsWith(join(tmpdir(), 'blindfit-keys-')));
    assert.ok(!existsSync(child.stdout));
  });
}
