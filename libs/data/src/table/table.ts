import { at } from '@blindfit/base';
import type { DatasetErrorPlace } from '../dataset-error.ts';

/** One column of a table. Its numbers are a view with a stride, so that tables read by rows need no second copy. */
export interface Column {
  /** Trimmed and in Unicode form NFC; undefined where the file has no name for it. */
  readonly name: string | undefined;
  /** The number of row i at `offset + i * stride`; NaN where the cell is empty or text. */
  readonly numbers: Float64Array;
  readonly offset: number;
  readonly stride: number;
  /** The cells that are text, by row, and the spelling of whole numbers that no double holds; undefined for none. */
  readonly texts: readonly (string | undefined)[] | undefined;
  /** Number of empty cells. */
  readonly empty: number;
}

/** A file of rows, in the clear and not yet interpreted. */
export interface Table {
  readonly file: string;
  readonly rows: number;
  /** All of the same number of rows. */
  readonly columns: readonly Column[];
  /** Whether the file names its columns. */
  readonly named: boolean;
  /** Labels that lie apart from the columns, in a file or array that holds nothing else. */
  readonly labels: readonly string[] | undefined;
  /** What is worth knowing about how the file was read, one sentence each. */
  readonly notes: readonly string[];
  /** Where a row is, for messages. */
  place(row: number, column?: number): DatasetErrorPlace;
}

/** Spellings of a cell whose value is not there, in lower case. */
const MISSING: ReadonlySet<string> = new Set(['', 'na', 'n/a', '#n/a', '<na>', 'nan', '-nan', 'null', 'none', '?']);

export function isMissing(text: string): boolean {
  return text.length <= 4 && MISSING.has(text.toLowerCase());
}

/** Spellings of infinity, and of numbers beyond the range of a double. */
const INFINITE = /^[+-]?(?:inf(?:inity)?|(?:\d+\.?\d*|\.\d+)(?:e\+?\d+)?)$/i;

/** The cell as text; undefined where it is empty. */
export function textOf({ numbers, offset, stride, texts }: Column, row: number): string | undefined {
  const text = texts?.[row];
  if (text !== undefined) return text;
  const value = at(numbers, offset + row * stride, 'numbers');
  return Number.isNaN(value) ? undefined : String(value);
}

/** The cell as text; an empty text where it is empty. */
export function spelling(column: Column, row: number): string {
  const text = textOf(column, row);
  return text === undefined ? '' : text;
}

/** How messages call a column. */
export function columnTitle(table: Table, column: number): string {
  const { name } = at(table.columns, column, 'columns');
  return name === undefined ? `column ${column + 1}` : JSON.stringify(name);
}

/** What the cells of a column are. */
export interface Census {
  readonly numbers: number;
  readonly texts: number;
  readonly missing: number;
  /** The row of the first text; -1 if there is none. */
  readonly firstText: number;
  /** The row of the first text that means a number which no double holds; -1 if there is none. */
  readonly firstInfinite: number;
}

export function censusOf({ numbers, offset, stride, texts, empty }: Column, rows: number): Census {
  let [found, missing, firstText, firstInfinite] = [0, empty, -1, -1];
  texts?.forEach((text, row) => {
    // A whole number that no double holds is a number.
    if (text === undefined || !Number.isNaN(numbers[offset + row * stride]!)) return;
    if (isMissing(text)) missing++;
    else {
      found++;
      if (firstText < 0) firstText = row;
      if (firstInfinite < 0 && INFINITE.test(text)) firstInfinite = row;
    }
  });
  return { numbers: rows - found - missing, texts: found, missing, firstText, firstInfinite };
}

/** A table of some of the rows, in the order given. */
export function selectRows(table: Table, rows: ArrayLike<number>): Table {
  const chosen = Array.from(rows);
  const { labels } = table;
  return {
    ...table,
    rows: chosen.length,
    columns: table.columns.map(({ name, numbers, offset, stride, texts }) => {
      const values = Float64Array.from(chosen, (row) => numbers[offset + row * stride]!);
      const own = texts && chosen.map((row) => texts[row]);
      const empty = values.reduce((sum, value, i) => sum + (Number.isNaN(value) && own?.[i] === undefined ? 1 : 0), 0);
      return { name, numbers: values, offset: 0, stride: 1, texts: own, empty };
    }),
    labels: labels && chosen.map((row) => at(labels, row, 'labels')),
    place: (row, column) => table.place(at(chosen, row, 'rows'), column),
  };
}

/** The names of columns as they are used: trimmed, in form NFC, the second of a name as `name (2)`. */
export function columnNames(raw: readonly string[]): { names: (string | undefined)[]; repeated: string[] } {
  const count = new Map<string, number>();
  const repeated = new Set<string>();
  const names = raw.map((text) => {
    const name = text.trim().normalize('NFC');
    if (name === '') return undefined;
    const before = count.get(name);
    count.set(name, before === undefined ? 1 : before + 1);
    if (before === undefined) return name;
    repeated.add(name);
    return `${name} (${before + 1})`;
  });
  return { names, repeated: [...repeated] };
}
