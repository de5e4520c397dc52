/** Reads a file of samples, whatever its format, into a table. */
import { DatasetError } from '../dataset-error.ts';
import { LIMITS, type DataLimits } from '../limits.ts';
import type { DialectChoices } from './dialect.ts';
import { readCsvTable } from './read-csv-table.ts';
import { bytesOf, fileTitle } from './source.ts';
import type { Table } from './table.ts';

export type TableChoices = DialectChoices;

/** Enough to tell a format by its first bytes. */
const HEAD_BYTES = 8;

/**
 * Reads a table; the first bytes of the file tell its format, not its name.
 * @param path a file, or `-` for standard input
 * @throws DatasetError naming file, line and column
 */
export async function readTable(path: string, choices: TableChoices = {}, limits: DataLimits = LIMITS): Promise<Table> {
  const file = fileTitle(path);
  const chunks = bytesOf(path);
  try {
    const { head, all } = await peek(chunks);
    refuseBinary(head, file);
    return await readCsvTable(all, file, choices, limits);
  } finally {
    await chunks.return(undefined);
  }
}

async function peek(chunks: AsyncGenerator<Buffer>): Promise<{ head: Buffer; all: AsyncIterable<Buffer> }> {
  let head: Buffer = Buffer.alloc(0);
  while (head.length < HEAD_BYTES) {
    const next = await chunks.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  async function* all(): AsyncGenerator<Buffer> {
    if (head.length > 0) yield head;
    yield* chunks;
  }
  return { head, all: all() };
}

const BINARY: readonly (readonly [string, string])[] = [
  ['PK\u0003\u0004', 'a ZIP archive, as spreadsheets (.xlsx) are; save the sheet as CSV'],
  ['\u00d0\u00cf\u0011\u00e0', 'an old Excel workbook (.xls); save the sheet as CSV'],
  ['%PDF', 'a PDF document'],
  ['\u0089HDF', 'an HDF5 file; save the table as CSV'],
  ['SQLite f', 'an SQLite database; export a table as CSV'],
];

function refuseBinary(head: Buffer, file: string): void {
  const start = head.toString('latin1');
  const found = BINARY.find(([magic]) => start.startsWith(magic));
  if (found !== undefined) throw new DatasetError('bad-file', `this is ${found[1]}`, { file });
}
