import { DatasetError } from '../dataset-error.ts';
import type { Dialect } from './dialect.ts';
import { NumberReader } from './parse-number.ts';
import type { RowBuilder } from './row-builder.ts';

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const QUOTE = 34;
const HASH = 35;

const HINT = 'put a cell that holds separators or quotes in double quotes, and write a quote inside it twice';

/** Reads the rows of a text file, UTF-8, chunk by chunk, and gives their cells to a builder. */
export class CsvScanner {
  readonly #builder: RowBuilder;
  readonly #file: string;
  readonly #separator: number;
  readonly #maxRecord: number;
  readonly #numbers: NumberReader;
  /** Whether any run of spaces and tabs separates. */
  readonly #collapse: boolean;
  #bytes: Buffer = Buffer.alloc(0);
  /** The cells of the header while it is read. */
  #header: string[] | undefined;
  /** Line of the next byte, counted from 1. */
  #line: number;
  /** Lines that start with #. */
  comments = 0;

  constructor(builder: RowBuilder, dialect: Dialect, file: string, maxRecord: number, firstLine = 1) {
    this.#builder = builder;
    this.#file = file;
    this.#separator = dialect.separator.charCodeAt(0);
    this.#collapse = dialect.separator === ' ';
    this.#numbers = new NumberReader(dialect.decimal.charCodeAt(0));
    this.#header = dialect.header ? [] : undefined;
    this.#maxRecord = maxRecord;
    this.#line = firstLine;
  }

  push(chunk: Buffer): void {
    const bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    this.#bytes = bytes;
    // A carriage return at the very end may be half of a line end.
    const end = Math.max(bytes.lastIndexOf(LF), bytes.length < 2 ? -1 : bytes.lastIndexOf(CR, bytes.length - 2));
    this.#scan(end + 1, false);
  }

  end(): void {
    this.#scan(this.#bytes.length, true);
  }

