/**
 * Whether a job's numbers stay where the encrypted arithmetic is right. The owner can find out: it trains in the clear.
 */
import { fitSigmoid, reachOf, trainClear, type ClearTraining, type Hyperparameters } from '@blindfit/training';
import { OwnerError } from '../errors.ts';
import { accuraciesOf, type TrainingData } from './training-data.ts';

/** Polynomials on wider ranges can be fitted, but say next to nothing about the sigmoid. */
const WIDEST = 64;
/** Time to look for proposals, in milliseconds. */
const BUDGET_MS = 5_000;
/** A proposal keeps this much room, so that noise does not carry it out of range. */
const ROOM = 1.02;

export interface Limits {
  /** The encrypted model holds weights below this. */
  readonly maxWeight: number;
}

/** A choice that keeps all numbers in range, as a run in the clear showed. */
export interface Fix {
  /** The option of `train` and its value. */
  readonly choice: string;
  readonly training: ClearTraining;
}

/**
 * Warns when scores leave the range of the sigmoid polynomial, and proposes choices that keep them inside.
 * @param clear the clear twin's run of exactly this job
 * @param budgetMs how long to look for proposals
 * @throws OwnerError when the weights leave what the encrypted model can hold, with proposals as well
 */
export function guardRanges(
  clear: ClearTraining,
  limits: Limits,
  data: TrainingData,
  hyperparameters: Hyperparameters,
  log: (line: string) => void,
  budgetMs = BUDGET_MS,
): void {
  const { range } = hyperparameters.sigmoid;
  // NaN counts as out of range.
  const diverges = !(clear.maxWeight < limits.maxWeight);
  if (!diverges && clear.maxLogit <= reachOf(hyperparameters.sigmoid)) return;
  const hint = advice(findFixes(clear, limits, data, hyperparameters, budgetMs), data);
  if (diverges) {
    throw new OwnerError(
      `training diverges: weights would reach ${sized(clear.maxWeight)}, ` +
        `and the encrypted model holds |w| < ${limits.maxWeight}`,
      { hint },
    );
  }
  log(
    `warning: scores reach ${sized(clear.maxLogit)}, outside the sigmoid polynomial's range of ${range}, ` +
      `where the gradient is wrong; this run gives ${outcome(clear, data)} in the clear`,
  );
  log(`hint: ${hint}`);
}

/**
 * The narrowest sigmoid range and the highest learning rate found that keep all numbers in range: none, one or both.
 */
export function findFixes(
  clear: ClearTraining,
  limits: Limits,
  data: TrainingData,
  hyperparameters: Hyperparameters,
  budgetMs = BUDGET_MS,
): Fix[] {
  const deadline = performance.now() + budgetMs;
  const attempt = (changes: Partial<Hyperparameters>): { training: ClearTraining; fits: boolean } => {
    const changed = { ...hyperparameters, ...changes };
    const { x, samples, features, labels } = data.set;
    const training = trainClear(x, samples, features, labels, changed, data.set);
    return {
      training,
      fits: training.maxLogit * ROOM <= changed.sigmoid.range && training.maxWeight * ROOM < limits.maxWeight,
    };
  };
  const fixes: Fix[] = [];
  // Another polynomial leads along another path, which may reach further: widen until a range covers its own path.
  let reach = clear.maxLogit;
  while (performance.now() < deadline) {
    const range = Math.ceil(2 * ROOM * reach) / 2;
    if (!(range <= WIDEST)) break;
    const { training, fits } = attempt({ sigmoid: fitSigmoid(hyperparameters.sigmoid.degree, range) });
    if (fits) {
      fixes.push({ choice: `\`sigmoidRange\` ${range}`, training });
      break;
    }
    reach = Math.max(training.maxLogit, range * 1.1);
  }
  for (const factor of [0.7, 0.5, 0.35, 0.25, 0.1, 0.03, 0.01]) {
    if (performance.now() >= deadline) break;
    const learningRate = Number((hyperparameters.learningRate * factor).toPrecision(2));
    const { training, fits } = attempt({ learningRate });
    if (!fits) continue;
    fixes.push({ choice: `\`learningRate\` ${learningRate}`, training });
    break;
  }
  return fixes;
}

function advice(fixes: readonly Fix[], data: TrainingData): string {
  if (fixes.length === 0)
    return (
      'no wider `sigmoidRange` and no lower `learningRate` was found to keep it in range; ' +
      'use fewer `iterations`, or `preprocess` pca:K, which tames it best'
    );
  return fixes
    .map(({ choice, training }) => `${choice} keeps it in range (${outcome(training, data)} in the clear)`)
    .join('; ');
}

function outcome({ weights }: ClearTraining, data: TrainingData): string {
  const { train, validation } = accuraciesOf(weights, data);
  return validation === undefined
    ? `${percent(train)} of the training samples`
    : `${percent(validation)} of the held-out samples`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}

function sized(value: number): string {
  return Number.isNaN(value) ? 'infinity' : value.toPrecision(3);
}
