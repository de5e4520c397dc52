import { at } from '@blindfit/base';
import { parseDecimal } from '../labels.ts';
import { isMissing } from './table.ts';

/** How a text file writes its table. */
export interface Dialect {
  /** One character; a space stands for any run of spaces and tabs. */
  readonly separator: string;
  readonly decimal: '.' | ',';
  /** Whether the first row names the columns. */
  readonly header: boolean;
  /** Whether the first row looks like a header in some cells and like a sample in others: its first name. */
  readonly ambiguous: number | undefined;
}

/** What the caller says about the dialect. */
export interface DialectChoices {
  readonly separator?: string | undefined;
  readonly header?: boolean | undefined;
}

/** By rank where several divide all rows into the same number of cells. */
const SEPARATORS = ['\t', ';', '|', ',', ' '] as const;
const SAMPLE_ROWS = 100;
const COMMA_DECIMAL = /^[+-]?\d*,\d+(?:[eE][+-]?\d+)?$/;
/** Names that a label column goes by, in lower case, from the surest. */
export const LABEL_NAMES: readonly (readonly string[])[] = [
  ['label', 'labels'],
  ['class', 'target'],
  ['y', 'species', 'category', 'outcome'],
];
const ALL_LABEL_NAMES: ReadonlySet<string> = new Set(['', ...LABEL_NAMES.flat()]);

/**
 * Finds out separator, decimal sign and header from the beginning of a file.
 * @param complete whether it is all of it
 */
export function sniffDialect(text: string, complete: boolean, choices: DialectChoices = {}): Dialect {
  const separator = choices.separator ?? findSeparator(text, complete);
  const rows = splitRows(text, separator, complete);
  const decimal = separator === ',' ? '.' : decimalOf(rows);
  const parsed = decimal === '.' ? rows : rows.map((row) => row.map((cell) => cell.replace(',', '.')));
  if (choices.header !== undefined) return { separator, decimal, header: choices.header, ambiguous: undefined };
  return { separator, decimal, ...headerOf(parsed) };
}

function findSeparator(text: string, complete: boolean): string {
  let best: string = ',';
  let bestShare = 0;
  for (const separator of SEPARATORS) {
    if (!text.includes(separator)) continue;
    const widths = splitRows(text, separator, complete).map((row) => row.length);
    const [first] = widths;
    if (first === undefined) return ',';
    const divided = widths.filter((width) => width > 1).length / widths.length;
    const even = widths.filter((width) => width === first).length / widths.length;
    // Words of a cell are no columns: spaces must divide all rows alike.
    if (separator === ' ' && even < 1) continue;
    const share = divided * even;
    if (share > bestShare) [best, bestShare] = [separator, share];
  }
  return best;
}

function decimalOf(rows: readonly (readonly string[])[]): '.' | ',' {
  const cells = rows.flat();
  const points = cells.some((cell) => cell.includes('.') && !Number.isNaN(parseDecimal(cell)));
  return !points && cells.some((cell) => COMMA_DECIMAL.test(cell)) ? ',' : '.';
}

/** The cells of the first rows, unquoted and trimmed: a slow and simple reading, for a look at the file. */
export function splitRows(text: string, separator: string, complete: boolean): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = '';
  let quoted = false;
  let wasQuoted = false;
  const endCell = (): void => {
    row.push(wasQuoted ? cell : cell.trim());
    cell = '';
    wasQuoted = false;
  };
  const endRow = (): void => {
    endCell();
    if (separator === ' ') row = row.filter((part) => part !== '');
    const [first = ''] = row;
    if (!(row.length <= 1 && first === '') && !first.startsWith('#')) rows.push(row);
    row = [];
  };
  for (let i = 0; i < text.length && rows.length < SAMPLE_ROWS; i++) {
    const char = text.charAt(i);
    if (quoted) {
      if (char !== '"') cell += char;
      else if (text[i + 1] === '"') cell += text.charAt(i++);
      else quoted = false;
    } else if (char === '"' && cell.trim() === '') {
      quoted = wasQuoted = true;
      cell = '';
    } else if (char === separator || (separator === ' ' && char === '\t')) endCell();
    else if (char === '\n' || char === '\r') endRow();
    else if (!wasQuoted) cell += char;
  }
  // The last row of a part may be cut.
  if (rows.length < SAMPLE_ROWS && (complete || rows.length === 0)) endRow();
  return rows;
}

type HeaderGuess = Pick<Dialect, 'header' | 'ambiguous'>;

const HEADER: HeaderGuess = { header: true, ambiguous: undefined };
const NO_HEADER: HeaderGuess = { header: false, ambiguous: undefined };

/** A cell that is neither a number nor one of the spellings of a missing or infinite one. */
function isName(cell: string): boolean {
  return Number.isNaN(parseDecimal(cell)) && !isMissing(cell) && !/^[+-]?inf(?:inity)?$/i.test(cell);
}

function isNumber(cell: string): boolean {
  return !Number.isNaN(parseDecimal(cell));
}

/**
 * A header names what the rows below it hold: it has text above numbers. Numbers above numbers are a sample, or the
 * numbers from 0 or 1 that pandas gives to columns without names.
 */
function headerOf(rows: readonly (readonly string[])[]): HeaderGuess {
  const [first = [], ...others] = rows;
  if (isNumbered(first)) return HEADER;
  const names = first.flatMap((cell, column) => (isName(cell) ? [column] : []));
  const numbers = first.filter(isNumber).length;
  if (names.length === 0) return NO_HEADER;
  if (others.length === 0) {
    const feature = names.find((column) => column > 0);
    if (feature === undefined) return NO_HEADER;
    return numbers > 0 ? { header: false, ambiguous: feature } : HEADER;
  }
  const cellsBelow = (column: number): string[] => others.flatMap((row) => row[column] ?? []);
  const aboveNumbers = names.filter((column) => {
    const cells = cellsBelow(column);
    return cells.filter(isNumber).length > cells.filter(isName).length;
  });
  if (aboveNumbers.length > 0) {
    // A lone word in the first column above numbers could be the label of a sample.
    return numbers === 0 ? HEADER : { header: false, ambiguous: at(aboveNumbers, 0, 'names') };
  }
  if (others.length === 1) return NO_HEADER;
  const isNew = (column: number): boolean => !cellsBelow(column).includes(at(first, column, 'cells'));
  if (numbers > 0) {
    const label = names.find(
      (column) => ALL_LABEL_NAMES.has(at(first, column, 'cells').toLowerCase()) && isNew(column),
    );
    return label === undefined ? NO_HEADER : { header: false, ambiguous: label };
  }
  // Text above text: names are all different, and do not occur among the values.
  const distinct = new Set(first).size === first.length && first.every((cell) => cell === '' || isName(cell));
  return distinct && first.length > 1 && names.every(isNew) ? HEADER : NO_HEADER;
}

/** `label,0,1,2` and `,0,1,2`, as pandas writes columns without names; also from 1. */
function isNumbered(cells: readonly string[]): boolean {
  const [label = '', ...features] = cells;
  const start = Number(features[0]);
  return (
    features.length > 0 &&
    ALL_LABEL_NAMES.has(label.toLowerCase()) &&
    (start === 0 || start === 1) &&
    features.every((cell, j) => cell === String(start + j))
  );
}
