/** What a training's options leave open is chosen on this machine, before anything is encrypted. */
import {
  classesOf,
  parsePreprocessingKind,
  spellingOf,
  type LabelledDataset,
  type PreprocessingChoice,
} from '@blindfit/data';
import {
  DEFAULT_COMPONENTS,
  hyperparametersOf,
  planChoicesOf,
  preprocessingOf,
  type FlowOptions,
  type TrainingChoices,
} from '@blindfit/owner';
import { choosePlan } from '@blindfit/training';
import {
  chooseSettings,
  parseExpansion,
  type Budget,
  type Expansion,
  type Metric,
  type Settings,
  type Tuned,
} from '@blindfit/tuning';
import { formatPercent, formatSeconds } from '../format.ts';
import { settingsFlags } from '../train/settings.ts';

/** A preprocessing as it is written, for example `standardize+pca:20:whiten`, or a choice that was read. */
export type PreprocessingSpelling = string | Exclude<PreprocessingChoice, string>;

export interface TuningOptions extends TrainingChoices, FlowOptions {
  /** See `TrainOptions`. */
  readonly preprocess?: PreprocessingSpelling | undefined;
  /**
   * How features are made of features, at home and stored in the model: `none`, `degree2`, `fourier:K`.
   * @default what is best
   */
  readonly expand?: string | undefined;
  /**
   * What accuracy may cost: `fast`, `balanced`, `best`, or the seconds that the encrypted training may take; `none`
   * chooses nothing. @default 'balanced'
   */
  readonly budget?: Budget | 'none' | number | undefined;
  /** What is to be best in cross-validation: `accuracy`, `macro-f1` or `log-loss`. @default 'accuracy' */
  readonly metric?: Metric | undefined;
  /** Settings of an earlier training; options given beside them win. */
  readonly settings?: Settings | undefined;
}

/** How to train, and the choices of a training with them filled in. */
export interface Chosen {
  readonly preprocessing: PreprocessingChoice;
  readonly choices: TrainingChoices;
  /** Undefined where nothing was left open. */
  readonly tuned: Tuned | undefined;
}

/** @throws DatasetError for data or a preprocessing that cannot be used */
export async function settle(
  options: TuningOptions,
  training: LabelledDataset,
  classes: readonly string[] | undefined,
): Promise<Chosen> {
  const { preset, settings, signal, onProgress, onLog, metric = 'accuracy', budget = 'balanced' } = options;
  const given = { ...settings, ...definedOf(options) };
  const preprocess = typeof given.preprocess === 'string' ? parsePreprocessingKind(given.preprocess) : given.preprocess;
  const choices: TrainingChoices = { ...options, ...given };
  const expand = parseExpansion(options.expand ?? 'auto');
  const open = preprocess === undefined || REQUIRED.some((key) => given[key] === undefined);
  // The search trains on all samples an iteration, from zero.
  const searchable = options.batchSize === undefined && options.initialWeight === undefined;
  if (preset === 'paper' || budget === 'none' || !open || !searchable) {
    if (preset !== 'paper' && budget !== 'none' && open)
      onLog?.('settings are not chosen for mini-batches or a start that is not 0: what is not given has its default');
    const preprocessing =
      preprocess ?? (typeof expand === 'string' && expand !== 'degree2' ? undefined : expanded(expand, training));
    return { preprocessing: preprocessingOf(preprocessing, preset, training), choices, tuned: undefined };
  }
  requirePlan(options, training, classesOf(training.labels, classes).length);
  const started = performance.now();
  const { preprocess: _, ...fixed } = given;
  const tuned = await chooseSettings({
    ...planChoicesOf(options),
    training,
    classes,
    fixed: { ...fixed, preprocess },
    balanced: options.classWeights === 'balanced',
    decay: options.decay,
    expand,
    metric,
    budget,
    onProgress: (done, total) => onProgress?.({ phase: 'choosing settings', done, total }),
    signal,
  });
  const seconds = (performance.now() - started) / 1000;
  // The planner says itself why no parameters carry the job.
  if (Number.isFinite(tuned.seconds)) for (const line of explained(tuned, seconds)) onLog?.(line);
  const { preprocess: preprocessing, ...numbers } = tuned.settings;
  return { preprocessing, choices: { ...choices, ...numbers }, tuned };
}

/** What is asked of the planner fails here, if it can be kept by no settings. @throws PlanError */
function requirePlan(options: TuningOptions, { n, d }: LabelledDataset, classes: number): void {
  const choices = planChoicesOf(options);
  if (choices.precision === undefined && choices.refreshEvery === undefined) return;
  const shape = { samples: n, features: Math.min(d, DEFAULT_COMPONENTS) + 1, classes };
  choosePlan({ shape, hyperparameters: hyperparametersOf(options), ...choices });
}

/** Without a range the polynomial of degree 3 is the paper's. */
const REQUIRED = ['iterations', 'learningRate', 'sigmoidDegree'] as const;

function definedOf(options: TuningOptions): Partial<Omit<Settings, 'preprocess'>> & Pick<TuningOptions, 'preprocess'> {
  const keys = ['preprocess', 'sigmoidRange', ...REQUIRED] as const;
  return Object.fromEntries(keys.flatMap((key) => (options[key] === undefined ? [] : [[key, options[key]]])));
}

/** Without a search: the expansion between what its arithmetic needs. */
function expanded(expand: Exclude<Expansion, 'auto' | 'none'>, { n }: LabelledDataset): PreprocessingChoice {
  const k = Math.max(1, Math.min(DEFAULT_COMPONENTS, n - 1));
  return { kind: 'chain', steps: ['standardize', expand, 'standardize', { kind: 'pca', k, whiten: true }] };
}

/** What was chosen, why, what it costs, and how to pin it. */
function explained({ settings, outcome, seconds, trials, plain }: Tuned, took: number): string[] {
  const { preprocess, iterations, learningRate, sigmoidDegree, sigmoidRange } = settings;
  return [
    `chosen: ${spellingOf(preprocess)}, ${iterations} iterations at rate ${learningRate}, a polynomial of degree ` +
      (sigmoidRange === undefined ? `${sigmoidDegree}` : `${sigmoidDegree} on [-${sigmoidRange}, ${sigmoidRange}]`),
    `  ${formatPercent(outcome.accuracy)} right in cross-validation, macro F1 ${formatPercent(outcome.macroF1)}; the ` +
      `encrypted training is expected to take ${formatSeconds(seconds)}` +
      (plain === undefined || spellingOf(plain.settings.preprocess) === spellingOf(preprocess)
        ? ''
        : ` (${spellingOf(plain.settings.preprocess)} alone: ${formatPercent(plain.outcome.accuracy)}, ` +
          `${formatSeconds(plain.seconds)})`),
    `  ${trials} trainings in the clear were compared in ${took.toFixed(1)} s; pin it with ${settingsFlags(settings)}`,
  ];
}
