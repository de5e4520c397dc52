/** Shared by the tests: directories that vanish, small plans without security, and reproducible data. */
import { fileURLToPath } from 'node:url';
import { at, defined } from '@blindfit/base';
import type * as he from '@blindfit/he';
import * as training from '@blindfit/training';
import type { TrainingSet } from '../src/index.ts';

/** Keys that tests share where the keys are not what they are about: making them takes longer than most of the rest. */
export const SHARED_KEYS = fileURLToPath(new URL('../../../.blindfit/test-keys', import.meta.url));

export interface PlanOptions {
  readonly samples: number;
  readonly features: number;
  readonly classes: number;
  readonly iterations?: number;
  readonly initialWeight?: number;
  readonly degree?: number;
  readonly learningRate?: number;
  readonly batch?: { readonly size: number; readonly seed: number };
  /** @default all iterations */
  readonly refreshEvery?: number;
  readonly modelLevel?: 0 | 1;
  readonly decay?: number;
  readonly ring?: he.Ring;
  /** @default 'none' */
  readonly security?: he.SecurityLevel;
  /** In place of the planner's choice. */
  readonly block?: training.BlockShape;
  /** With a block only. @default one task for everything */
  readonly grouping?: Partial<training.Grouping>;
}

export function planOf(options: PlanOptions): training.Plan {
  const { samples, features, classes, ring, security = 'none', degree = 3 } = options;
  const shape = { samples, features, classes };
  const hyperparameters: training.Hyperparameters = {
    iterations: options.iterations ?? 2,
    initialWeight: options.initialWeight ?? 0,
    learningRate: options.learningRate ?? 1,
    sigmoid: degree === 3 ? training.PAPER_SIGMOID : training.fitSigmoid(degree, 8),
    ...defined({ batch: options.batch, decay: options.decay }),
  };
  const schedule: training.Schedule = {
    refreshEvery: options.refreshEvery ?? hyperparameters.iterations,
    modelLevel: options.modelLevel ?? 0,
  };
  const chosen = training.choosePlan({
    shape,
    hyperparameters,
    security,
    ...schedule,
    ring,
  });
  if (options.block === undefined) return chosen;
  const layout = training.layoutOf(options.block, samples, features, classes, options.batch?.size);
  const whole = { blocksPerTask: layout.blocks, shardsPerTask: layout.shardsPerBatch, pairsPerChain: 1 };
  return training.derivePlan(
    chosen.parameters,
    options.block,
    shape,
    hyperparameters,
    { ...whole, ...options.grouping },
    schedule,
  );
}

/** Uniform features in [-1, 1) behind a bias column, and one class a sample. */
export function randomData(samples: number, features: number, classes: number, seed = 1): TrainingSet {
  let state = seed >>> 0;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  const x = Float64Array.from({ length: samples * features }, (_, i) => (i % features === 0 ? 1 : next()));
  const labels = Array.from({ length: classes }, () => new Float64Array(samples));
  for (let sample = 0; sample < samples; sample++) {
    const column = labels[Math.floor(((next() + 1) / 2) * classes)];
    if (column !== undefined) column[sample] = 1;
  }
  return { x, samples, features, labels };
}

/** Largest absolute difference; NaN counts as infinite. */
export function largestError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let error = actual.length === expected.length ? 0 : Infinity;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(at(actual, i, 'values') - at(expected, i, 'values'));
    error = Math.max(error, Number.isNaN(difference) ? Infinity : difference);
  }
  return error;
}
