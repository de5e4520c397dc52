import assert from 'node:assert/strict';
import { test } from 'node:test';
import { moduleUrl } from '@blindfit/base';

test('a module beside the caller has the extension of the caller', () => {
  assert.equal(moduleUrl('./thread.ts', 'file:///p/src/pool.ts').href, 'file:///p/src/thread.ts');
  assert.equal(moduleUrl('./thread.ts', 'file:///p/dist/pool.js').href, 'file:///p/dist/thread.js');
  assert.equal(moduleUrl('./parts/its.ts', 'file:///p/dist/pool.js').href, 'file:///p/dist/parts/its.js');
  assert.equal(moduleUrl('./sub/a.ts.ts', 'file:///p/dist/pool.js').href, 'file:///p/dist/sub/a.ts.js');
});
