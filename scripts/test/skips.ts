/** A reporter for `node --test` that writes one line for each skipped test or suite. */
import { relative } from 'node:path';
import type { TestEvent } from 'node:test/reporters';
import { ROOT } from '../steps.ts';

export default async function* skips(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const { skip, file, name } = data;
    if (skip === undefined || skip === false) continue;
    const reason = typeof skip === 'string' && skip !== '' ? skip : 'no reason given';
    yield `  ${file === undefined ? '' : `${relative(ROOT, file)}: `}${name}: ${reason}\n`;
  }
}
