import { at } from '@blindfit/base';
import { DatasetError } from '../dataset-error.ts';
import { arrayOrKind, isPlainObject, kindOf } from '../json.ts';

/** A column of numbers, one feature. */
export interface NumberColumn {
  readonly kind: 'number';
  readonly name?: string | undefined;
  /** Where it stood in the training file, counted from 0. */
  readonly position: number;
  /** Stands in for a missing cell. */
  readonly fill: number;
}

/** A column of names. Each category is a feature, 1 where the cell holds it, else 0. */
export interface TextColumn {
  readonly kind: 'text';
  readonly name?: string | undefined;
  readonly position: number;
  readonly categories: readonly string[];
  /** Whether one feature more stands for all other values: rare ones of the training, unseen ones later. */
  readonly other: boolean;
  /** Whether one feature more stands for a missing cell. */
  readonly missing: boolean;
}

export type InputColumn = NumberColumn | TextColumn;

/** How a row of a file becomes numbers, before any preprocessing: fitted to training data, kept in the model. */
export interface Input {
  readonly version: 1;
  /** Columns of the training file, the label and those left out included. */
  readonly width: number;
  /** The column of labels; undefined if they lay apart. */
  readonly label?: { readonly name?: string | undefined; readonly position: number } | undefined;
  /** The columns in use, in the order of their features. */
  readonly columns: readonly InputColumn[];
}

/** Number of features that a column gives. */
export function featuresOf(column: InputColumn): number {
  return column.kind === 'number' ? 1 : column.categories.length + Number(column.other) + Number(column.missing);
}

/** Number of features of a row. */
export function inputWidth({ columns }: Input): number {
  return columns.reduce((sum, column) => sum + featuresOf(column), 0);
}

/** One name for each feature, for messages: `age`, `colour = red`. */
export function featureNames({ columns }: Input): readonly string[] {
  return columns.flatMap((column) => {
    const name = column.name ?? `column ${column.position + 1}`;
    if (column.kind === 'number') return [name];
    const values = [
      ...column.categories,
      ...(column.other ? ['(other)'] : []),
      ...(column.missing ? ['(missing)'] : []),
    ];
    return values.map((value) => `${name} = ${value}`);
  });
}

/** Whether every feature is a number of the file as it stands there. */
export function isPlainInput({ columns }: Input): boolean {
  return columns.every(({ kind }) => kind === 'number');
}

/**
 * Validates an input section read from JSON.
 * @throws DatasetError `bad-model`
 */
export function parseInput(value: unknown): Input {
  if (!isPlainObject(value)) throw bad(`must be an object; it is ${kindOf(value)}`);
  if (value['version'] !== 1)
    throw bad(`has version ${kindOf(value['version'])}; this version of Blindfit reads version 1`);
  requireKeys(value, ['version', 'width', 'label', 'columns'], '');
  const { width, label, columns } = value;
  if (!isIndex(width) || width === 0) throw bad(`width must be a number of columns; it is ${kindOf(width)}`);
  if (!Array.isArray(columns) || columns.length === 0 || columns.length > width)
    throw bad(`columns must be an array of 1 to ${width} columns; it is ${arrayOrKind(columns)}`);
  return Object.freeze({
    version: 1,
    width,
    label: label === undefined ? undefined : parseLabel(label, width),
    columns: Object.freeze(columns.map((column, i) => parseColumn(column, `columns[${i}]`, width))),
  });
}

function parseLabel(value: unknown, width: number): Input['label'] {
  if (!isPlainObject(value)) throw bad(`label must be an object; it is ${kindOf(value)}`);
  requireKeys(value, ['name', 'position'], 'label ');
  return Object.freeze({ name: parseName(value['name'], 'label'), position: parsePosition(value, 'label', width) });
}

function parseColumn(value: unknown, path: string, width: number): InputColumn {
  if (!isPlainObject(value)) throw bad(`${path} must be an object; it is ${kindOf(value)}`);
  const name = parseName(value['name'], path);
  const position = parsePosition(value, path, width);
  const { kind, fill, categories, other, missing } = value;
  if (kind === 'number') {
    requireKeys(value, ['kind', 'name', 'position', 'fill'], `${path} `);
    if (typeof fill !== 'number' || !Number.isFinite(fill))
      throw bad(`${path}.fill must be a finite number; it is ${kindOf(fill)}`);
    return Object.freeze({ kind, name, position, fill });
  }
  if (kind !== 'text') throw bad(`${path}.kind is ${kindOf(kind)}; allowed are number, text`);
  requireKeys(value, ['kind', 'name', 'position', 'categories', 'other', 'missing'], `${path} `);
  if (!Array.isArray(categories) || !categories.every((item) => typeof item === 'string'))
    throw bad(`${path}.categories must be an array of texts; it is ${arrayOrKind(categories)}`);
  if (new Set(categories).size !== categories.length) throw bad(`${path}.categories names a value more than once`);
  if (typeof other !== 'boolean' || typeof missing !== 'boolean')
    throw bad(`${path}.other and ${path}.missing must be true or false`);
  const column = Object.freeze({ kind, name, position, categories: Object.freeze([...categories]), other, missing });
  if (featuresOf(column) === 0) throw bad(`${path} gives no feature`);
  return column;
}

function parseName(value: unknown, path: string): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  throw bad(`${path}.name must be a text; it is ${kindOf(value)}`);
}

function parsePosition(value: Readonly<Record<string, unknown>>, path: string, width: number): number {
  const { position } = value;
  if (isIndex(position) && position < width) return position;
  throw bad(`${path}.position must be a column from 0 to ${width - 1}; it is ${kindOf(position)}`);
}

function isIndex(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function requireKeys(value: Readonly<Record<string, unknown>>, allowed: readonly string[], what: string): void {
  const unknown = Object.keys(value).find((key) => !allowed.includes(key));
  if (unknown !== undefined)
    throw bad(`${what}has the unknown key ${kindOf(unknown)}; allowed are ${allowed.join(', ')}`);
}

function bad(message: string): DatasetError {
  return new DatasetError('bad-model', `input ${message}`);
}

/** The first features of `columns`, by column: where the features of each begin. */
export function featureOffsets(columns: readonly InputColumn[]): readonly number[] {
  const offsets = [0];
  columns.forEach((column, i) => offsets.push(at(offsets, i, 'offsets') + featuresOf(column)));
  return offsets;
}
