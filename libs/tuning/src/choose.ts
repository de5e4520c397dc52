/**
 * Chooses how to train, by cross-validation inside the training data: the owner has them in the clear. Nothing here
 * encrypts or trains for good, and nothing depends on a clock: the same data and budget give the same settings.
 */
import {
  classesOf,
  classIndices,
  DatasetError,
  samplesAt,
  type Dataset,
  type LabelledDataset,
  type PreprocessingChoice,
} from '@blindfit/data';
import { fitSigmoid, PAPER_SIGMOID, type SigmoidPolynomial } from '@blindfit/training';
import { holds, tryOut, workOf, type Candidate, type Settings, type Trial } from './candidate.ts';
import { Costs, type CostRequest } from './cost.ts';
import { familiesFor, type Expansion } from './families.ts';
import { stratifiedFolds, stratifiedSample, type Fold } from './folds.ts';
import { valueOf, type Metric, type Outcome } from './judge.ts';
import type { Rows } from './path.ts';
import { membersOf, prepare, type Prepared } from './prepare.ts';
import { steepestRate } from './step-size.ts';

export const BUDGETS = ['fast', 'balanced', 'best'] as const;
export type Budget = (typeof BUDGETS)[number];

export interface TuningRequest extends Omit<CostRequest, 'samples' | 'classes' | 'threads'> {
  readonly training: LabelledDataset;
  readonly classes?: readonly string[] | undefined;
  /** What is not to be chosen. */
  readonly fixed?: { readonly [K in keyof Settings]?: Settings[K] | undefined } | undefined;
  /** Samples of rare classes count more. @default false */
  readonly balanced?: boolean | undefined;
  /** @default 0 */
  readonly decay?: number | undefined;
  /** How features are made of features, or that they are not. @default what is best */
  readonly expand?: Expansion | undefined;
  readonly metric: Metric;
  /** Or the seconds that a training may take. */
  readonly budget: Budget | number;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Tuned {
  readonly settings: Settings;
  /** Out of fold, inside the training data. */
  readonly outcome: Outcome;
  /** Expected seconds of the encrypted training. */
  readonly seconds: number;
  /** Trainings in the clear that the choice rests on. */
  readonly trials: number;
  /** The simplest settings that were looked at as closely: standardised features and the paper's polynomial. */
  readonly plain: { readonly settings: Settings; readonly outcome: Outcome; readonly seconds: number } | undefined;
}

/** Price of a doubling of the expected seconds, in parts of 1 of the metric. */
const PRICE: Record<Budget, number> = { fast: 0.005, balanced: 0.001, best: 0.0001 };
/** Values and rows that preprocessings are fitted to. */
const SAMPLE = { values: 400_000, rows: 3000, fewest: 600 };
/** Multiplications of the two rounds: a few seconds. */
const WORK = { first: 0.5e9, second: 2e9 };
/** Features made of features must be better by this part of the standard error, each time. */
const DOUBT = 0.25;
const SEED = 1;
const LOOKS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32];
const FINALISTS = 4;
/** Of the best candidates the first one that keeps in range on all samples is chosen. */
const CONFIRMED = 8;
/** The price is that of a small machine on every machine, so that all choose the same. */
const PRICED_THREADS = 2;

