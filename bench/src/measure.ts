/** Medians, tables and notes of the benches. */
import { cpus } from 'node:os';
import { at } from '@blindfit/base';

type Row = readonly string[];

let markdown = false;

/** Prints tables and notes as Markdown from now on, and first the machine that they are measured on. */
export function printMarkdown(): void {
  markdown = true;
  const threads = cpus();
  const date = new Date().toISOString().slice(0, 10);
  process.stdout.write(`Measured on ${threads.length} threads of ${at(threads, 0, 'threads').model}, ${date}.\n`);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return at(sorted, Math.floor(sorted.length / 2), 'measurements');
}

/** Median milliseconds of a few runs after one that is not counted. */
export function medianMs(body: () => void, runs = 7): number {
  body();
  return median(
    Array.from({ length: runs }, () => {
      const started = performance.now();
      body();
      return performance.now() - started;
    }),
  );
}

/** Prints a table: names on the left, figures on the right. The first row holds the titles. */
export function print(title: string, [titles = [], ...rows]: readonly Row[]): void {
  const widths = titles.map((_, column) =>
    Math.max(3, ...[titles, ...rows].map((row) => at(row, column, title).length)),
  );
  const cells = (row: Row): string[] =>
    row.map((cell, column) => {
      const width = at(widths, column, title);
      return column === 0 ? cell.padEnd(width) : cell.padStart(width);
    });
  const rule = widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  const line = (row: Row): string => (markdown ? `| ${row.join(' | ')} |` : row.join('  '));
  const lines = [cells(titles), ...(markdown ? [rule] : []), ...rows.map(cells)].map(line);
  process.stdout.write(`\n${title}\n${markdown ? '\n' : ''}${lines.join('\n')}\n`);
}

/** Prints sentences below a table. */
export function note(lines: readonly string[]): void {
  process.stdout.write(`\n${lines.map((line) => (markdown ? `- ${line}\n` : `${line}\n`)).join('')}`);
}

export function ms(value: number): string {
  return value.toFixed(value < 10 ? 2 : 1);
}
