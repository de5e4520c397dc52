import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAge, formatBytes, formatCount, formatEta, formatSeconds, printable } from '../src/format.ts';
import { formatPairs, formatTable } from '../src/table.ts';

function table<T>(name: string, format: (value: T) => string, cases: readonly (readonly [T, string])[]): void {
  test(name, () => {
    for (const [value, text] of cases) assert.equal(format(value), text, String(value));
  });
}

table('bytes', formatBytes, [
  [0, '0 B'],
  [-5, '0 B'],
  [999, '999 B'],
  [1000, '0.98 KiB'],
  [1536, '1.50 KiB'],
  [10_234, '9.99 KiB'],
  [10_235, '10.0 KiB'],
  [102_348, '99.9 KiB'],
  [102_350, '100 KiB'],
  [14.7 * 2 ** 20, '14.7 MiB'],
  [1023 * 2 ** 20, '1.00 GiB'],
  [5 * 2 ** 50, '5120 TiB'],
]);

table('seconds', formatSeconds, [
  [0, '0.000 s'],
  [-1, '0.000 s'],
  [0.0421, '0.042 s'],
  [3.25, '3.3 s'],
  [9.96, '10 s'],
  [59.4, '59 s'],
  [59.6, '1 min 00 s'],
  [200, '3 min 20 s'],
  [3599.4, '59 min 59 s'],
  [3599.6, '1 h 00 min'],
  [7500, '2 h 05 min'],
  [86_399, '1 d 0 h'],
  [273_600, '3 d 4 h'],
  [Infinity, 'unknown'],
]);

table('estimates', formatEta, [
  [0, 'a moment'],
  [1.2, '2 s'],
  [11, '15 s'],
  [57, '60 s'],
  [58, '1 min'],
  [250, '4 min'],
  [3569, '59 min'],
  [3570, '59 min 30 s'],
  [7500, '2 h 05 min'],
]);

test('ages and counts', () => {
  const now = Date.parse('2025-01-10T00:00:00Z');
  const ages = [
    '2025-01-09T23:59:55Z',
    '2025-01-09T23:59:20Z',
    '2025-01-09T23:30:00Z',
    '2025-01-08T03:00:00Z',
    '2025-01-01T00:00:00Z',
    'nonsense',
  ];
  assert.deepEqual(
    ages.map((iso) => formatAge(iso, now)),
    ['just now', '40 s ago', '30 min ago', '45 h ago', '9 d ago', 'unknown'],
  );
  assert.equal(formatCount(1_234_567.4), '1,234,567');
});

test('control characters do not reach the terminal', () => {
  assert.equal(printable('a\u001b[2Jb\rc\td\u009be\nf ü'), 'a\uFFFD[2Jb\uFFFDc\uFFFDd\uFFFDe\nf ü');
});

test('tables are aligned, also with accents, and never break their lines', () => {
  const columns = [{ title: 'NAME' }, { title: 'N', align: 'right' }, { title: 'NOTE' }] as const;
  const text = formatTable(columns, [
    ['zwölf', '12', ''],
    ['x', '7', 'two\nlines \u001b[31m'],
    ['short', '1000', ''],
  ]);
  assert.equal(
    text,
    ['NAME      N  NOTE', 'zwölf    12', 'x         7  two lines \uFFFD[31m', 'short  1000'].join('\n'),
  );
  assert.equal(formatTable(columns, []), 'NAME  N  NOTE');
  assert.throws(() => formatTable(columns, [['short', '1000']]), RangeError);
  assert.equal(
    formatPairs([
      ['a', '1'],
      ['long', '2'],
      ['', '3'],
    ]),
    'a     1\nlong  2\n      3',
  );
});
