import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { at } from '@blindfit/base';
import {
  applyInput,
  DatasetError,
  featureNames,
  fitInput,
  parseInput,
  readTable,
  selectRows,
  type InputChoices,
  type LabelledDataset,
} from '../src/index.ts';
import { median } from '../src/input/median.ts';
import { NumberReader } from '../src/table/parse-number.ts';
import { randomIntegers, scratchFiles } from './support.ts';

const scratch = await scratchFiles();

async function fit(text: string, choices: InputChoices = {}): ReturnType<typeof fitted> {
  return fitted(text, choices);
}

async function fitted(
  text: string,
  choices: InputChoices,
): Promise<{ labels: readonly string[]; rows: number[][]; notes: string; names: readonly string[] }> {
  const { data, notes, input } = fitInput(await readTable(await scratch(text)), choices);
  return { labels: data.labels, rows: rowsOf(data), notes: notes.join('\n'), names: featureNames(input) };
}

function rowsOf({ features, n, d }: Pick<LabelledDataset, 'features' | 'n' | 'd'>): number[][] {
  return Array.from({ length: n }, (_, i) => [...features.subarray(i * d, (i + 1) * d)]);
}

/** A file of rows made from their number. */
function lines(count: number, line: (i: number) => string, header = ''): string {
  return header + Array.from({ length: count }, (_, i) => `${line(i)}\n`).join('');
}

function refused(code: DatasetError['code'], message: RegExp): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof DatasetError, String(error));
    assert.match(error.message, message);
    assert.equal(error.code, code);
    return true;
  };
}

suite('the label is', () => {
  const table: { name: string; text: string; label?: string; labels: string[]; first: number[] }[] = [
    { name: 'the column called so', text: 'a,Species,b\n1,x,2\n3,y,4\n', labels: ['x', 'y'], first: [1, 2] },
    { name: 'the surer of two names', text: 'y,class,b\n1,x,2\n3,z,4\n', labels: ['x', 'z'], first: [1, 2] },
    { name: 'the column asked for', text: 'a,b,label\n1,2,3\n3,4,5\n', label: 'b', labels: ['2', '4'], first: [1, 3] },
    { name: 'a column by number', text: '1,x,2\n3,y,4\n', label: '2', labels: ['x', 'y'], first: [1, 2] },
    { name: 'the last', text: '1,5,2\n3,6,4\n', label: 'last', labels: ['2', '4'], first: [1, 5] },
    {
      name: 'last where the first column holds measurements',
      text: lines(12, (i) => `${i + 0.5},${i % 2},${i % 3}`),
      labels: Array.from({ length: 12 }, (_, i) => String(i % 3)),
      first: [0.5, 0],
    },
    {
      name: 'beside an index without a name',
      text: lines(3, (i) => `${i},${i % 2},${i * 2}`, ',label,f\n'),
      labels: ['0', '1', '0'],
      first: [0],
    },
    {
      name: 'not a y that holds measurements, beside a label without a known name',
      text: lines(12, (i) => `${i % 2},${i + 0.5}`, 'kind,value\n'),
      labels: Array.from({ length: 12 }, (_, i) => String(i % 2)),
      first: [0.5],
    },
  ];
  for (const { name, text, label, labels, first } of table)
    test(name, async () => {
      const found = await fit(text, { label });
      assert.deepEqual([found.labels, found.rows[0]], [labels, first]);
      assert.match(found.notes, /the label is /);
    });

  const wrong: { name: string; text: string; label?: string; code: DatasetError['code']; message: RegExp }[] = [
    { name: 'unknown', text: 'a,b\n1,2\n', label: 'c', code: 'bad-column', message: /no column "c".*it has a, b/ },
    { name: 'beyond the last', text: '1,2\n3,4\n', label: '3', code: 'bad-column', message: /it has 2 columns/ },
    {
      name: 'measurements',
      text: lines(12, (i) => `${i / 3},${i}`, 'target,f\n'),
      code: 'bad-label-column',
      message: /"target" holds measurements: 12 different values in 12 rows.*`label`/,
    },
    {
      name: 'ids',
      text: lines(12, (i) => `k${i},${i}.5`),
      label: '1',
      code: 'bad-label-column',
      message: /column 1 tells rows apart, as an id does/,
    },
    {
      name: 'one of two',
      text: 'a,class,target\n1,2,3\n4,5,6\n',
      code: 'bad-label-column',
      message: /"class" and "target"/,
    },
  ];
  for (const { name, text, label, code, message } of wrong)
    test(`refused: ${name}`, async () => {
      await assert.rejects(fit(text, { label }), refused(code, message));
    });
});

suite('missing cells', () => {
  const text = 'label,a,b\nx,1,10\ny,,20\nx,4,?\ny,NA,60\nx,5,null\n';

  test('get the median, and are counted', async () => {
    const { rows, notes } = await fit(text);
    assert.deepEqual(rows, [
      [1, 10],
      [4, 20],
      [4, 20],
      [4, 60],
      [5, 20],
    ]);
    assert.match(notes, /4 cells are missing \(a 2, b 2\) and filled with the median/);
  });

  test('get the mean', async () => {
    const { rows } = await fit(text, { missing: 'mean' });
    assert.deepEqual(rows.map((row) => row.map((value) => Number(value.toFixed(9))))[1], [3.333333333, 20]);
    assert.deepEqual(rows[2], [4, 30]);
  });

  test('leave out their rows', async () => {
    const { rows, labels, notes } = await fit(text, { missing: 'drop' });
    assert.deepEqual([rows, labels], [[[1, 10]], ['x']]);
    assert.match(notes, /4 of 5 rows have missing cells/);
  });
});

