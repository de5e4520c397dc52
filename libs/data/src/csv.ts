import type { LabelledDataset } from './dataset.ts';
import { fitInput } from './input/fit-input.ts';
import { LIMITS, type DataLimits } from './limits.ts';
import { readTable } from './table/read-table.ts';

/**
 * Reads labelled samples from a file, as {@link readTable} and {@link fitInput} do without further choices. For data
 * that a model is trained on, keep what `fitInput` gives beside the numbers.
 * @returns n x d features as double precision, and n labels
 * @throws DatasetError naming file, line and column
 */
export async function readCsv(path: string, limits: DataLimits = LIMITS): Promise<LabelledDataset> {
  return fitInput(await readTable(path, {}, limits), {}, limits).data;
}
