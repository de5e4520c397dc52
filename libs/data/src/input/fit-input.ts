import { at, valueOf } from '@blindfit/base';
import { DatasetError, listed, quoted } from '../dataset-error.ts';
import type { LabelledDataset } from '../dataset.ts';
import { LIMITS, type DataLimits } from '../limits.ts';
import { censusOf, columnTitle, isMissing, selectRows, textOf, type Column, type Table } from '../table/table.ts';
import { encode, labelsOf } from './apply-input.ts';
import { notANumber } from './cell-error.ts';
import { findColumn, findLabel, isIndexColumn, type LabelColumn } from './columns.ts';
import type { Input, InputColumn, NumberColumn, TextColumn } from './input.ts';
import { median } from './median.ts';

/** What to do about missing cells: fill them with the mean or the median of their column, or drop their rows. */
export const MISSING_CHOICES = ['mean', 'median', 'drop'] as const;
export type MissingChoice = (typeof MISSING_CHOICES)[number];

/** What a caller may say about the columns of a table. */
export interface InputChoices {
  /** The column of the label: its name, its number from 1, or `last`. @default see `findLabel` */
  readonly label?: string | undefined;
  /** @default 'median' */
  readonly missing?: MissingChoice | undefined;
  /** Columns whose values are names even where they are numbers. @default those of text */
  readonly categories?: readonly string[] | undefined;
  /** Columns to leave out. @default those that number or name the rows */
  readonly ignore?: readonly string[] | undefined;
}

export interface FittedInput {
  readonly input: Input;
  readonly data: LabelledDataset;
  /** What was found out and decided, one sentence each. */
  readonly notes: readonly string[];
}

/** Most features of a text column; the values beyond share one. */
export const MAX_CATEGORIES = 32;

/**
 * Decides which column is the label and how the others become numbers, and makes them so.
 * @throws DatasetError `bad-label-column`, `bad-column`, `no-features`, `not-a-number`, `bad-label`, `empty`
 */
export function fitInput(raw: Table, choices: InputChoices = {}, limits: DataLimits = LIMITS): FittedInput {
  const notes = [...raw.notes];
  const left = new Set((choices.ignore ?? []).map((name) => findColumn(raw, name, 'ignore')));
  const asNames = new Set((choices.categories ?? []).map((name) => findColumn(raw, name, 'categories')));
  const { label, index } = findRoles(raw, choices.label, left);
  if (index.length > 0) notes.push(`${titles(raw, index)} numbers or names the rows and is left out`);
  for (const column of index) left.add(column);
  const used = raw.columns.flatMap((_, i) => (i === label?.column || left.has(i) ? [] : [i]));
  const table = choices.missing === 'drop' ? withoutGaps(raw, used, label, notes) : raw;
  const columns = used.flatMap((i) => fitColumn(table, i, asNames.has(i), choices.missing ?? 'median', notes) ?? []);
  if (columns.length === 0) throw noFeatures(table);
  noteTexts(columns, notes);
  noteGaps(table, columns, choices.missing ?? 'median', notes);
  const labels = labelsOf(table, label?.column);
  const input: Input = Object.freeze({
    version: 1,
    width: table.columns.length,
    label:
      label === undefined
        ? undefined
        : { name: at(table.columns, label.column, 'columns').name, position: label.column },
    columns: Object.freeze(columns),
  });
  const sources = columns.map(({ position }) => at(table.columns, position, 'columns'));
  // The form of old, label first and no header, needs no words.
  if (label !== undefined && (label.column > 0 || table.named)) {
    const classes = new Set(labels).size;
    notes.push(`the label is ${columnTitle(table, label.column)}, ${label.reason}: ${classes} classes`);
  }
  return { input, data: encode(table, columns, sources, labels, limits).data, notes };
}

function findRoles(
  table: Table,
  choice: string | undefined,
  ignored: ReadonlySet<number>,
): { label: LabelColumn | undefined; index: readonly number[] } {
  const apart = table.labels !== undefined && choice === undefined;
  // A column that is asked for as the label is not looked at as an index.
  const asked = choice === undefined ? undefined : findColumn(table, choice, 'label');
  const candidates = table.columns.flatMap((_, i) =>
    !ignored.has(i) && i !== asked && isIndexColumn(table, i) ? [i] : [],
  );
  // Something must be left to learn from.
  const index = table.columns.length - ignored.size - candidates.length >= (apart ? 1 : 2) ? candidates : [];
  if (apart) return { label: undefined, index };
  return { label: findLabel(table, choice, new Set([...ignored, ...index])), index };
}

function fitColumn(
  table: Table,
  position: number,
  asNames: boolean,
  missing: MissingChoice,
  notes: string[],
): InputColumn | undefined {
  const column = at(table.columns, position, 'columns');
  const census = censusOf(column, table.rows);
  const title = columnTitle(table, position);
  if (census.missing === table.rows) {
    notes.push(`${title} is empty and left out`);
    return undefined;
  }
  if (census.firstInfinite >= 0 && !asNames) throw notANumber(table, position, census.firstInfinite);
  if (asNames || census.numbers === 0) return fitText(table, position, notes);
  if (census.texts > 0) throw notANumber(table, position, census.firstText);
  return { kind: 'number', name: column.name, position, fill: fillOf(column, table.rows, missing) };
}

