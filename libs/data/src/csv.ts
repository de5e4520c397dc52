import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { CsvError, parse } from 'csv-parse';
import { at } from '@blindfit/base';
import { asFileError, DatasetError, quoted } from './dataset-error.ts';
import { createDataset, type LabelledDataset } from './dataset.ts';
import { labelProblem, normaliseLabel, parseDecimal } from './labels.ts';
import { LIMITS, type DataLimits } from './limits.ts';

const ALLOWED = 'a feature must be a finite decimal number such as 0.25, -3 or 1.5e-3';

/** Names that a label column goes by; only used for headers whose features are named 0,1,2,... as pandas does. */
const LABEL_COLUMN_NAMES: ReadonlySet<string> = new Set(['', 'label', 'labels', 'class', 'target', 'y']);

interface CsvRecord {
  readonly info: { readonly lines: number };
  readonly record: readonly string[];
}

/**
 * Reads samples from a CSV file, one a row: `label,f1,...,fd`, comma-separated UTF-8.
 *
 * A first row whose features are names is taken as a header. Quotes, CRLF or CR line ends, a byte order mark and
 * blank lines are fine. Labels are trimmed, and whole numbers get one spelling (`5.0` is `5`). The file is streamed:
 * memory is that of the resulting numbers.
 *
 * @returns n x d features as double precision, and n labels
 * @throws DatasetError naming file, line and column; codes `file-not-found`, `unreadable`, `empty`, `malformed-csv`,
 *   `ambiguous-header`, `not-a-number`, `ragged-row`, `no-features`, `bad-label`, `too-large`
 */
export async function readCsv(path: string, limits: DataLimits = LIMITS): Promise<LabelledDataset> {
  const rows = new RowCollector(path, limits);
  try {
    await pipeline(
      createReadStream(path),
      (chunks: AsyncIterable<Buffer>) => refuseGzip(chunks, path),
      parse({
        bom: true,
        info: true,
        trim: true,
        skip_empty_lines: true,
        // Ragged rows are reported by RowCollector, which knows which row set the width.
        relax_column_count: true,
        // All three, because csv-parse would otherwise expect the first one that it finds in the whole file.
        record_delimiter: ['\r\n', '\n', '\r'],
        max_record_size: limits.csvRecordBytes,
      }),
      async (records: AsyncIterable<CsvRecord>) => {
        for await (const { info, record } of records) rows.add(record, info.lines);
      },
    );
  } catch (error) {
    if (error instanceof CsvError) {
      const line = 'lines' in error && typeof error.lines === 'number' ? error.lines : undefined;
      const hint = 'put a cell that holds commas or quotes in double quotes, and write a quote inside it twice';
      // An unclosed quote shows only at the end of the file: say where to start looking.
      const start = `the trouble starts after line ${rows.lastLine}`;
      throw new DatasetError(
        'malformed-csv',
        `${error.message}; ${start}: ${hint}`,
        { file: path, line },
        { cause: error },
      );
    }
    throw asFileError(error, path);
  }
  return rows.finish();
}

/** Passes the bytes on, unless they are compressed: parsed as text they would give a misleading error. */
async function* refuseGzip(chunks: AsyncIterable<Buffer>, file: string): AsyncGenerator<Buffer> {
  let first = true;
  for await (const chunk of chunks) {
    if (first && chunk[0] === 0x1f && chunk[1] === 0x8b) {
      throw new DatasetError('malformed-csv', 'this file is gzip-compressed; decompress it first (gunzip)', { file });
    }
    first = false;
    yield chunk;
  }
}

/** Checks rows as they arrive and stores their numbers in one growing array. */
class RowCollector {
  readonly #file: string;
  readonly #limits: DataLimits;
  readonly #labels: string[] = [];
  #values = new Float64Array(1024);
  #length = 0;
  /** Cells per row, and the line that set it. */
  #width = 0;
  #firstLine = 0;
  #names: readonly string[] | undefined;
  #lastLine = 0;

  constructor(file: string, limits: DataLimits) {
    this.#file = file;
    this.#limits = limits;
  }

