/** The pages say what the code says: help texts, settings, metrics, packages and plans. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { parts, partsIn } from './generate.ts';
import { pages, read } from './support.ts';

it('generated parts of the documentation are up to date, and each is in some page', async () => {
  const known = await parts();
  const used = new Set<string>();
  const behind: string[] = [];
  for (const path of pages()) {
    for (const [name, text] of partsIn(read(path))) {
      used.add(name);
      if (text !== known.get(name)) behind.push(`${path}: ${name}`);
    }
  }
  assert.deepEqual(behind, [], 'these parts are behind the code; run: npm run docs');
  assert.deepEqual(
    [...known.keys()].filter((name) => !used.has(name)),
    [],
    'every generated part is in a page',
  );
});
