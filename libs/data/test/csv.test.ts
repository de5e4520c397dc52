import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { suite, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { asOrdinaryUser } from '@blindfit/testkit';
import { classesOf, DatasetError, readCsv } from '../src/index.ts';
import { isDatasetError, mutate, randomIntegers, scratchFiles, type ExpectedError } from './support.ts';

const scratch = await scratchFiles();

suite('readCsv reads', () => {
  const rows = { labels: ['5', '0'], features: [0.5, -1, 2, 1e-3] };
  const table: { name: string; text: string | Uint8Array; labels?: string[]; features?: number[] }[] = [
    { name: 'plain rows', text: '5,0.5,-1\n0,2,1e-3\n' },
    { name: 'a last line without line end', text: '5,0.5,-1\n0,2,1e-3' },
    { name: 'a header', text: 'label,f1,f2\n5,0.5,-1\n0,2,1e-3\n' },
    { name: 'a quoted header with spaces and commas', text: '"label"," mean, left","b"\n5,0.5,-1\n0,2,1e-3\n' },
    { name: 'a header with an unnamed column', text: 'label,,f2\n5,0.5,-1\n0,2,1e-3\n' },
    { name: 'a pandas header that numbers the features from 0', text: 'label,0,1\n5,0.5,-1\n0,2,1e-3\n' },
    { name: 'a header that numbers the features from 1', text: 'Class,1,2\n5,0.5,-1\n0,2,1e-3\n' },
    { name: 'a pandas header whose index has no name', text: ',0,1\n5,0.5,-1\n0,2,1e-3\n' },
    { name: 'CRLF', text: 'label,f1,f2\r\n5,0.5,-1\r\n0,2,1e-3\r\n' },
    { name: 'CR alone', text: 'label,f1,f2\r5,0.5,-1\r0,2,1e-3\r' },
    { name: 'semicolons and decimal commas', text: 'label;f1;f2\r\n5;0,5;-1\r\n0;2;1e-3\r\n' },
    { name: 'semicolons and decimal points', text: '5;0.5;-1\n0;2;1e-3\n' },
    { name: 'a separator that the first line announces', text: 'sep=;\n5;0,5;-1\n0;2;0,001\n' },
    { name: 'tabs', text: 'label\tf1\tf2\n5\t0.5\t-1\n0\t2\t1e-3\n' },
    { name: 'vertical bars', text: '5|0.5|-1\n0|2|1e-3' },
    { name: 'spaces', text: '  5 0.5   -1\n  0   2 1e-3\n' },
    { name: 'tabs and spaces', text: '5 0.5\t-1 \n0   2 1e-3\n' },
    { name: 'comments', text: '# made by hand\n5,0.5,-1\n# and so on\n0,2,1e-3\n' },
    { name: 'rows of empty cells, as spreadsheets leave them', text: '5,0.5,-1\n,,\n0,2,1e-3\n,,\n' },
    { name: 'a column of empty cells', text: '5,0.5,-1,\n0,2,1e-3,\n' },
    { name: 'gzip', text: gzipSync('5,0.5,-1\n0,2,1e-3\n') },
    { name: 'two members of gzip', text: Buffer.concat([gzipSync('5,0.5,-1\n'), gzipSync('0,2,1e-3\n')]) },
    { name: 'UTF-16 without a mark', text: Buffer.from('5,0.5,-1\n0,2,1e-3\n', 'utf16le') },
    { name: 'UTF-16, the high byte first', text: Buffer.from('\ufeff5,0.5,-1\n0,2,1e-3\n', 'utf16le').swap16() },
    { name: 'missing cells, filled', text: 'a,NaN,-1\nb,0.5,\n', labels: ['a', 'b'], features: [0.5, -1, 0.5, -1] },
    { name: 'a label last', text: '0.5,-1,cat\n2,1e-3,dog\n', labels: ['cat', 'dog'] },
    { name: 'labels in two Unicode forms', text: 'caf\u00e9,0.5,-1\ncafe\u0301,2,1e-3\n', labels: ['café', 'café'] },
    { name: 'mixed line ends', text: 'label,f1,f2\n5,0.5,-1\r\n0,2,1e-3\r' },
    { name: 'a byte order mark', text: '\ufeff5,0.5,-1\n0,2,1e-3\n' },
    { name: 'UTF-16 with a byte order mark', text: Buffer.from('\ufeff5,0.5,-1\n0,2,1e-3\n', 'utf16le') },
    { name: 'a byte order mark before a quoted cell', text: '\ufeff"5","0.5","-1"\r\n"0","2","1e-3"\r\n' },
    { name: 'blank lines and lines of spaces', text: '\n\n5,0.5,-1\n   \n\r\n0,2,1e-3\n\n' },
    { name: 'spaces around cells', text: ' 5 ,\t0.5 , -1\n 0, 2 ,1e-3 \n' },
    { name: 'other spellings of the same numbers', text: '5.000e+00,+.5,-1.\n-0.0,2E0,1e-03\n' },
    { name: 'text labels, trimmed', text: ' cat ,0.5,-1\n"a ""big"", dog",2,1e-3\n', labels: ['cat', 'a "big", dog'] },
    {
      name: 'a label that is called y on features numbered from 2, not taken for a header',
      text: 'y,2,3\ndog,2,3\n',
      labels: ['y', 'dog'],
      features: [2, 3, 2, 3],
    },
    {
      name: 'a text label on numbered features, not taken for a header',
      text: 'cat,0,1\ndog,2,3\n',
      labels: ['cat', 'dog'],
      features: [0, 1, 2, 3],
    },
    {
      name: 'labels beyond exact integers, as written',
      text: '9007199254740993,0.5,-1\n9007199254740992.0,2,1e-3\n',
      labels: ['9007199254740993', '9007199254740992.0'],
    },
    { name: 'fractional labels, as written', text: '5.5,0.5,-1\n0x10,2,1e-3\n', labels: ['5.5', '0x10'] },
    { name: 'leading zeros and signs in labels', text: '007,0.5,-1\n+3,2,1e-3\n', labels: ['7', '3'] },
    {
      name: 'the edges of a double',
      text: 'a,1.7976931348623157e308,5e-324\nb,-1.7976931348623157e308,-0\n',
      labels: ['a', 'b'],
      features: [Number.MAX_VALUE, Number.MIN_VALUE, -Number.MAX_VALUE, -0],
    },
  ];
  for (const { name, text, labels = rows.labels, features = rows.features } of table) {
    test(name, async () => {
      const data = await readCsv(await scratch(text));
      assert.deepEqual(
        { n: data.n, d: data.d, labels: data.labels, features: [...data.features] },
        { n: 2, d: 2, labels, features },
      );
    });
  }

  test('a single feature and a single row', async () => {
    const data = await readCsv(await scratch('a,1\n'));
    assert.deepEqual([data.n, data.d, data.labels, [...data.features]], [1, 1, ['a'], [1]]);
  });

  test('a file of many chunks, exactly', async () => {
    const [n, d] = [3000, 41];
    const value = (i: number, j: number): number => Math.fround(Math.sin(i * d + j) * 10 ** ((i % 30) - 15));
    const line = (_: unknown, i: number): string =>
      [`${i % 7}.0`, ...Array.from({ length: d }, (__, j) => value(i, j))].join(',');
    const data = await readCsv(await scratch(Array.from({ length: n }, line).join('\r\n')));
    assert.deepEqual([data.n, data.d], [n, d]);
    data.features.forEach((found, at) => assert.equal(found, value(Math.floor(at / d), at % d)));
    assert.deepEqual(classesOf(data.labels), ['0', '1', '2', '3', '4', '5', '6']);
  });

  test('a row of 100,000 features', async () => {
    const data = await readCsv(await scratch(`a${',1.5'.repeat(100_000)}\n`));
    assert.equal(data.d, 100_000);
  });

  const sample = resolve(import.meta.dirname, '../../../../shared/data/regnet_x_400mf-mnist-first128.csv');
  test(
    'CNN features of MNIST',
    { skip: existsSync(sample) ? false : 'the optional sample data is not here' },
    async () => {
      const data = await readCsv(sample);
      assert.deepEqual([data.n, data.d], [128, 400]);
      assert.deepEqual(data.labels.slice(0, 5), ['5', '0', '4', '1', '9']);
      assert.deepEqual([...data.features.subarray(0, 2)], [4.153106, 0.23424642]);
      assert.deepEqual(classesOf(data.labels), ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
    },
  );
});

suite('readCsv refuses', () => {
  const table: ({ name: string; text: string | Uint8Array } & ExpectedError)[] = [
    { name: 'an empty file', text: '', code: 'empty', message: /file is empty/ },
    { name: 'blank lines only', text: '\n \r\n\n', code: 'empty', message: /file is empty/ },
    { name: 'a byte order mark only', text: '\ufeff', code: 'empty', message: /file is empty/ },
    { name: 'a header only', text: 'label,f1,f2\n', code: 'empty', message: /a header and no samples/ },
    {
      name: 'Infinity',
      text: 'label,f1,f2\na,-Infinity,2\n',
      code: 'not-a-number',
      line: 2,
      column: 2,
      message: /\("f1"\) is "-Infinity"/,
    },
    { name: 'overflow', text: 'a,1,1e999\n', code: 'ambiguous-header', line: 1, column: 3, message: /"1e999"/ },
    {
      name: 'overflow in a later row',
      text: 'a,1,2\nb,1,1e999\n',
      code: 'not-a-number',
      line: 2,
      column: 3,
      message: /"1e999"/,
    },
    { name: 'text', text: 'a,1,2\n\n\nb,3,x\n', code: 'not-a-number', line: 4, column: 3, message: /is "x"/ },
    { name: 'hexadecimal', text: 'a,1,2\nb,3,0x10\n', code: 'not-a-number', line: 2, column: 3, message: /"0x10"/ },
    { name: 'underscores', text: 'a,1,2\nb,1_000,4\n', code: 'not-a-number', line: 2, column: 2, message: /"1_000"/ },
    {
      name: 'a quoted decimal comma',
      text: 'a,1,2\nb,"1,5",2\n',
      code: 'not-a-number',
      line: 2,
      column: 2,
      message: /"1,5"/,
    },
    {
      name: 'a long cell, shortened',
      text: `a,1\nb,${'x'.repeat(5000)}\n`,
      code: 'not-a-number',
      line: 2,
      column: 2,
      message: /^.{0,500}$/,
    },
    {
      name: 'a damaged first sample',
      text: '5,0.1,o.2,0.3\n',
      code: 'ambiguous-header',
      line: 1,
      column: 3,
      message: /if it is a header, name every column/,
    },
    {
      name: 'a short row',
      text: 'a,1,2\nb,3\n',
      code: 'ragged-row',
      line: 2,
      message: /expected 3 cells as in line 1, found 2/,
    },
    {
      name: 'a long row',
      text: 'label,f1\r\na,3\r\nb,4,5\r\n',
      code: 'ragged-row',
      line: 3,
      message: /expected 2 cells as in line 1, found 3/,
    },
    {
      name: 'rows longer than the header',
      text: '\nlabel,f1\na,3,4\n',
      code: 'ragged-row',
      line: 3,
      message: /as in line 2/,
    },
    { name: 'an empty label', text: 'a,1\n,2\n', code: 'bad-label', line: 2, column: 1, message: /empty/ },
    { name: 'a label of spaces', text: 'a,1\n"  ",2\n', code: 'bad-label', line: 2, column: 1, message: /empty/ },
    {
      name: 'a missing label as numpy writes it',
      text: '1,1\nnan,2\n',
      code: 'bad-label',
      line: 2,
      column: 1,
      message: /NaN/,
    },
    {
      name: 'a control character in a label',
      text: 'a,1\nb\u001b[31m,2\n',
      code: 'bad-label',
      line: 2,
      column: 1,
      message: /control characters/,
    },
    {
      name: 'a label that is not UTF-8',
      text: Buffer.from('a,1\nn\xe9,2\n', 'latin1'),
      code: 'bad-label',
      line: 2,
      column: 1,
      message: /UTF-8/,
    },
    {
      name: 'a very long label',
      text: `a,1\n${'b'.repeat(201)},2\n`,
      code: 'bad-label',
      line: 2,
      column: 1,
      message: /201 characters; at most 200/,
    },
    { name: 'labels alone', text: '5\n0\n', code: 'no-features', line: 1, message: /label,f1,...,fd/ },
    {
      name: 'an unclosed quote',
      text: 'a,1\n"b,2\nc,3\n',
      code: 'malformed-csv',
      line: 2,
      message: /quote.*starts after line 1:/i,
    },
    { name: 'a quote inside a cell', text: 'a,1\nb"c,2\n', code: 'malformed-csv', line: 2, message: /double quotes/ },
    { name: 'text after a quote', text: 'a,1\n"b"c,2\n', code: 'malformed-csv', line: 2, message: /double quotes/ },
    {
      name: 'an endless record',
      text: `a,1\n"${'b,2\n'.repeat(1_200_000)}`,
      code: 'malformed-csv',
      line: 2,
      message: /exceed.*starts after line 1:/i,
    },
  ];
  for (const { name, text, ...expected } of table) {
    test(name, async () => {
      const path = await scratch(text);
      await assert.rejects(readCsv(path), isDatasetError(expected, path));
    });
  }

  test('a missing file', async () => {
    const path = join(tmpdir(), 'blindfit-no-such-folder', 'x.csv');
    await assert.rejects(readCsv(path), isDatasetError({ code: 'file-not-found', message: /no such file/ }, path));
  });
  test('a directory', async () => {
    await assert.rejects(readCsv(tmpdir()), isDatasetError({ code: 'unreadable', message: /directory/ }, tmpdir()));
  });
  test('a path that cannot be one', async () => {
    await assert.rejects(readCsv('a\0b'), isDatasetError({ code: 'unreadable', message: /cannot be read/ }, 'a\0b'));
  });
  test('a file without permission', async () => {
    const path = await scratch('a,1\n');
    await chmod(path, 0);
    await asOrdinaryUser(() =>
      assert.rejects(readCsv(path), isDatasetError({ code: 'unreadable', message: /permission/ }, path)),
    );
  });
});

test('400 random mutations of a CSV file: a sound dataset or a DatasetError', async () => {
  const valid = Buffer.from('\ufefflabel,f1,"f,2"\r\n5.0,0.25,-1e-3\r\n\r\n"0",1,2\r\n5.0,3.5,"4"\r\n');
  const random = randomIntegers(1);
  const outcomes = { read: 0, refused: 0 };
  for (let i = 0; i < 400; i++) {
    const bytes = mutate(valid, random);
    try {
      const { n, d, labels, features } = await readCsv(await scratch(bytes));
      assert.ok(
        n >= 1 && d >= 1 && labels.length === n && features.length === n * d && features.every(Number.isFinite),
      );
      assert.ok(labels.every((label) => label !== ''));
      outcomes.read++;
    } catch (error) {
      assert.ok(
        error instanceof DatasetError,
        `mutation ${i}, ${JSON.stringify(Buffer.from(bytes).toString('latin1'))}: ${String(error)}`,
      );
      outcomes.refused++;
    }
  }
  assert.ok(outcomes.read > 20 && outcomes.refused > 100, JSON.stringify(outcomes));
});
