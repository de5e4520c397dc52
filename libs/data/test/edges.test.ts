/** Errors of the file system, values that JSON would lose, and labels that are none. */
import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '@blindfit/testkit';
import { asFileError } from '../src/dataset-error.ts';
import { readIdxLabels } from '../src/index.ts';
import { jsonProblem } from '../src/json.ts';
import { labelProblem } from '../src/labels.ts';

test('errors of the file system are named, others pass as they are', () => {
  const codeOf = (code: string): unknown => {
    const error = asFileError(Object.assign(new Error('x'), { code }), 'f');
    return 'code' in error ? error.code : undefined;
  };
  for (const code of ['ENOENT', 'ENOTDIR']) assert.equal(codeOf(code), 'file-not-found', code);
  for (const code of ['EISDIR', 'EACCES', 'EPERM', 'EIO']) assert.equal(codeOf(code), 'unreadable', code);
  const bug = new TypeError('a bug');
  assert.equal(asFileError(bug, 'f'), bug);
});

test('what JSON would lose is found at its place', () => {
  const cases: readonly [unknown, string | undefined][] = [
    [{ a: [1, 'x', null, true, { b: [] }] }, undefined],
    [[1, NaN], 't[1] is NaN'],
    [{ a: { b: Infinity } }, 't.a.b is Infinity'],
    [[1, , 3], 't[1] is undefined'],
    [{ a: undefined }, 't.a is undefined'],
    [[1n], 't[0] is bigint'],
    [{ a: new Map() }, 't.a is an object with a class'],
  ];
  for (const [value, problem] of cases) assert.equal(jsonProblem(value, 't'), problem);
});

test('labels that are missing values or no text are refused', () => {
  for (const label of ['nan', 'NaN', 'NAN', '', 'a\u0007', 'a\uFFFD', 'x'.repeat(201)])
    assert.notEqual(labelProblem(label), undefined, label);
  for (const label of ['nano', 'none', 'x'.repeat(200), 'é']) assert.equal(labelProblem(label), undefined, label);
});

test('a file that was looked at is closed', async (t) => {
  if (process.platform !== 'linux') return t.skip('open files are listed by Linux');
  const path = join(await temporaryDirectory(t), 'labels');
  await writeFile(path, Buffer.from([0, 0, 8, 1, 0, 0, 0, 1, 7]));
  const open = async (): Promise<number> => (await readdir('/proc/self/fd')).length;
  await readIdxLabels(path);
  const before = await open();
  for (let round = 0; round < 20; round++) assert.deepEqual(await readIdxLabels(path), ['7']);
  assert.ok((await open()) < before + 10);
});