/** @throws DatasetError for data that cannot be trained on; the signal's reason */
export async function chooseSettings(request: TuningRequest): Promise<Tuned> {
  const { training, fixed = {}, expand = 'auto', signal, onProgress } = request;
  const classes = classesOf(training.labels, request.classes);
  const { data, actual } = sampled(training, classIndices(training.labels, classes));
  const rank = ranking(request, classes.length);
  const families = fixed.preprocess === undefined ? familiesFor(data, training.n, expand) : [];
  const total = Math.max(1, families.length) + 2 * FINALISTS;
  let [done, trials] = [0, 0];
  const breathe = async (): Promise<void> => {
    onProgress?.(Math.min(total, done++), total);
    await new Promise((resolve) => setImmediate(resolve));
    signal?.throwIfAborted();
  };
  const run = (trial: Trial, folds: readonly Fold[]): Candidate[] => {
    trials++;
    return tryOut(trial, folds, classes.length);
  };

  // First round: every preprocessing, some iterations of one polynomial.
  await breathe();
  const members: Prepared[] = fixed.preprocess === undefined ? [] : [prepare(fixed.preprocess, data, actual)];
  for (const family of families) {
    members.push(...membersOf(family, data, actual));
    await breathe();
  }
  const [screening] = sigmoidsOf(fixed);
  const looks = looksUpTo(8, fixed);
  const first = members.map((prepared) => trialOf(prepared, screening, looks, request));
  const folds = foldsFor(actual, (all) => sumOf(first, (trial) => workOf(trial, all, classes.length)), WORK.first);
  const screened = first.flatMap((trial) => rank.best(run(trial, folds), false) ?? []);
  const finalists = rank
    .sorted(screened, false)
    .slice(0, FINALISTS)
    .map(({ trial }) => trial.prepared);
  // Simple settings are looked at closely, too: they are what the others must beat.
  const [simplest] = members;
  if (simplest !== undefined && !finalists.includes(simplest)) finalists.push(simplest);

  // Second round: more folds and iterations, for all; then other polynomials and rates, for the best two.
  const longer = looksUpTo(16, fixed);
  const second = finalists.map((prepared) => trialOf(prepared, screening, longer, request));
  const others = (prepared: Prepared): Trial[] => [
    ...sigmoidsOf(fixed)
      .slice(1)
      .map((sigmoid) => trialOf(prepared, sigmoid, looksUpTo(sigmoid.degree === 1 ? 8 : 32, fixed), request)),
    trialOf(prepared, screening, looksUpTo(32, fixed), request, 1 / 3),
  ];
  const workOfSecond = (all: readonly Fold[]): number =>
    sumOf([...second, ...finalists.slice(0, 2).flatMap(others)], (trial) => workOf(trial, all, classes.length));
  const closer = foldsFor(actual, workOfSecond, WORK.second);
  const candidates: Candidate[] = [];
  for (const trial of second) {
    candidates.push(...run(trial, closer));
    await breathe();
  }
  const plain = rank.best(candidates.filter(({ trial }) => trial.prepared === simplest));
  const leaders = new Set(rank.sorted(candidates).map(({ trial }) => trial.prepared));
  for (const prepared of [...leaders].slice(0, 2)) {
    for (const trial of others(prepared)) {
      candidates.push(...run(trial, closer));
      await breathe();
    }
  }
  onProgress?.(total, total);
  const all = classIndices(training.labels, classes);
  const chosen = rank
    .sorted(candidates)
    .slice(0, CONFIRMED)
    .find((candidate) => holds(candidate, allRows(training, all, candidate), classes.length));
  if (chosen === undefined)
    throw new DatasetError('bad-argument', 'no settings keep the numbers of this training in range; use --preprocess');
  return {
    settings: chosen.settings,
    outcome: chosen.outcome,
    seconds: rank.seconds(chosen),
    trials,
    plain: plain && { settings: plain.settings, outcome: plain.outcome, seconds: rank.seconds(plain) },
  };
}

interface Ranking {
  seconds(candidate: Candidate): number;
  best(candidates: readonly Candidate[], planned?: boolean): Candidate | undefined;
  /** @param planned whether the planner prices them; otherwise a rule of thumb does */
  sorted(candidates: readonly Candidate[], planned?: boolean): Candidate[];
}

/** The metric less the price of the time it takes. */
function ranking(request: TuningRequest, classes: number): Ranking {
  const { metric, budget } = request;
  const costs = new Costs({ ...request, samples: request.training.n, classes, threads: PRICED_THREADS });
  const price = typeof budget === 'number' ? PRICE.best : PRICE[budget];
  const secondsOf = ({ trial: { prepared, sigmoid }, settings }: Candidate): number =>
    costs.seconds(prepared.rows.d, sigmoid, settings.iterations);
  const utility = (candidate: Candidate, planned: boolean): number => {
    const { settings, outcome } = candidate;
    const { prepared } = candidate.trial;
    const seconds = planned ? secondsOf(candidate) : settings.iterations * (1 + prepared.rows.d / 256);
    if (planned && typeof budget === 'number' && seconds > budget) return -seconds;
    const { accuracy } = outcome;
    const doubt = Math.sqrt((accuracy * (1 - accuracy)) / request.training.n);
    const worth = valueOf(outcome, metric, classes) - DOUBT * doubt * expansionsIn(prepared.choice);
    return worth - price * Math.log2(Math.max(0.5, seconds));
  };
  const sorted = (candidates: readonly Candidate[], planned = true): Candidate[] => {
    const rated = candidates.map((candidate) => ({ candidate, value: utility(candidate, planned) }));
    return rated.sort((a, b) => b.value - a.value).map(({ candidate }) => candidate);
  };
  return { seconds: secondsOf, sorted, best: (candidates, planned) => sorted(candidates, planned)[0] };
}

