/** Data as a program has them: a file, rows with labels, or a data set that was read before. */
import { createDataset, type Dataset, type LabelledDataset } from '@blindfit/data';
import { readFeatures } from '@blindfit/images';
import { OwnerError } from '@blindfit/owner';

/** One row of features a sample. */
export type Rows = readonly ArrayLike<number>[];

/** Labelled samples in memory. */
export interface Samples {
  readonly x: Rows;
  /** One label a row. */
  readonly y: readonly (string | number)[];
}

/** A file of samples, a `.bin` file of `blindfit features`, rows with labels, or a data set. */
export type LabelledSource = string | Samples | LabelledDataset;

/** @throws DatasetError, FeatureError for a file that cannot be used; OwnerError `OWNER_REQUEST` for ragged rows */
export async function labelled(source: LabelledSource): Promise<LabelledDataset> {
  if (typeof source === 'string') return await readFeatures(source);
  if (!('x' in source)) return source;
  const { values, d } = flat(source.x);
  return createDataset(values, d, source.y.map(String));
}

/** @throws OwnerError `OWNER_REQUEST` for ragged rows, DatasetError for numbers that are not finite */
export function unlabelled(rows: Rows | Dataset): Dataset {
  if ('features' in rows) return rows;
  const { values, d } = flat(rows);
  return createDataset(values, d);
}

function flat(rows: Rows): { readonly values: Float64Array; readonly d: number } {
  const [first] = rows;
  if (first === undefined) throw new OwnerError('there are no samples', { code: 'OWNER_REQUEST' });
  const d = first.length;
  const values = new Float64Array(rows.length * d);
  rows.forEach((row, index) => {
    if (row.length !== d)
      throw new OwnerError(`row ${index} has ${row.length} features and row 0 has ${d}`, {
        code: 'OWNER_REQUEST',
        hint: 'all rows must have the same features',
      });
    values.set(Array.from(row), index * d);
  });
  return { values, d };
}
