import { at } from '@blindfit/base';
import { DatasetError, quoted } from '../dataset-error.ts';
import { spelling, type Table } from '../table/table.ts';

/** A cell that is text in a column of numbers. */
export function notANumber(table: Table, column: number, row: number): DatasetError {
  const { name } = at(table.columns, column, 'columns');
  const text = spelling(at(table.columns, column, 'columns'), row);
  const which = name ?? String(column + 1);
  return new DatasetError(
    'not-a-number',
    `the cell${name === undefined ? '' : ` (${quoted(name)})`} is ${quoted(text)}; ` +
      'a feature must be a finite decimal number such as 0.25, -3 or 1.5e-3, or a column all of text; ' +
      `correct it, leave the column out (\`ignore\` ${which}) or take its values as names (\`categories\` ${which})`,
    table.place(row, column),
  );
}