  #scan(limit: number, final: boolean): void {
    let position = 0;
    while (position < limit) {
      const line = this.#line;
      const next = this.#record(position, limit, final);
      if (next < 0) {
        this.#builder.abandonRow();
        if (this.#header !== undefined) this.#header = [];
        this.#line = line;
        break;
      }
      if (next - position > this.#maxRecord) this.#tooLong(line);
      position = next;
    }
    this.#bytes = this.#bytes.subarray(position);
    if (this.#bytes.length > this.#maxRecord) this.#tooLong(this.#line);
  }

  /** Reads one record, comment or blank line. @returns the position after it; -1 if it goes on after `limit` */
  #record(start: number, limit: number, final: boolean): number {
    const bytes = this.#bytes;
    const separator = this.#separator;
    const collapse = this.#collapse;
    const line = this.#line;
    let i = start;
    while (i < limit && (bytes[i] === SPACE || (collapse && bytes[i] === TAB))) i++;
    if (i === limit) return limit;
    if (bytes[i] === LF || bytes[i] === CR) return this.#lineEnd(i, limit);
    if (bytes[i] === HASH) {
      this.comments++;
      while (i < limit && bytes[i] !== LF && bytes[i] !== CR) i++;
      return this.#lineEnd(i, limit);
    }
    for (;;) {
      while (i < limit && (bytes[i] === SPACE || (bytes[i] === TAB && separator !== TAB))) i++;
      const first = i < limit ? bytes[i]! : LF;
      let end = i;
      if (first === QUOTE) {
        end = this.#quoted(i, limit, final, line);
        if (end < 0) return -1;
      } else if (first === separator || first === LF || first === CR) this.#text('');
      else {
        const value = this.#header === undefined ? this.#numbers.read(bytes, i, limit) : NaN;
        if (!Number.isNaN(value)) end = this.#numbers.end;
        while (end < limit && (bytes[end] === SPACE || bytes[end] === TAB) && bytes[end] !== separator) end++;
        const after = end < limit ? bytes[end] : LF;
        const whole =
          after === separator || after === LF || after === CR || (collapse && end > i && isSpace(bytes, end));
        if (!Number.isNaN(value) && whole) {
          if (this.#numbers.inexact) this.#builder.text(this.#decode(i, this.#numbers.end), value);
          else this.#builder.number(value);
        } else end = this.#bare(i, limit, line);
      }
      if (collapse) {
        while (end < limit && (bytes[end] === SPACE || bytes[end] === TAB)) end++;
        i = end;
        if (end < limit && bytes[end] !== LF && bytes[end] !== CR) continue;
      } else {
        i = end + 1;
        if (end < limit && bytes[end] === separator) continue;
      }
      this.#endRow(line);
      return this.#lineEnd(end, limit);
    }
  }

  /** Reads a cell without quotes that is no number. @returns the position of what ends it */
  #bare(start: number, limit: number, line: number): number {
    const bytes = this.#bytes;
    let end = start;
    for (; end < limit; end++) {
      const byte = bytes[end]!;
      if (byte === this.#separator || byte === LF || byte === CR || (this.#collapse && byte === TAB)) break;
      if (byte === QUOTE)
        throw this.#malformed('a double quote stands inside a cell that does not start with one', line);
    }
    this.#text(this.#decode(start, end));
    return end;
  }

  /** Reads a cell in quotes. @returns the position of what ends it; -1 if it goes on after `limit` */
  #quoted(start: number, limit: number, final: boolean, line: number): number {
    const bytes = this.#bytes;
    let close = start + 1;
    let doubled = false;
    for (;;) {
      close = bytes.indexOf(QUOTE, close);
      if (close < 0 || close >= limit) {
        if (final) throw this.#malformed('a double quote is not closed', line);
        return -1;
      }
      if (bytes[close + 1] !== QUOTE) break;
      doubled = true;
      close += 2;
    }
    let end = close + 1;
    while (end < limit && (bytes[end] === SPACE || (bytes[end] === TAB && this.#separator !== TAB))) end++;
    const after = end < limit ? bytes[end] : LF;
    if (after !== this.#separator && after !== LF && after !== CR && !(this.#collapse && end > close + 1))
      throw this.#malformed('text follows a cell in double quotes', line);
    for (let i = start; i < close; i++) if (bytes[i] === LF || (bytes[i] === CR && bytes[i + 1] !== LF)) this.#line++;
    const text = this.#decode(start + 1, close);
    this.#value(doubled ? text.replaceAll('""', '"') : text);
    return end;
  }

  /** A cell in quotes, which may hold a number. */
  #value(text: string): void {
    if (this.#header === undefined && text !== '') {
      const bytes = Buffer.from(text);
      const value = this.#numbers.read(bytes, 0, bytes.length);
      if (!Number.isNaN(value) && this.#numbers.end === bytes.length && !this.#numbers.inexact) {
        this.#builder.number(value);
        return;
      }
    }
    this.#text(text);
  }

  #text(text: string): void {
    if (this.#header !== undefined) this.#header.push(text);
    else if (text === '') this.#builder.empty();
    else this.#builder.text(text);
  }

  #decode(start: number, end: number): string {
    const text = this.#bytes.toString('utf8', start, end);
    return (text.length === end - start ? text : text.normalize('NFC')).trim();
  }

  #endRow(line: number): void {
    if (this.#header === undefined) this.#builder.endRow(line);
    else {
      this.#builder.setHeader(this.#header, line);
      this.#header = undefined;
    }
  }

  /** @returns the position after the line end at `position` */
  #lineEnd(position: number, limit: number): number {
    if (position >= limit) return limit;
    this.#line++;
    return this.#bytes[position] === CR && this.#bytes[position + 1] === LF ? position + 2 : position + 1;
  }

  #tooLong(line: number): never {
    throw this.#malformed(`a row exceeds ${this.#maxRecord} bytes`, line);
  }

  #malformed(what: string, line: number): DatasetError {
    // An unclosed quote shows only at the end of the file: say where to start looking.
    const start = `the trouble starts after line ${this.#builder.lastLine}`;
    return new DatasetError('malformed-csv', `${what}; ${start}: ${HINT}`, { file: this.#file, line });
  }
}

function isSpace(bytes: Buffer, position: number): boolean {
  return bytes[position - 1] === SPACE || bytes[position - 1] === TAB;
}
