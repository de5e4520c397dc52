import { BlindfitError } from '@blindfit/base';

/** Every `code` a {@link DatasetError} can carry. */
export const DATASET_ERROR_CODES = [
  'file-not-found', // nothing at that path
  'unreadable', // there, but not a readable file (a directory, no permission, an I/O error)
  'empty', // no samples
  'malformed-csv', // broken quoting, or a record too long to be one
  'ambiguous-header', // a first row that is neither a header nor a sample
  'not-a-number', // a cell that is not a finite decimal number
  'ragged-row', // a row with more or fewer cells than the first
  'no-features', // rows that hold a label only
  'bad-label', // an empty or unusable label
  'too-large', // above the limits of this package
  'bad-file', // not a table of a known format, or damaged
  'bad-label-column', // no column that can be the label
  'bad-column', // a column that is asked for and is not there, or cannot be used
  'bad-idx', // not an IDX file of the expected kind, or damaged
  'bad-shape', // sizes that do not fit together
  'bad-argument', // a parameter outside its allowed range
  'bad-classes', // too few classes, missing ones, or classes without samples
  'unknown-label', // a label that is none of the classes
  'not-finite', // arithmetic left the range of a double
  'bad-preprocessing', // not a preprocessing object
  'bad-model', // not a model file
] as const;

/** See {@link DATASET_ERROR_CODES}. */
export type DatasetErrorCode = (typeof DATASET_ERROR_CODES)[number];

/** Where in a file an error was found; `line` and `column` count from 1, a CSV column is a cell. */
export interface DatasetErrorPlace {
  readonly file?: string | undefined;
  readonly line?: number | undefined;
  readonly column?: number | undefined;
}

/** The only error this package throws on bad data. The message holds the place, what is wrong, and what to do. */
export class DatasetError extends BlindfitError {
  override readonly code: DatasetErrorCode;
  readonly file: string | undefined;
  readonly line: number | undefined;
  readonly column: number | undefined;

  constructor(code: DatasetErrorCode, message: string, place: DatasetErrorPlace = {}, options?: ErrorOptions) {
    const where = [
      place.file,
      place.line === undefined ? undefined : `line ${place.line}`,
      place.column === undefined ? undefined : `column ${place.column}`,
    ].filter((part) => part !== undefined);
    super(code, where.length === 0 ? message : `${where.join(', ')}: ${message}`, options);
    this.code = code;
    this.file = place.file;
    this.line = place.line;
    this.column = place.column;
  }
}

/**
 * Turns an error of the file system for `file` into a {@link DatasetError}. Every other error passes unchanged: a bug
 * must not look like a bad file.
 */
export function asFileError(error: unknown, file: string): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  if (error instanceof DatasetError || !('code' in error) || typeof error.code !== 'string') return error;
  const fail = (kind: DatasetErrorCode, message: string): DatasetError =>
    new DatasetError(kind, message, { file }, { cause: error });
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return fail('file-not-found', 'no such file; check the path');
    case 'EISDIR':
      return fail('unreadable', 'this is a directory; name a file');
    case 'EACCES':
    case 'EPERM':
      return fail('unreadable', 'no permission to read this file');
    default:
      return fail('unreadable', `cannot be read: ${error.message}`);
  }
}

/** Quotes a value for a message, shortened so that a binary file does not flood the terminal. */
export function quoted(value: string): string {
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
}

/** `1, 2, 3 and 7 more`: at most `limit` items by name, of `total`. */
export function listed(items: readonly string[], limit = 10, total = items.length): string {
  const shown = items.slice(0, limit).map((item) => (item.length > 60 ? `${item.slice(0, 60)}…` : item));
  return total > shown.length ? `${shown.join(', ')} and ${total - shown.length} more` : shown.join(', ');
}
