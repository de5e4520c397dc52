/** How to train: what a caller may choose, and the defaults of what it does not. */
import { defined } from '@blindfit/base';
import { maxComponents, type PreprocessingChoice } from '@blindfit/data';
import {
  DEFAULT_HYPERPARAMETERS,
  fitSigmoid,
  PAPER_HYPERPARAMETERS,
  PAPER_SIGMOID,
  type Hyperparameters,
  type PlanRequest,
  type SigmoidPolynomial,
} from '@blindfit/training';

export const CLASS_WEIGHTS = ['none', 'balanced'] as const;
export type ClassWeights = (typeof CLASS_WEIGHTS)[number];

export interface TrainingChoices {
  /** Starts from the setting of the paper: start 0.0128, no preprocessing, degree 3, 2 iterations, rate 1. */
  readonly preset?: 'paper' | undefined;
  /** @default 2 */
  readonly iterations?: number | undefined;
  /** Multiplies the step (1 + gamma_t). @default 1 */
  readonly learningRate?: number | undefined;
  /** The start of every weight; 0 saves levels and time. @default 0 */
  readonly initialWeight?: number | undefined;
  /** Degree of the sigmoid polynomial: 1, 3, 5 or 7. @default 3 */
  readonly sigmoidDegree?: number | undefined;
  /** The polynomial is fitted on [-z, z]. @default 8; degree 3 on it is the polynomial of the paper */
  readonly sigmoidRange?: number | undefined;
  /** Largest absolute error of a weight to plan for. @default 1e-5, and half of it an iteration for more than 2 */
  readonly precision?: number | undefined;
  /** The part that every weight loses in each iteration, from 0 to below 1. @default 0 */
  readonly decay?: number | undefined;
  /**
   * `balanced`: samples of a class with n_k of the n samples count n / (c n_k), so that all c classes count the same.
   * @default none
   */
  readonly classWeights?: ClassWeights | undefined;
  /** Samples that one iteration learns from; every batch is used once an epoch. @default all samples */
  readonly batchSize?: number | undefined;
  /** Seed of the order of samples and batches. @default 1 */
  readonly batchSeed?: number | undefined;
  /**
   * Iterations after which the owner renews the levels of the weights; as many as `iterations` means never.
   * @default what is fastest
   */
  readonly refreshEvery?: number | undefined;
}

/**
 * Choices override the preset, which overrides the defaults.
 * @throws ParameterError for a degree that does not exist
 */
export function hyperparametersOf(choices: TrainingChoices): Hyperparameters {
  const base = choices.preset === 'paper' ? PAPER_HYPERPARAMETERS : DEFAULT_HYPERPARAMETERS;
  const {
    iterations,
    learningRate,
    initialWeight,
    sigmoidDegree = 3,
    sigmoidRange,
    batchSize,
    batchSeed = 1,
    decay = 0,
  } = choices;
  const hyperparameters = {
    iterations: iterations ?? base.iterations,
    learningRate: learningRate ?? base.learningRate,
    initialWeight: initialWeight ?? base.initialWeight,
    sigmoid: sigmoidOf(sigmoidDegree, sigmoidRange),
  };
  return Object.freeze(
    defined<Hyperparameters>({
      ...hyperparameters,
      decay: decay === 0 ? undefined : decay,
      batch: batchSize === undefined ? undefined : { size: batchSize, seed: batchSeed },
    }),
  );
}

/** What the choices ask of the planner, besides the hyperparameters. */
export function planChoicesOf({
  precision,
  refreshEvery,
}: TrainingChoices): Pick<PlanRequest, 'precision' | 'refreshEvery'> {
  return { precision, refreshEvery };
}

function sigmoidOf(degree: number, range: number | undefined): SigmoidPolynomial {
  return degree === 3 && range === undefined ? PAPER_SIGMOID : fitSigmoid(degree, range ?? 8);
}

/** With the bias these make 64 columns: one block of a ciphertext. The 401 columns of the paper fill seven. */
export const DEFAULT_COMPONENTS = 63;

/**
 * The choice or the default: whitened principal components where there are enough samples and features for them, else
 * standardised features. The quadratic gradient of whitened features is close to Newton's step, so the first
 * iteration already comes near to the best there is (measured by `npm run bench -- preprocessing`).
 */
export function preprocessingOf(
  choice: PreprocessingChoice | undefined,
  preset: 'paper' | undefined,
  training: { readonly n: number; readonly d: number },
): PreprocessingChoice {
  if (choice !== undefined) return choice;
  if (preset === 'paper') return 'none';
  const enough = training.d > DEFAULT_COMPONENTS && maxComponents(training.n, training.d) >= DEFAULT_COMPONENTS;
  return enough ? { kind: 'pca', k: DEFAULT_COMPONENTS, whiten: true } : 'standardize';
}