suite('text columns', () => {
  test('become a feature a value', async () => {
    const { rows, names } = await fit('label,c,f\nx,red,1\ny,blue,2\nx,red,3\ny,,4\n');
    assert.deepEqual(names, ['c = blue', 'c = red', 'c = (missing)', 'f']);
    assert.deepEqual(rows, [
      [0, 1, 0, 1],
      [1, 0, 0, 2],
      [0, 1, 0, 3],
      [0, 0, 1, 4],
    ]);
  });

  test('put rare values into one, and are left out if all differ', async () => {
    const rare = lines(40, (i) => `${i % 2},${i < 3 ? `r${i}` : `v${i % 2}`},n${i}`, 'label,c,name\n');
    const { names, notes } = await fit(rare);
    assert.deepEqual(names, ['c = v0', 'c = v1', 'c = (other)']);
    assert.match(notes, /"name" is left out: 40 different texts/);
  });

  test('are refused among numbers, unless they are said to be names', async () => {
    const text = 'label,f,g\nx,1,1\ny,two,2\nx,1,3\ny,two,4\n';
    await assert.rejects(fit(text), refused('not-a-number', /line 3, column 2: the cell \("f"\) is "two".*`ignore` f/));
    assert.deepEqual((await fit(text, { ignore: ['f'] })).names, ['g']);
    assert.deepEqual((await fit(text, { categories: ['f'] })).names, ['f = 1', 'f = two', 'g']);
  });
});

suite('what was fitted is applied to', () => {
  const training = 'id,age,colour,label\n1,10,red,x\n2,,blue,y\n3,30,red,x\n4,20,blue,y\n';
  const input = async (): Promise<ReturnType<typeof parseInput>> => {
    const made = fitInput(await readTable(await scratch(training))).input;
    return parseInput(JSON.parse(JSON.stringify(made)));
  };
  const apply = async (text: string): Promise<{ rows: number[][]; labels: unknown; notes: string }> => {
    const { data, notes } = applyInput(await input(), await readTable(await scratch(text)), { labelled: false });
    return { rows: rowsOf(data), labels: data.labels, notes: notes.join('\n') };
  };

  test('columns by name, in any order, without the label', async () => {
    const { rows, labels, notes } = await apply('colour,size,age\nred,7,5\ngreen,7,\nblue,7,6\n');
    assert.deepEqual(
      [rows, labels],
      [
        [
          [5, 0, 1],
          [20, 0, 0],
          [6, 1, 0],
        ],
        undefined,
      ],
    );
    assert.match(notes, /does not use: size/);
    assert.match(notes, /1 missing cell is filled/);
    assert.match(notes, /did not occur in the training: green/);
  });

  test('columns by position, with and without the label', async () => {
    assert.deepEqual(await apply('9,5,red,y\n8,6,blue,x\n').then(({ labels }) => labels), ['y', 'x']);
    assert.deepEqual((await apply('9,5,red\n8,6,blue\n')).rows, [
      [5, 0, 1],
      [6, 1, 0],
    ]);
  });

  test('not to tables that lack a column', async () => {
    await assert.rejects(
      apply('colour,size\nred,7\nblue,8\n'),
      refused('bad-column', /not there: age; the file has colour, size/),
    );
    await assert.rejects(apply('1\n2\n'), refused('bad-shape', /trained on 2 columns and the data has 0/));
  });
});

test('damaged input sections are refused', () => {
  const column = { kind: 'number', position: 1, fill: 0 };
  const sound = { version: 1, width: 2, label: { position: 0 }, columns: [column] };
  assert.equal(parseInput(sound).width, 2);
  const damaged: unknown[] = [
    { ...sound, version: 2 },
    { ...sound, width: 0 },
    { ...sound, more: 1 },
    { ...sound, columns: [] },
    { ...sound, columns: [{ ...column, position: 2 }] },
    { ...sound, columns: [{ ...column, fill: null }] },
    { ...sound, columns: [{ ...column, kind: 'date' }] },
    { ...sound, columns: [{ kind: 'text', position: 1, categories: ['a', 'a'], other: false, missing: false }] },
    { ...sound, columns: [{ kind: 'text', position: 1, categories: [], other: false, missing: false }] },
  ];
  for (const value of damaged) assert.throws(() => parseInput(value), refused('bad-model', /^input /));
});

test('rows of a table are chosen in any order', async () => {
  const table = selectRows(await readTable(await scratch('a,b\nx,1\ny,\nz,3\n')), [2, 1]);
  assert.deepEqual([table.rows, table.columns[1]?.empty, table.place(0).line], [2, 1, 4]);
  assert.deepEqual(rowsOf(fitInput(table).data), [[3], [3]]);
});

test('medians', () => {
  const random = randomIntegers(3);
  for (let n = 1; n < 40; n++) {
    const values = Array.from({ length: n }, () => random(12));
    const sorted = values.toSorted((a, b) => a - b);
    const expected = (at(sorted, (n - 1) >> 1, 'values') + at(sorted, n >> 1, 'values')) / 2;
    assert.equal(median(Float64Array.from(values)), expected, values.join());
  }
});

test('numbers are those of Number, to the last bit', () => {
  const random = randomIntegers(4);
  const reader = new NumberReader(46);
  const digits = (count: number): string => Array.from({ length: count }, () => random(10)).join('');
  for (let i = 0; i < 5000; i++) {
    const fraction = random(3) === 0 ? '' : `.${digits(random(20))}`;
    const exponent = random(3) === 0 ? `e${random(2) === 0 ? '-' : ''}${random(40)}` : '';
    const text = `${random(2) === 0 ? '-' : ''}${digits(1 + random(18))}${fraction}${exponent}`;
    const bytes = Buffer.from(text);
    assert.equal(reader.read(bytes, 0, bytes.length), Number(text), text);
    assert.equal(reader.end, bytes.length, text);
  }
});
