import { at } from '@blindfit/base';
import { DatasetError, type DatasetErrorPlace } from '../dataset-error.ts';
import type { DataLimits } from '../limits.ts';
import { columnNames, type Column, type Table } from './table.ts';

/** Distinct texts of a column that share one string each. */
const MAX_INTERNED = 10_000;

/** Collects a table cell by cell, row by row. Numbers lie row-major in one growing array. */
export class RowBuilder {
  readonly #file: string;
  readonly #limits: DataLimits;
  readonly #unit: 'line' | 'row';
  readonly #texts: (string | undefined)[][] = [];
  readonly #interned: Map<string, string>[] = [];
  #values = new Float64Array(0);
  #lines = new Uint32Array(256);
  #width = 0;
  #widthLine = 0;
  #rows = 0;
  #position = 0;
  #column = 0;
  /** Cells of the row that are empty. */
  #blanks = 0;
  /** Rows without any content, which spreadsheets leave behind. */
  blankRows = 0;
  /** The first line; undefined without header. */
  #header: readonly string[] | undefined;

  /** @param unit whether places are lines of a text or rows of a table */
  constructor(file: string, limits: DataLimits, unit: 'line' | 'row' = 'line') {
    this.#file = file;
    this.#limits = limits;
    this.#unit = unit;
  }

  get rows(): number {
    return this.#rows;
  }

  /** The line of the last complete row; 0 before the first. */
  get lastLine(): number {
    return this.#rows === 0 ? this.#widthLine : at(this.#lines, this.#rows - 1, 'lines');
  }

  setHeader(cells: readonly string[], line: number): void {
    this.#header = cells;
    this.#setWidth(cells.length, line);
  }

  number(value: number): void {
    if (this.#position === this.#values.length) this.#grow();
    this.#values[this.#position++] = value;
    this.#column++;
  }

  empty(): void {
    this.#blanks++;
    this.number(NaN);
  }

  /** @param value the number that the text means, if it means one */
  text(text: string, value = NaN): void {
    this.number(value);
    const column = this.#column - 1;
    let texts = this.#texts[column];
    if (texts === undefined) this.#texts[column] = texts = [];
    while (texts.length < this.#rows) texts.push(undefined);
    texts[this.#rows] = this.#intern(column, text);
  }

  /** Forgets the cells of the row that has begun. */
  abandonRow(): void {
    this.#position -= this.#column;
    this.#column = 0;
    this.#blanks = 0;
  }

  /** @param line where the row begins */
  endRow(line: number): void {
    if (this.#blanks === this.#column) {
      this.blankRows++;
      this.abandonRow();
      return;
    }
    if (this.#width === 0) this.#setWidth(this.#column, line);
    if (this.#column !== this.#width)
      throw new DatasetError(
        'ragged-row',
        `expected ${this.#width} cells as in ${this.#unit} ${this.#widthLine}, found ${this.#column}; ` +
          'every row needs a label and the same features',
        this.#placeOf(line),
      );
    const { values, samples } = this.#limits;
    // One column is the label.
    if (this.#position - this.#rows - 1 > values || this.#rows === samples)
      throw new DatasetError(
        'too-large',
        `the file goes on after ${this.#rows} rows; ` +
          `at most ${samples} rows and ${values} values are allowed: use fewer rows`,
        this.#placeOf(line),
      );
    if (this.#rows === this.#lines.length) {
      const lines = new Uint32Array(2 * this.#rows);
      lines.set(this.#lines);
      this.#lines = lines;
    }
    this.#lines[this.#rows++] = line;
    this.#column = 0;
    this.#blanks = 0;
  }

  /** @throws DatasetError `empty` */
  finish(notes: readonly string[] = []): Table {
    if (this.#rows === 0) {
      const found = this.#header === undefined ? 'the file is empty' : 'the file holds a header and no samples';
      throw new DatasetError('empty', `${found}; expected one sample a row`, { file: this.#file });
    }
    const named = this.#header !== undefined;
    const { names, repeated } = columnNames(this.#header ?? new Array<string>(this.#width).fill(''));
    const empty = this.#countEmpty();
    const numbers = this.#values.subarray(0, this.#position);
    const columns: Column[] = names.map((name, column) => ({
      name,
      numbers,
      offset: column,
      stride: this.#width,
      texts: this.#texts[column],
      empty: at(empty, column, 'columns'),
    }));
    const lines = this.#lines.subarray(0, this.#rows);
    return {
      file: this.#file,
      rows: this.#rows,
      columns,
      named,
      labels: undefined,
      notes: repeated.length === 0 ? notes : [...notes, repeatedNote(repeated)],
      place: (row, column) => ({
        ...this.#placeOf(at(lines, row, 'rows')),
        column: column === undefined ? undefined : column + 1,
      }),
    };
  }

  #countEmpty(): Uint32Array {
    const empty = new Uint32Array(this.#width);
    for (let i = 0, column = 0; i < this.#position; i++) {
      if (Number.isNaN(this.#values[i]!)) empty[column]!++;
      if (++column === this.#width) column = 0;
    }
    this.#texts.forEach((texts, column) => {
      texts.forEach((text, row) => {
        if (text !== undefined && Number.isNaN(this.#values[row * this.#width + column]!)) empty[column]!--;
      });
    });
    return empty;
  }

  #setWidth(width: number, line: number): void {
    this.#width = width;
    this.#widthLine = line;
  }

  #grow(): void {
    // A row more than is allowed, so that it is the row which is reported.
    const most = this.#limits.values + Math.max(this.#column, this.#width) + 1;
    const length = Math.max(this.#position + 1, Math.min(most, Math.max(1024, 2 * this.#values.length)));
    const values = new Float64Array(length);
    values.set(this.#values);
    this.#values = values;
  }

  #intern(column: number, text: string): string {
    const interned = (this.#interned[column] ??= new Map<string, string>());
    const found = interned.get(text);
    if (found !== undefined) return found;
    if (interned.size < MAX_INTERNED) interned.set(text, text);
    return text;
  }

  #placeOf(line: number): DatasetErrorPlace {
    return { file: this.#file, [this.#unit]: line };
  }
}

export function repeatedNote(repeated: readonly string[]): string {
  const names = repeated.map((name) => JSON.stringify(name)).join(', ');
  return `more than one column is called ${names}: the second of a name is called NAME (2), and so on`;
}