function expansionsIn(choice: PreprocessingChoice): number {
  if (typeof choice === 'string') return choice === 'degree2' ? 1 : 0;
  if (choice.kind === 'chain') return sumOf(choice.steps, expansionsIn);
  return choice.kind === 'fourier' ? 1 : 0;
}

type Fixed = NonNullable<TuningRequest['fixed']>;

function trialOf(
  prepared: Prepared,
  sigmoid: SigmoidPolynomial,
  looks: readonly number[],
  { fixed, balanced = false, decay }: TuningRequest,
  part = 1,
): Trial {
  const rate = fixed?.learningRate ?? rounded(part * steepestRate(prepared.rows, sigmoid));
  return { prepared, sigmoid, learningRate: rate, looks, balanced, decay };
}

function looksUpTo(most: number, { iterations }: Fixed): readonly number[] {
  return iterations === undefined ? LOOKS.filter((look) => look <= most) : [iterations];
}

/** The paper's polynomial, a straight line, and two that reach further. */
function sigmoidsOf({ sigmoidDegree, sigmoidRange }: Fixed): [SigmoidPolynomial, ...SigmoidPolynomial[]] {
  if (sigmoidDegree === undefined && sigmoidRange === undefined)
    return [PAPER_SIGMOID, fitSigmoid(1, 4), fitSigmoid(3, 16), fitSigmoid(5, 12)];
  const degree = sigmoidDegree ?? PAPER_SIGMOID.degree;
  if (sigmoidRange !== undefined) return [fitSigmoid(degree, sigmoidRange)];
  const narrow = degree === PAPER_SIGMOID.degree ? PAPER_SIGMOID : fitSigmoid(degree, 8);
  return degree === 1 ? [narrow] : [narrow, fitSigmoid(degree, 16)];
}

/** All samples as a candidate takes them; those of its sample where that is all. */
function allRows(training: LabelledDataset, actual: Int32Array, { trial: { prepared } }: Candidate): Rows {
  return prepared.rows.n === training.n ? prepared.rows : prepare(prepared.choice, training, actual).rows;
}

function sampled(training: LabelledDataset, all: Int32Array): { data: Dataset; actual: Int32Array } {
  const { n, d } = training;
  const size = Math.min(n, SAMPLE.rows, Math.max(SAMPLE.fewest, Math.floor(SAMPLE.values / d)));
  const rows = stratifiedSample(all, size, SEED);
  if (rows.length === n) return { data: training, actual: all };
  return { data: samplesAt(training, rows), actual: rows.map((row) => all[row]!) };
}

/**
 * As many cuts of the samples, and samples of a cut, as the work allows: few samples are cut several times, so that the
 * choice does not rest on one cut; of many, some are enough.
 */
function foldsFor(actual: Int32Array, workOf: (folds: readonly Fold[]) => number, most: number): Fold[] {
  const n = actual.length;
  const count = Math.max(2, Math.min(n, n < 600 ? 5 : n < 1500 ? 4 : 3));
  let folds = stratifiedFolds(actual, count, SEED);
  const one = workOf(folds);
  const repetitions = Math.max(1, Math.min(4, Math.floor(400 / n), Math.floor(most / one)));
  for (let i = 1; i < repetitions; i++) folds.push(...stratifiedFolds(actual, count, SEED + i));
  while (folds.length > 1 && workOf(folds) > 1.5 * most) folds = folds.slice(0, -1);
  const left = workOf(folds) / most;
  if (left <= 1.5) return folds;
  // Too much even for one fold: train on some of its samples.
  return folds.map(({ training, heldOut }) => {
    const labels = training.map((row) => actual[row]!);
    const kept = stratifiedSample(labels, Math.ceil(training.length / left), SEED);
    return { training: kept.map((position) => training[position]!), heldOut };
  });
}

function sumOf<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((sum, item) => sum + value(item), 0);
}

/** Two digits: what a user can pin. */
function rounded(rate: number): number {
  return Number(Math.min(1000, Math.max(1e-4, rate)).toPrecision(2));
}
