/** The checks of a listed fault, each with a list that has to be refused. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { placeOf, problemsOf, type Mutant } from '../../scripts/mutants/list.ts';
import { loadErrors } from '../../scripts/mutants/load-errors.ts';

test('a fault is refused unless it can be put in at one place and names its tests', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'blindfit-test-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  await mkdir(join(root, 'src'));
  await writeFile(join(root, 'src/a.ts'), 'one\ntwo\ntwo\n');
  await writeFile(join(root, 'src/a.test.ts'), '');
  const good: Mutant = { file: 'src/a.ts', find: 'one', replace: 'eins', tests: ['src/a.test.ts'], what: 'Wrong.' };
  assert.deepEqual(problemsOf(good, root), []);
  assert.equal(placeOf({ ...good, find: 'two\ntwo' }, root), 'src/a.ts:2');

  const bad: [Partial<Mutant> & Record<string, unknown>, string][] = [
    [{ find: 'two' }, 'has a "find" that occurs 2 times'],
    [{ find: 'three' }, 'has a "find" that occurs 0 times'],
    [{ find: '' }, 'has a "find" that occurs 11 times'],
    [{ replace: 'one' }, 'replaces a text by itself'],
    [{ tests: [] }, 'names no tests'],
    [{ tests: ['src/b.test.ts'] }, 'names src/b.test.ts, which is no test'],
    [{ tests: ['src/a.ts'] }, 'names src/a.ts, which is no test'],
    [{ file: 'src/b.ts' }, 'names a file that does not exist'],
    [{ what: ' ' }, 'says nothing in "what"'],
    [
      { test: 'x' },
      'has the fields file, find, replace, test, tests, what instead of file, find, replace, tests, what',
    ],
  ];
  for (const [change, problem] of bad) assert.deepEqual(problemsOf({ ...good, ...change }, root), [problem]);
});

test('a fault that only keeps its file from loading is told from one that tests can find', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'blindfit-test-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  await mkdir(join(root, 'src'));
  await writeFile(join(root, 'tsconfig.json'), '{ "compilerOptions": { "noLib": true, "strict": true, "types": [] } }');
  await writeFile(join(root, 'src/b.ts'), 'export const one = 1;\n');
  await writeFile(
    join(root, 'src/a.ts'),
    "import { one } from './b.ts';\nexport const sum = (limit: number): number => limit + one;\n",
  );
  await writeFile(join(root, 'src/a.test.ts'), '');
  const of = (find: string, replace: string): Mutant => ({
    ...{ file: 'src/a.ts', find, replace },
    ...{ tests: ['src/a.test.ts'], what: 'Wrong.' },
  });
  const mutants = [
    of('limit + one', 'limit - one'),
    of('limit + one', '"text"'),
    of('limit + one', 'limit + two'),
    of('limit + one', 'limit +'),
    of('{ one }', '{ one, three }'),
    of("'./b.ts'", "'./c.ts'"),
  ];
  const problems = loadErrors(mutants, root);
  assert.deepEqual(
    problems.map(({ mutant }) => mutant),
    mutants.slice(2),
  );
  for (const { problem } of problems)
    assert.match(
      problem,
      /^does not load: (Cannot find (name 'two'|module)|Expression expected|Module .* has no exported)/,
    );
});
