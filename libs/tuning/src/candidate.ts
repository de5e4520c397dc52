/** Settings of a training, and what a cross-validation says of them. */
import { at } from '@blindfit/base';
import { balancedWeights, type PreprocessingChoice } from '@blindfit/data';
import { PAPER_SIGMOID, reachOf, type SigmoidPolynomial } from '@blindfit/training';
import type { Fold } from './folds.ts';
import { judge, type Outcome } from './judge.ts';
import { walk, type Look, type Rows } from './path.ts';
import { rowsAt, type Prepared } from './prepare.ts';

/** What decides how a model is trained. */
export interface Settings {
  readonly preprocess: PreprocessingChoice;
  readonly iterations: number;
  readonly learningRate: number;
  readonly sigmoidDegree: number;
  /** Undefined: the coefficients of the paper. */
  readonly sigmoidRange: number | undefined;
}

export interface Candidate {
  readonly trial: Trial;
  readonly settings: Settings;
  /** Out of fold. */
  readonly outcome: Outcome;
}

export interface Trial {
  readonly prepared: Prepared;
  readonly sigmoid: SigmoidPolynomial;
  readonly learningRate: number;
  /** Iterations after which to look, ascending. */
  readonly looks: readonly number[];
  /** Whether samples of rare classes count more. */
  readonly balanced: boolean;
  /** @default 0 */
  readonly decay?: number | undefined;
}

/** A trained model stays that far inside its ranges. */
const ROOM = 1.1;
const MOST_WEIGHT = 30;

/** One candidate a look whose numbers stay in range on every fold. */
export function tryOut(trial: Trial, folds: readonly Fold[], classes: number): Candidate[] {
  const { prepared, sigmoid, learningRate, looks, decay, balanced } = trial;
  const paths = folds.map((fold) => {
    const heldOut = rowsAt(prepared.rows, fold.heldOut);
    const training = rowsAt(prepared.rows, fold.training);
    const rowWeights = balanced ? balancedWeights(training.actual) : undefined;
    return { heldOut, path: walk({ training, heldOut, classes, learningRate, sigmoid, looks, decay, rowWeights }) };
  });
  const actual = Int32Array.from(paths.flatMap(({ heldOut }) => [...heldOut.actual]));
  return looks.flatMap((iterations) => {
    const found = paths.flatMap(({ path }) => path.filter((look) => look.iteration === iterations));
    if (found.length < paths.length || found.some((look) => !fits(look, sigmoid))) return [];
    const { degree: sigmoidDegree, range } = sigmoid;
    const sigmoidRange = sigmoid === PAPER_SIGMOID ? undefined : range;
    const settings = { preprocess: prepared.choice, iterations, learningRate, sigmoidDegree, sigmoidRange };
    return [{ trial, settings, outcome: judge(joined(found), actual, classes) }];
  });
}

/** Multiplications of a trial, for the budget of a search. */
export function workOf({ prepared: { rows }, looks }: Trial, folds: readonly Fold[], classes: number): number {
  const trained = folds.reduce((sum, { training }) => sum + training.length, 0);
  return 2 * trained * rows.d * classes * at(looks, looks.length - 1, 'looks');
}

/** Whether a training on all samples keeps its numbers in range, too. */
export function holds({ trial, settings }: Candidate, rows: Rows, classes: number): boolean {
  const { sigmoid, balanced, decay } = trial;
  const rowWeights = balanced ? balancedWeights(rows.actual) : undefined;
  const { iterations, learningRate } = settings;
  const heldOut = rowsAt(rows, Int32Array.of(0));
  const looks = [iterations];
  const [last] = walk({ training: rows, heldOut, classes, learningRate, sigmoid, looks, decay, rowWeights });
  return last !== undefined && fits(last, sigmoid);
}

function joined(looks: readonly Look[]): Float64Array {
  const all = new Float64Array(looks.reduce((sum, { scores }) => sum + scores.length, 0));
  let position = 0;
  for (const { scores } of looks) {
    all.set(scores, position);
    position += scores.length;
  }
  return all;
}

function fits({ maxLogit, maxWeight }: Look, sigmoid: SigmoidPolynomial): boolean {
  return maxLogit * ROOM <= reachOf(sigmoid) && maxWeight * ROOM <= MOST_WEIGHT;
}
