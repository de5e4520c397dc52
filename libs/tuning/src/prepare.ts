/** Preprocessed samples of a search: every family is fitted once, to a sample of all training data. */
import {
  createDataset,
  fitAndApply,
  rowsOf as takeRows,
  withBias,
  type Dataset,
  type PreprocessingChoice,
  type StepChoice,
} from '@blindfit/data';
import type { Family } from './families.ts';
import type { Rows } from './path.ts';

export interface Prepared {
  readonly choice: PreprocessingChoice;
  readonly rows: Rows;
}

export function prepare(choice: PreprocessingChoice, data: Dataset, actual: Int32Array): Prepared {
  return { choice, rows: rowsOf(fitAndApply(choice, data).data, actual) };
}

/** The members of a family. A projection on fewer components gives the first ones of one on more. */
export function membersOf({ steps, components }: Family, data: Dataset, actual: Int32Array): Prepared[] {
  const most = components.at(-1);
  if (most === undefined) return [prepare(chainOf(steps), data, actual)];
  const whitened = fitAndApply(chainOf([...steps, { kind: 'pca', k: most, whiten: true }]), data).data;
  return components.map((k) => {
    const values = new Float64Array(whitened.n * k);
    for (let i = 0; i < whitened.n; i++) values.set(whitened.features.subarray(i * most, i * most + k), i * k);
    const choice = chainOf([...steps, { kind: 'pca', k, whiten: true }]);
    return { choice, rows: rowsOf(createDataset(values, k), actual) };
  });
}

function chainOf(steps: readonly StepChoice[]): PreprocessingChoice {
  const [only] = steps;
  return steps.length === 1 && only !== undefined ? only : { kind: 'chain', steps };
}

function rowsOf(data: Dataset, actual: Int32Array): Rows {
  return { x: withBias(data), n: data.n, d: data.d + 1, actual };
}

/** Some of the rows, in their order. */
export function rowsAt({ x, d, actual }: Rows, rows: Int32Array): Rows {
  return { x: takeRows(x, d, [...rows]), n: rows.length, d, actual: rows.map((row) => actual[row]!) };
}