function fillOf({ numbers, offset, stride }: Column, rows: number, choice: MissingChoice): number {
  const values = new Float64Array(rows);
  let n = 0;
  for (let row = 0; row < rows; row++) {
    const value = numbers[offset + row * stride]!;
    if (!Number.isNaN(value)) values[n++] = value;
  }
  const present = values.subarray(0, n);
  return choice === 'mean' ? present.reduce((sum, value) => sum + value / n, 0) : median(present);
}

function fitText(table: Table, position: number, notes: string[]): TextColumn | undefined {
  const column = at(table.columns, position, 'columns');
  const title = columnTitle(table, position);
  const counts = new Map<string, number>();
  let gaps = 0;
  for (let row = 0; row < table.rows; row++) {
    const text = textOf(column, row);
    if (text === undefined || isMissing(text)) gaps++;
    else if (text.includes('\ufffd'))
      throw new DatasetError(
        'bad-label',
        `the cell (${title}) is not valid UTF-8; save the file as UTF-8`,
        table.place(row, position),
      );
    else counts.set(text, counts.has(text) ? valueOf(counts, text, 'counts') + 1 : 1);
  }
  const present = table.rows - gaps;
  if (counts.size > MAX_CATEGORIES && counts.size > present / 2) {
    notes.push(`${title} is left out: ${counts.size} different texts in ${present} rows`);
    return undefined;
  }
  const common = [...counts].filter(([, count]) => count > 1 || counts.size <= 2);
  const kept = common
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    .slice(0, MAX_CATEGORIES)
    .map(([text]) => text)
    .sort();
  const other = kept.length < counts.size;
  if (kept.length + Number(other) + Number(gaps > 0) < 2) {
    notes.push(`${title} is left out: it says the same in every row`);
    return undefined;
  }
  return { kind: 'text', name: column.name, position, categories: Object.freeze(kept), other, missing: gaps > 0 };
}

/** The rows that have all they need. */
function withoutGaps(table: Table, used: readonly number[], label: LabelColumn | undefined, notes: string[]): Table {
  const looked = label === undefined ? used : [...used, label.column];
  // A column without any value is left out and costs no rows.
  const columns = looked
    .map((i) => at(table.columns, i, 'columns'))
    .filter((column) => column.empty > 0 || column.texts !== undefined)
    .filter((column) => censusOf(column, table.rows).missing < table.rows);
  const rows: number[] = [];
  for (let row = 0; row < table.rows; row++) {
    const whole = columns.every((column) => {
      const text = textOf(column, row);
      return text !== undefined && !isMissing(text);
    });
    if (whole) rows.push(row);
  }
  const dropped = table.rows - rows.length;
  if (dropped === 0) return table;
  if (rows.length === 0)
    throw new DatasetError('empty', 'every row has a missing cell; fill them with `missing` median instead', {
      file: table.file,
    });
  notes.push(`${dropped} of ${table.rows} rows have missing cells and are left out`);
  return selectRows(table, rows);
}

function noteTexts(columns: readonly InputColumn[], notes: string[]): void {
  const texts = columns.filter((column) => column.kind === 'text');
  if (texts.length === 0) return;
  const parts = texts.map(({ name, position, categories, other, missing }) => {
    const more = `${other ? ', other' : ''}${missing ? ', missing' : ''}`;
    return `${name ?? `column ${position + 1}`} (${categories.length} values${more})`;
  });
  notes.push(`each value of a text column becomes a feature of 0 or 1: ${listed(parts)}`);
}

function noteGaps(table: Table, columns: readonly InputColumn[], choice: MissingChoice, notes: string[]): void {
  const gaps = columns
    .filter((column): column is NumberColumn => column.kind === 'number')
    .map((column) => {
      const { missing } = censusOf(at(table.columns, column.position, 'columns'), table.rows);
      return { name: column.name ?? `column ${column.position + 1}`, missing };
    })
    .filter(({ missing }) => missing > 0);
  if (gaps.length === 0) return;
  const total = gaps.reduce((sum, { missing }) => sum + missing, 0);
  const list = listed(gaps.map(({ name, missing }) => `${name} ${missing}`));
  notes.push(
    `${total} cell${total > 1 ? 's are' : ' is'} missing (${list}) and filled with the ${choice} of the column; ` +
      '`missing` chooses mean, median or drop',
  );
}

function noFeatures(table: Table): DatasetError {
  const cell = table.columns.length === 1 ? textOf(at(table.columns, 0, 'columns'), 0) : undefined;
  const found = cell === undefined ? 'found no features' : `found the single cell ${quoted(cell)} and no features`;
  const place = cell === undefined ? { file: table.file } : table.place(0);
  return new DatasetError(
    'no-features',
    `${found}; a row is label,f1,...,fd with commas, semicolons, tabs or spaces between the cells`,
    place,
  );
}

function titles(table: Table, columns: readonly number[]): string {
  return columns.map((i) => columnTitle(table, i)).join(', ');
}
