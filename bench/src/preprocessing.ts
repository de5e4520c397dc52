/**
 * Which preprocessing trains best: clear training on small data sets, by learning rate and iterations, scored on
 * held-out samples. The default of the command line is the best one here.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { at } from '@blindfit/base';
import {
  accuracy,
  applyPreprocessing,
  argmaxScores,
  classesOf,
  classIndices,
  fitPreprocessing,
  parsePreprocessingKind,
  readCsv,
  samplesAt,
  withBias,
  withLabels,
  type LabelledDataset,
} from '@blindfit/data';
import { digitFiles, type Split } from '@blindfit/demo';
import { extractDataset, loadBackbone, openIdxSource } from '@blindfit/images';
import { DEFAULT_HYPERPARAMETERS, trainClear } from '@blindfit/training';
import { labelColumns } from './labels.ts';
import { print } from './measure.ts';

const KINDS = ['none', 'center', 'standardize', 'pca:63', 'pca:63:whiten', 'pca:31:whiten'];
const RATES = [1, 3, 10];
const ITERATIONS = [1, 2, 3, 5, 10, 20, 30];
const FOLDS = 4;

/** A division of data into a part to train on and a part to score. */
interface Fold {
  readonly training: LabelledDataset;
  readonly heldOut: LabelledDataset;
}

interface Outcome {
  /** Accuracy on held-out samples by entry of ITERATIONS; NaN where training diverged. */
  readonly accuracy: readonly number[];
  /** Largest score during training. The sigmoid polynomial is meant for scores up to 8. */
  readonly maxLogit: number;
}

/** Features of RegNetX-400MF of the paper's 128 images, by its authors; not part of this project. */
const REGNET = fileURLToPath(new URL('../../../shared/data/regnet_x_400mf-mnist-first128.csv', import.meta.url));

export async function run(): Promise<void> {
  const heldOut = await digits('heldout');
  const sets: { name: string; folds: readonly Fold[] }[] = [];
  for (const n of [128, 1024])
    sets.push({
      name: `wavelet scattering of the demo digits, ${n} for training, ${heldOut.n} held out`,
      folds: [{ training: await digits('train', n), heldOut }],
    });
  if (existsSync(REGNET))
    sets.push({
      name: `RegNetX-400MF features of 128 MNIST digits, ${FOLDS}-fold cross-validation`,
      folds: foldsOf(await readCsv(REGNET)),
    });
  const totals = new Map<string, { atDefaults: number; best: number }>(
    KINDS.map((kind) => [kind, { atDefaults: 0, best: 0 }]),
  );
  for (const { name, folds } of sets) {
    const rows: string[][] = [['preprocessing', 'rate', ...ITERATIONS.map((t) => `T=${t}`), 'max |z|']];
    for (const kind of KINDS) {
      let best = 0;
      for (const rate of RATES) {
        const outcomes = folds.map((fold) => trainAndScore(fold, kind, rate));
        const means = ITERATIONS.map(
          (_, t) => outcomes.reduce((sum, outcome) => sum + at(outcome.accuracy, t, 'iterations'), 0) / outcomes.length,
        );
        const maxLogit = outcomes.reduce((most, outcome) => Math.max(most, outcome.maxLogit), 0);
        best = Math.max(best, ...means.filter((value) => !Number.isNaN(value)));
        const total = totals.get(kind);
        if (total !== undefined && rate === DEFAULT_HYPERPARAMETERS.learningRate)
          total.atDefaults +=
            at(means, ITERATIONS.indexOf(DEFAULT_HYPERPARAMETERS.iterations), 'iterations') / sets.length;
        rows.push([kind, String(rate), ...means.map(percent), maxLogit > 1e6 ? 'diverges' : maxLogit.toFixed(1)]);
      }
      const total = totals.get(kind);
      if (total !== undefined) total.best += best / sets.length;
    }
    print(`Preprocessing: held-out accuracy by iterations; ${name}`, rows);
  }
  const ranking = [...totals].sort(([, a], [, b]) => b.atDefaults - a.atDefaults);
  print('Preprocessing: held-out accuracy, mean of the data sets', [
    [
      'preprocessing',
      `rate ${DEFAULT_HYPERPARAMETERS.learningRate}, T=${DEFAULT_HYPERPARAMETERS.iterations}`,
      'best rate and T',
    ],
    ...ranking.map(([kind, { atDefaults, best }]) => [kind, percent(atDefaults), percent(best)]),
  ]);
}

function trainAndScore({ training, heldOut }: Fold, kind: string, rate: number): Outcome {
  const classes = classesOf(training.labels);
  const preprocessing = fitPreprocessing(parsePreprocessingKind(kind), training);
  const prepared = applyPreprocessing(preprocessing, training);
  const labels = labelColumns(training.labels, classes);
  const iterations = Math.max(...ITERATIONS);
  const { history, maxLogit } = trainClear(withBias(prepared), training.n, prepared.d + 1, labels, {
    ...DEFAULT_HYPERPARAMETERS,
    iterations,
    learningRate: rate,
  });
  const x = withBias(applyPreprocessing(preprocessing, heldOut));
  const actual = classIndices(heldOut.labels, classes);
  return {
    accuracy: ITERATIONS.map((t) => {
      const weights = history[t - 1] ?? [];
      // Weights beyond this could still be scored, but no modulus holds them.
      return weights.every((row) => row.every((value) => Math.abs(value) < 1e6))
        ? accuracy(argmaxScores(weights, x), actual)
        : NaN;
    }),
    maxLogit: Number.isNaN(maxLogit) ? Infinity : maxLogit,
  };
}

/** Every fourth sample is held out in turn. */
function foldsOf(data: LabelledDataset): Fold[] {
  return Array.from({ length: FOLDS }, (_, fold) => ({
    training: pick(data, (i) => i % FOLDS !== fold),
    heldOut: pick(data, (i) => i % FOLDS === fold),
  }));
}

function pick(data: LabelledDataset, wanted: (i: number) => boolean): LabelledDataset {
  return samplesAt(data, Array.from({ length: data.n }, (_, i) => i).filter(wanted));
}

async function digits(split: Split, limit?: number): Promise<LabelledDataset> {
  const { data } = await extractDataset({
    source: await openIdxSource({ ...digitFiles(split), limit }),
    backbone: await loadBackbone({ backbone: 'scattering' }),
  });
  return withLabels(data, data.labels ?? []);
}

function percent(value: number): string {
  return Number.isNaN(value) ? '-' : `${(100 * value).toFixed(1)} %`;
}
