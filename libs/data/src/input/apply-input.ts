import { at, valueOf } from '@blindfit/base';
import { DatasetError, listed } from '../dataset-error.ts';
import { createDataset, type Dataset, type LabelledDataset } from '../dataset.ts';
import { labelProblem, normaliseLabel } from '../labels.ts';
import { LIMITS, type DataLimits } from '../limits.ts';
import { isMissing, spelling, textOf, type Column, type Table } from '../table/table.ts';
import { notANumber } from './cell-error.ts';
import { findColumn } from './columns.ts';
import { featureOffsets, inputWidth, type Input, type InputColumn, type TextColumn } from './input.ts';

export interface AppliedInput<D extends Dataset = Dataset> {
  readonly data: D;
  readonly notes: readonly string[];
}

export interface ApplyOptions {
  /** Whether every row must have a label. */
  readonly labelled: boolean;
  /** The column of the label, if it is another one than in the training. */
  readonly label?: string | undefined;
}

/**
 * Makes the rows of a table into the features of a training. Columns are found by name where the training and the table
 * have names, else by position, with or without the label.
 * @throws DatasetError `bad-shape`, `bad-column`, `not-a-number`, `bad-label`
 */
export function applyInput(
  input: Input,
  table: Table,
  options: ApplyOptions & { readonly labelled: true },
  limits?: DataLimits,
): AppliedInput<LabelledDataset>;
export function applyInput(input: Input, table: Table, options: ApplyOptions, limits?: DataLimits): AppliedInput;
export function applyInput(
  input: Input,
  table: Table,
  options: ApplyOptions,
  limits: DataLimits = LIMITS,
): AppliedInput {
  const notes = [...table.notes];
  const asked = options.label === undefined ? undefined : findColumn(table, options.label, 'label');
  const found =
    input.columns.every(({ name }) => name !== undefined) && table.named
      ? byName(input, table, notes)
      : byPosition(input, table, asked, options.labelled);
  const label = asked ?? found.label;
  const sources = found.columns.map((i) => at(table.columns, i, 'columns'));
  let labels: readonly string[] | undefined;
  if (options.labelled || table.labels !== undefined || hasValues(table, label)) labels = labelsOf(table, label);
  const { data, filled, unseen } = encode(table, input.columns, sources, labels, limits);
  if (filled > 0)
    notes.push(
      `${filled} missing cell${filled > 1 ? 's are' : ' is'} filled with what the model remembers of the training`,
    );
  if (unseen.length > 0) notes.push(`values that did not occur in the training: ${listed(unseen)}`);
  return { data, notes };
}

interface Found {
  /** By column of the input: the column of the table. */
  readonly columns: readonly number[];
  readonly label: number | undefined;
}

function byName({ columns, label }: Input, table: Table, notes: string[]): Found {
  const positions = new Map(table.columns.map(({ name }, i) => [name, i]));
  const missing = columns.filter(({ name }) => !positions.has(name)).map(({ name = '' }) => name);
  if (missing.length > 0)
    throw new DatasetError(
      'bad-column',
      `the model was trained on columns that are not there: ${listed(missing)}; ` +
        `the file has ${listed(table.columns.map(({ name }, i) => name ?? `column ${i + 1}`))}`,
      { file: table.file },
    );
  const found = columns.map(({ name }) => valueOf(positions, name, 'columns'));
  const labelAt = label?.name === undefined ? undefined : positions.get(label.name);
  const used = new Set([...found, labelAt]);
  const extra = table.columns.flatMap(({ name }, i) => (used.has(i) || name === undefined ? [] : [name]));
  if (extra.length > 0) notes.push(`columns that the model does not use: ${listed(extra)}`);
  return { columns: found, label: labelAt };
}

function byPosition(input: Input, table: Table, asked: number | undefined, labelled: boolean): Found {
  const width = table.columns.length;
  const { columns, label } = input;
  const others = table.columns.flatMap((_, i) => (i === asked ? [] : [i]));
  if (asked !== undefined && asked !== label?.position && others.length === columns.length)
    return { columns: others, label: asked };
  if (width === input.width) return { columns: columns.map(({ position }) => position), label: label?.position };
  const bare = !labelled || table.labels !== undefined;
  if (bare && width === input.width - 1 && label !== undefined)
    return { columns: columns.map(({ position }) => position - Number(position > label.position)), label: undefined };
  if (bare && width === columns.length) return { columns: columns.map((_, i) => i), label: undefined };
  const features = columns.length === inputWidth(input) ? 'features' : 'columns';
  throw new DatasetError(
    'bad-shape',
    `the model was trained on ${columns.length} ${features} and the data has ${width - Number(label !== undefined)}; ` +
      'use data with the same features as the training',
  );
}

