/** What the page of the test runs: an owner in a browser, with keys in memory. */
import { BlindfitClient } from '@blindfit/client';
import { createDataset } from '@blindfit/data';
import { locateSeal } from '@blindfit/he/seal';
import { hyperparametersOf, MemoryKeys, prepareData, train } from '@blindfit/owner';

export interface SmallJob {
  readonly server: string;
  readonly token: string;
  readonly rows: readonly (readonly number[])[];
  readonly labels: readonly string[];
  readonly iterations: number;
  readonly refreshEvery: number;
}

export interface SmallModel {
  readonly job: string;
  readonly weights: readonly (readonly number[])[];
  /** Largest absolute difference to the clear twin's weights. */
  readonly maxWeightError: number;
  readonly refreshes: number;
  readonly accuracy: number;
  readonly phases: readonly string[];
}

async function trainSmallJob({ server, token, rows, labels, iterations, refreshEvery }: SmallJob): Promise<SmallModel> {
  locateSeal(new URL('/seal.wasm', server));
  const client = new BlindfitClient({ server, token });
  const training = createDataset(Float64Array.from(rows.flat()), rows.flat().length / rows.length, labels);
  const phases = new Set<string>();
  const report = await train(client, {
    data: prepareData({ training, preprocessing: 'standardize' }),
    hyperparameters: hyperparametersOf({ iterations }),
    refreshEvery,
    keys: new MemoryKeys(),
    onProgress: ({ phase }) => phases.add(phase),
  });
  return {
    job: report.job,
    weights: report.weights.map((row) => Array.from(row)),
    maxWeightError: report.maxWeightError,
    refreshes: report.refresh.count,
    accuracy: report.accuracy.encrypted.train,
    phases: [...phases],
  };
}

Object.assign(globalThis, { trainSmallJob });