  /** Line in which the last valid row ends; 0 before the first. */
  get lastLine(): number {
    return this.#lastLine;
  }

  add(cells: readonly string[], line: number): void {
    const place = { file: this.#file, line };
    if (this.#width === 0) {
      if (cells.length < 2) {
        const hint = 'a row is label,f1,...,fd with commas between the cells';
        throw new DatasetError(
          'no-features',
          `found the single cell ${quoted(at(cells, 0, 'cells'))} and no features; ${hint}`,
          place,
        );
      }
      this.#width = cells.length;
      this.#firstLine = line;
      if (this.#isHeader(cells, line)) {
        this.#names = cells;
        this.#lastLine = line;
        return;
      }
    }
    if (cells.length !== this.#width) {
      const expected = `expected ${this.#width} cells as in line ${this.#firstLine}`;
      throw new DatasetError(
        'ragged-row',
        `${expected}, found ${cells.length}; every row needs a label and the same features`,
        place,
      );
    }
    const label = normaliseLabel(at(cells, 0, 'cells'));
    const problem = labelProblem(label);
    if (problem !== undefined) throw new DatasetError('bad-label', problem, { ...place, column: 1 });
    this.#reserve(this.#width - 1, line);
    for (let column = 1; column < cells.length; column++) {
      const text = at(cells, column, 'cells');
      const value = parseDecimal(text);
      if (Number.isNaN(value)) {
        const name = this.#names?.[column];
        const found = text === '' ? 'is empty' : `is ${quoted(text)}`;
        throw new DatasetError('not-a-number', `the cell${name ? ` (${quoted(name)})` : ''} ${found}; ${ALLOWED}`, {
          ...place,
          column: column + 1,
        });
      }
      this.#values[this.#length++] = value;
    }
    this.#labels.push(label);
    this.#lastLine = line;
  }

  finish(): LabelledDataset {
    if (this.#labels.length === 0) {
      const found = this.#names === undefined ? 'the file is empty' : 'the file holds a header and no samples';
      throw new DatasetError('empty', `${found}; expected rows label,f1,...,fd`, { file: this.#file });
    }
    return createDataset(this.#values.slice(0, this.#length), this.#width - 1, this.#labels, this.#limits);
  }

  /**
   * Features that are names make a header. NaN, infinities and empty cells are not names but missing values, and a
   * row of both names and numbers is refused: taking it for a header would silently drop a damaged first sample.
   */
  #isHeader(cells: readonly string[], line: number): boolean {
    const features = cells.slice(1);
    const isNumber = features.map((cell) => !Number.isNaN(parseDecimal(cell)));
    const nameAt = features.findIndex(
      (cell, j) => !isNumber[j] && cell !== '' && !/^[+-]?(?:nan|inf|infinity)$/i.test(cell),
    );
    if (nameAt < 0) {
      const first = Number(features[0]);
      return (
        LABEL_COLUMN_NAMES.has(at(cells, 0, 'cells').toLowerCase()) &&
        (first === 0 || first === 1) &&
        features.every((cell, j) => cell === String(first + j))
      );
    }
    if (isNumber.includes(true)) {
      throw new DatasetError(
        'ambiguous-header',
        `the first row mixes numbers and ${quoted(at(features, nameAt, 'features'))}; if it is a sample, ${ALLOWED}; ` +
          'if it is a header, name every column or remove it',
        { file: this.#file, line, column: nameAt + 2 },
      );
    }
    return true;
  }

  #reserve(count: number, line: number): void {
    const needed = this.#length + count;
    const { values, samples } = this.#limits;
    if (needed > values || this.#labels.length === samples) {
      throw new DatasetError(
        'too-large',
        `the file goes on after ${this.#labels.length} rows; ` +
          `at most ${samples} rows and ${values} values are allowed: use fewer rows`,
        { file: this.#file, line },
      );
    }
    if (needed <= this.#values.length) return;
    const grown = new Float64Array(Math.min(values, Math.max(needed, 2 * this.#values.length)));
    grown.set(this.#values.subarray(0, this.#length));
    this.#values = grown;
  }
}
