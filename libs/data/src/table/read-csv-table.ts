import { TextDecoder } from 'node:util';
import { at } from '@blindfit/base';
import { DatasetError, quoted } from '../dataset-error.ts';
import type { DataLimits } from '../limits.ts';
import { CsvScanner } from './csv-scanner.ts';
import { sniffDialect, splitRows, type Dialect, type DialectChoices } from './dialect.ts';
import { RowBuilder } from './row-builder.ts';
import type { Table } from './table.ts';

const SAMPLE_BYTES = 2 ** 18;
/** Bytes of which every second one is 0 in UTF-16 without a mark. */
const UTF16_PROBE = 16;

/** Reads a text file whose separator, decimal sign, encoding and header are found out. @throws DatasetError */
export async function readCsvTable(
  chunks: AsyncIterable<Buffer>,
  file: string,
  choices: DialectChoices,
  limits: DataLimits,
): Promise<Table> {
  const builder = new RowBuilder(file, limits);
  const iterator = utf8Of(chunks)[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  let complete = false;
  while (head.length < SAMPLE_BYTES && !complete) {
    const next = await iterator.next();
    if (next.done === true) complete = true;
    else head = Buffer.concat([head, next.value]);
  }
  const announced = /^"?sep=([^\r\n])"?(?:\r\n|\n|\r)/i.exec(head.toString('latin1', 0, 16));
  if (announced !== null) head = head.subarray(announced[0].length);
  const sample = head.toString('utf8', 0, SAMPLE_BYTES);
  const dialect = sniffDialect(sample, complete && head.length <= SAMPLE_BYTES, {
    ...choices,
    separator: choices.separator ?? announced?.[1],
  });
  requireClearHeader(dialect, sample, file);
  const scanner = new CsvScanner(builder, dialect, file, limits.csvRecordBytes, announced === null ? 1 : 2);
  scanner.push(head);
  for (let next = complete ? undefined : await iterator.next(); next?.done === false; next = await iterator.next())
    scanner.push(next.value);
  scanner.end();
  return builder.finish(notesOf(dialect, builder, scanner));
}

function requireClearHeader({ ambiguous, separator }: Dialect, sample: string, file: string): void {
  if (ambiguous === undefined) return;
  const line = 1 + sample.split(/\r\n|\n|\r/).findIndex((text) => text.trim() !== '' && !text.trim().startsWith('#'));
  const cell = at(at(splitRows(sample, separator, true), 0, 'rows'), ambiguous, 'cells');
  throw new DatasetError(
    'ambiguous-header',
    `the first row mixes numbers and ${quoted(cell)}; if it is a sample, a feature must be a finite decimal ` +
      'number such as 0.25, -3 or 1.5e-3; if it is a header, name every column or remove it; ' +
      '`header` says which it is',
    { file, line, column: ambiguous + 1 },
  );
}

const SEPARATOR_NAMES: ReadonlyMap<string, string> = new Map([
  ['\t', 'tabs'],
  [';', 'semicolons'],
  ['|', 'vertical bars'],
  [' ', 'spaces'],
]);

function notesOf({ separator, decimal }: Dialect, { blankRows }: RowBuilder, { comments }: CsvScanner): string[] {
  const notes: string[] = [];
  if (separator !== ',') {
    const name = SEPARATOR_NAMES.get(separator) ?? JSON.stringify(separator);
    notes.push(`cells are separated by ${name}${decimal === ',' ? ', numbers have decimal commas' : ''}`);
  }
  if (comments > 0) notes.push(`${comments} line${comments > 1 ? 's' : ''} starting with # passed over`);
  if (blankRows > 0) notes.push(`${blankRows} row${blankRows > 1 ? 's' : ''} of empty cells passed over`);
  return notes;
}

/** The text as UTF-8 without byte order mark: UTF-16, which spreadsheets write, is decoded. */
async function* utf8Of(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let decoder: TextDecoder | undefined;
  let first = true;
  for await (const chunk of chunks) {
    if (chunk.length === 0) continue;
    let bytes = chunk;
    if (first) {
      first = false;
      const encoding = encodingOf(chunk);
      if (encoding !== 'utf-8') decoder = new TextDecoder(encoding);
      else if (chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf) bytes = chunk.subarray(3);
    }
    yield decoder === undefined ? bytes : Buffer.from(decoder.decode(bytes, { stream: true }));
  }
}

function encodingOf(bytes: Buffer): 'utf-8' | 'utf-16le' | 'utf-16be' {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be';
  const probe = bytes.subarray(0, UTF16_PROBE);
  const zeros = (from: number): boolean =>
    probe.length >= 4 && probe.every((byte, i) => (i % 2 === from ? byte === 0 : byte !== 0));
  if (zeros(1)) return 'utf-16le';
  return zeros(0) ? 'utf-16be' : 'utf-8';
}
