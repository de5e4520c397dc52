import { at } from '@blindfit/base';
import { DatasetError, listed } from '../dataset-error.ts';
import { LABEL_NAMES } from '../table/dialect.ts';
import { censusOf, columnTitle, textOf, type Table } from '../table/table.ts';

/** Below so many rows nothing is said about what a column looks like. */
const FEW_ROWS = 10;
/** Most distinct fractions that can be names of classes. */
const MAX_FRACTIONS = 20;
const INDEX_NAME = /^(?:unnamed: \d+|index|idx|id|row|row_?id|row_?names?|no|nr)$/i;

/**
 * Finds a column by its name or by its number, counted from 1.
 * @param option the option that names it, for the message
 * @throws DatasetError `bad-column`
 */
export function findColumn(table: Table, choice: string, option: string): number {
  const wanted = choice.trim().normalize('NFC');
  const names = table.columns.map(({ name }) => name);
  const exact = names.indexOf(wanted);
  if (exact >= 0) return exact;
  const alike = names.flatMap((name, i) => (name?.toLowerCase() === wanted.toLowerCase() ? [i] : []));
  if (alike.length === 1) return at(alike, 0, 'columns');
  if (wanted.toLowerCase() === 'last') return names.length - 1;
  const number = Number(wanted);
  if (/^\d+$/.test(wanted) && number >= 1 && number <= names.length) return number - 1;
  const all = table.named
    ? `it has ${listed(
        names.map((name, i) => name ?? `column ${i + 1}`),
        20,
      )}`
    : `it has ${names.length} columns and no header: name a column by its number, or say last`;
  throw new DatasetError('bad-column', `there is no column ${JSON.stringify(choice)} (\`${option}\`); ${all}`, {
    file: table.file,
  });
}

/** What speaks against a column as the label; undefined if nothing does. */
export function labelDoubt(table: Table, column: number): string | undefined {
  const { rows } = table;
  if (rows < FEW_ROWS) return undefined;
  const distinct = new Set<string>();
  let fractions = false;
  const cells = at(table.columns, column, 'columns');
  for (let row = 0; row < rows; row++) {
    const text = textOf(cells, row);
    if (text === undefined) continue;
    distinct.add(text);
    fractions ||= cells.texts?.[row] === undefined && !Number.isInteger(Number(text));
  }
  const many = distinct.size > rows / 2;
  const count = `${distinct.size} different values in ${rows} rows`;
  if (fractions && (many || distinct.size > MAX_FRACTIONS)) return `holds measurements: ${count}, fractions among them`;
  if (distinct.size === rows) return `tells rows apart, as an id does: ${count}`;
  return many ? `has too few rows a class: ${count}` : undefined;
}

/** The column of the label, with the reason where it was not asked for. */
export interface LabelColumn {
  readonly column: number;
  readonly reason: string;
}

/**
 * Finds the column of the label: the one asked for; else one whose name says so; else the last if it alone is text, or
 * if the first cannot be the label; else the first.
 * @param skip columns that are left out
 * @throws DatasetError `bad-label-column`
 */
export function findLabel(table: Table, choice: string | undefined, skip: ReadonlySet<number>): LabelColumn {
  if (choice !== undefined) {
    const column = findColumn(table, choice, 'label');
    const doubt = labelDoubt(table, column);
    if (doubt === undefined) return { column, reason: 'as asked for' };
    throw noLabel(table, `${columnTitle(table, column)} ${doubt}`, 'name another column with `label`');
  }
  const left = table.columns.flatMap((_, i) => (skip.has(i) ? [] : [i]));
  const doubts: string[] = [];
  for (const names of LABEL_NAMES) {
    const called = left.filter((i) => {
      const { name } = at(table.columns, i, 'columns');
      return name !== undefined && names.includes(name.toLowerCase());
    });
    const fit = called.filter((i) => {
      const doubt = labelDoubt(table, i);
      if (doubt !== undefined) doubts.push(`${columnTitle(table, i)} ${doubt}`);
      return doubt === undefined;
    });
    const [only] = fit;
    if (only !== undefined && (fit.length === 1 || only === left[0])) return { column: only, reason: 'by its name' };
    if (fit.length > 1)
      throw noLabel(
        table,
        `${fit.map((i) => columnTitle(table, i)).join(' and ')} could each be the label`,
        'say which it is with `label`',
      );
  }
  if (doubts.length > 0) throw noLabel(table, doubts.join('; '), 'name the column of the classes with `label`');
  const [first] = left;
  const last = left.at(-1);
  if (first === undefined || last === undefined) throw noLabel(table, 'no column is left', 'leave out fewer columns');
  const isText = (i: number): boolean => {
    const { texts, numbers } = censusOf(at(table.columns, i, 'columns'), table.rows);
    return texts > numbers;
  };
  const [firstDoubt, lastDoubt] = [labelDoubt(table, first), labelDoubt(table, last)];
  if (!isText(first) && isText(last) && lastDoubt === undefined && last !== first)
    return { column: last, reason: 'the last column, which is text' };
  if (firstDoubt === undefined) return { column: first, reason: 'the first column' };
  if (lastDoubt === undefined)
    return { column: last, reason: `the last column, because ${columnTitle(table, first)} ${firstDoubt}` };
  throw noLabel(
    table,
    `the first column, ${columnTitle(table, first)}, ${firstDoubt}; the last, ${columnTitle(table, last)},` +
      ` ${lastDoubt}`,
    'name the column of the classes with `label`',
  );
}

function noLabel(table: Table, reason: string, hint: string): DatasetError {
  return new DatasetError('bad-label-column', `no label can be read: ${reason}; ${hint}`, { file: table.file });
}

/** Whether a column numbers the rows or names them, and so says nothing about a new one. */
export function isIndexColumn(table: Table, column: number): boolean {
  const { rows, named } = table;
  const cells = at(table.columns, column, 'columns');
  const { name, numbers, offset, stride } = cells;
  const called = named && (name === undefined || INDEX_NAME.test(name));
  if (!called && column > 0) return false;
  const first = numbers[offset]!;
  const counts = (): boolean => {
    for (let row = 0; row < rows; row++) if (numbers[offset + row * stride] !== first + row) return false;
    return true;
  };
  if ((first === 0 || first === 1) && rows >= (called ? 3 : FEW_ROWS) && counts()) return true;
  if (!called || rows < FEW_ROWS) return false;
  const all = new Set(Array.from({ length: rows }, (_, row) => textOf(cells, row)));
  return all.size === rows && [...all].every((text) => text !== undefined && !/^-?\d*\.\d/.test(text));
}
