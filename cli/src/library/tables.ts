/** Tables of samples in files: training data decide how they are read, held-out data and new samples follow. */
import {
  applyInput,
  DatasetError,
  fitInput,
  readTable,
  type Dataset,
  type Input,
  type InputChoices,
  type LabelledDataset,
  type Table,
  type TableChoices,
} from '@blindfit/data';
import { isFeaturesBin, readFeatures } from '@blindfit/images';
import { OwnerError } from '@blindfit/owner';

/** How to read a table: what is not said is found out. */
export interface TableOptions extends InputChoices, TableChoices {}

export interface ReadTraining {
  readonly data: LabelledDataset;
  /** How rows became features; undefined for a `.bin` file, whose rows are features. */
  readonly input: Input | undefined;
  /** What was found out, one sentence each. */
  readonly notes: readonly string[];
}

/** @throws DatasetError, FeatureError */
export async function readTraining(path: string, options: TableOptions = {}): Promise<ReadTraining> {
  if (await isFeaturesBin(path)) return { data: await readFeatures(path), input: undefined, notes: [] };
  return fitInput(await readTable(path, options), options);
}

/** Labelled samples in the columns of a training. @throws DatasetError, FeatureError */
export async function readHeldOut(
  path: string,
  input: Input | undefined,
  options: TableOptions = {},
  onNote?: (note: string) => void,
): Promise<LabelledDataset> {
  if (input === undefined || (await isFeaturesBin(path))) return await readFeatures(path);
  const table = await readTable(path, options);
  const { data, notes } = sameColumns(input, table, () =>
    applyInput(input, table, { labelled: true, label: options.label }),
  );
  for (const note of notes) onNote?.(`${path}: ${note}`);
  return data;
}

/** @throws OwnerError `OWNER_REQUEST` for a table of another shape */
function sameColumns<T>(input: Input, table: Table, apply: () => T): T {
  try {
    return apply();
  } catch (error) {
    if (!(error instanceof DatasetError) || error.code !== 'bad-shape') throw error;
    const given = table.columns.length - Number(input.label !== undefined);
    throw new OwnerError(`the validation data have ${given} features and the training data ${input.columns.length}`, {
      code: 'OWNER_REQUEST',
      hint: 'both must have the same columns',
      cause: error,
    });
  }
}

/** What says how samples for a model are read. */
export interface SampleShape {
  readonly input?: Input | undefined;
  /** Features of the model, before preprocessing. */
  readonly features: number;
}

/** Samples for a model, with or without labels. @throws DatasetError, FeatureError */
export async function readSamples(
  path: string,
  { input, features }: SampleShape,
  options: TableOptions = {},
  onNote?: (note: string) => void,
): Promise<Dataset> {
  if (await isFeaturesBin(path)) return await readFeatures(path);
  const { label } = options;
  const table = await readTable(path, options);
  const { data, notes } = applyInput(input ?? labelFirst(features), table, { labelled: false, label });
  for (const note of notes) onNote?.(note);
  return data;
}

/** The form of files for models that remember none: the label, if there is one, and numbers, none of them missing. */
function labelFirst(features: number): Input {
  const columns = Array.from({ length: features }, (_, j) => ({ kind: 'number' as const, position: j + 1, fill: NaN }));
  return { version: 1, width: features + 1, label: { position: 0 }, columns };
}
