import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { it } from 'node:test';
import {
  CapturedLines,
  CapturedText,
  filesUnder,
  freePort,
  randomIntegers,
  randomReals,
  randomVector,
  temporaryDirectory,
  until,
} from '@blindfit/testkit';

it('a temporary directory is removed with its content, after a scope or a test', async () => {
  let path: string;
  {
    await using directory = await temporaryDirectory();
    ({ path } = directory);
    await mkdir(join(path, 'a/b'), { recursive: true });
    await writeFile(join(path, 'a/b/file'), '');
    assert.deepEqual(await filesUnder(path), [join(path, 'a/b/file')]);
  }
  assert.ok(!existsSync(path));

  const removals: (() => Promise<void>)[] = [];
  const other = await temporaryDirectory({ after: (remove) => void removals.push(remove as () => Promise<void>) });
  assert.ok(existsSync(other) && removals.length === 1);
  await removals[0]?.();
  assert.ok(!existsSync(other));
});

it('a free port can be listened on', async () => {
  const server = createServer();
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  server.close();
});

it('random numbers depend on the seed only', () => {
  const reals = randomReals(1);
  assert.deepEqual([reals(), reals()], [1015568748 / 2 ** 32, 1586005467 / 2 ** 32]);
  assert.deepEqual([...randomVector(2, 1)], [1015568748 / 2 ** 31 - 1, 1586005467 / 2 ** 31 - 1]);
  const integers = randomIntegers(2);
  const values = Array.from({ length: 6000 }, () => integers(6));
  const counts = [0, 1, 2, 3, 4, 5].map((value) => values.filter((other) => other === value).length);
  assert.ok(Math.min(...counts) > 900, String(counts));
});

it('until returns what ended the wait, and gives up', async () => {
  let looks = 0;
  assert.equal(await until(() => (++looks === 3 ? looks : undefined), 'it was looked at 3 times', { everyMs: 1 }), 3);
  await assert.rejects(
    until(() => false, 'never', { seconds: 0.01, everyMs: 1 }),
    /waited 0\.01 seconds in vain until never/,
  );
});

it('captured streams keep text and lines', () => {
  const text = new CapturedText();
  text.write('a');
  text.write('b');
  assert.equal(text.text, 'ab');
  const lines = new CapturedLines();
  lines.write('{"a":1}\n{"a":2}\n');
  assert.deepEqual(lines.lines, [{ a: 1 }, { a: 2 }]);
});
