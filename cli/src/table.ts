import { at } from '@blindfit/base';
import { printable } from './format.ts';

export interface Column {
  readonly title: string;
  /** @default 'left' */
  readonly align?: 'left' | 'right';
}

/** Rows under their titles, columns as wide as need be and two blanks apart; no blanks at the ends of lines. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const lines = [columns.map(({ title }) => title), ...rows].map((row) =>
    columns.map((_, i) => printable(at(row, i, 'row')).replaceAll('\n', ' ')),
  );
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => widthOf(at(line, i, 'line')))));
  const pad = (text: string, i: number): string => {
    const blanks = ' '.repeat(at(widths, i, 'widths') - widthOf(text));
    return columns[i]?.align === 'right' ? blanks + text : text + blanks;
  };
  return lines.map((line) => line.map(pad).join('  ').trimEnd()).join('\n');
}

/** Names with their values, one a line, the values aligned. */
export function formatPairs(pairs: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...pairs.map(([name]) => widthOf(name)));
  return pairs.map(([name, value]) => `${name}${' '.repeat(width - widthOf(name))}  ${printable(value)}`).join('\n');
}

/** Columns of a terminal that a text takes: by code points, which is right for most scripts. */
function widthOf(text: string): number {
  return Array.from(text).length;
}