function hasValues(table: Table, label: number | undefined): boolean {
  if (label === undefined) return false;
  const column = at(table.columns, label, 'columns');
  for (let row = 0; row < table.rows; row++) if (textOf(column, row) !== undefined) return true;
  return false;
}

/** @throws DatasetError `bad-label` for a row without one */
export function labelsOf(table: Table, column: number | undefined): readonly string[] {
  if (column === undefined) {
    if (table.labels !== undefined) return table.labels;
    throw new DatasetError('bad-label', 'the samples have no labels; every sample needs one', { file: table.file });
  }
  const cells = at(table.columns, column, 'columns');
  return Array.from({ length: table.rows }, (_, row) => {
    const label = normaliseLabel(spelling(cells, row));
    const problem = labelProblem(label);
    if (problem === undefined) return label;
    throw new DatasetError('bad-label', problem, table.place(row, column));
  });
}

interface Encoded<D extends Dataset> {
  readonly data: D;
  /** Missing cells that were filled. */
  readonly filled: number;
  /** Texts that are no category, a few of them. */
  readonly unseen: readonly string[];
}

const MAX_UNSEEN = 20;

/** @param sources by column of the input: the column of the table */
export function encode(
  table: Table,
  columns: readonly InputColumn[],
  sources: readonly Column[],
  labels: readonly string[],
  limits: DataLimits,
): Encoded<LabelledDataset>;
export function encode(
  table: Table,
  columns: readonly InputColumn[],
  sources: readonly Column[],
  labels: readonly string[] | undefined,
  limits: DataLimits,
): Encoded<Dataset>;
export function encode(
  table: Table,
  columns: readonly InputColumn[],
  sources: readonly Column[],
  labels: readonly string[] | undefined,
  limits: DataLimits,
): Encoded<Dataset> {
  const offsets = featureOffsets(columns);
  const d = at(offsets, columns.length, 'offsets');
  const { rows } = table;
  if (rows * d > limits.values)
    throw new DatasetError(
      'too-large',
      `${rows} rows of ${d} features are more than the ${limits.values} values that are allowed: use fewer rows`,
      { file: table.file },
    );
  const features = new Float64Array(rows * d);
  const unseen = new Set<string>();
  let filled = 0;
  columns.forEach((column, k) => {
    const source = at(sources, k, 'columns');
    const offset = at(offsets, k, 'offsets');
    if (column.kind === 'text') encodeText(column, source, rows, features, offset, d, unseen);
    else {
      const { numbers, stride } = source;
      for (let row = 0, from = source.offset, to = offset; row < rows; row++, from += stride, to += d) {
        const value = numbers[from]!;
        if (!Number.isNaN(value)) features[to] = value;
        else {
          const text = source.texts?.[row];
          if (text !== undefined && !isMissing(text)) throw notANumber(table, table.columns.indexOf(source), row);
          features[to] = column.fill;
          filled++;
        }
      }
    }
  });
  return { data: createDataset(features, d, labels, limits), filled, unseen: [...unseen] };
}

function encodeText(
  { categories, other, missing }: TextColumn,
  source: Column,
  rows: number,
  features: Float64Array,
  offset: number,
  d: number,
  unseen: Set<string>,
): void {
  const slots = new Map(categories.map((text, i) => [text, i]));
  const otherSlot = other ? categories.length : -1;
  const missingSlot = missing ? categories.length + Number(other) : -1;
  for (let row = 0; row < rows; row++) {
    const text = textOf(source, row);
    const gap = text === undefined || isMissing(text);
    let slot = missingSlot;
    if (!gap) slot = slots.has(text) ? valueOf(slots, text, 'categories') : -1;
    if (slot < 0) {
      if (!gap && !other && unseen.size < MAX_UNSEEN) unseen.add(text);
      slot = otherSlot;
    }
    // A value that the training has no feature for is none of its categories.
    if (slot >= 0) features[row * d + offset + slot] = 1;
  }
}
