import { DatasetError, quoted } from './dataset-error.ts';

/** Kinds of preprocessing of features in the clear, before they are encrypted. */
export const PREPROCESSING_KINDS = [
  'none',
  'center',
  'standardize',
  'quantile',
  'degree2',
  'fourier',
  'pca',
  'chain',
] as const;

/** See {@link PREPROCESSING_KINDS}. */
export type PreprocessingKind = (typeof PREPROCESSING_KINDS)[number];

/** The spellings {@link parsePreprocessingKind} accepts, for messages and help. */
export const PREPROCESSING_SPELLINGS =
  'none, center, standardize, quantile, degree2, fourier:K, pca:K and pca:K:whiten, or several joined by +';

/** Project on the first k principal components, k at least 1; `whiten` divides each by its standard deviation. */
export interface PcaChoice {
  readonly kind: 'pca';
  readonly k: number;
  readonly whiten: boolean;
}

/** Add k random Fourier features. */
export interface FourierChoice {
  readonly kind: 'fourier';
  readonly k: number;
  /** @default 1 */
  readonly seed?: number | undefined;
  /** Times 1 / sqrt(features), the deviation of the frequencies. @default 0.5 */
  readonly bandwidth?: number | undefined;
}

/** One step of preprocessing that is asked for and not yet fitted. */
export type StepChoice = Exclude<PreprocessingKind, 'pca' | 'fourier' | 'chain'> | PcaChoice | FourierChoice;

/** Steps that are fitted and applied one after the other. */
export interface ChainChoice {
  readonly kind: 'chain';
  readonly steps: readonly StepChoice[];
}

/** A preprocessing that is asked for and not yet fitted. */
export type PreprocessingChoice = StepChoice | ChainChoice;

/** The longest chain. */
export const MAX_STEPS = 8;

/**
 * Reads a choice as users spell it: `none`, `standardize`, `pca:50:whiten`, `quantile+degree2+pca:50`.
 * @throws DatasetError `bad-argument`
 */
export function parsePreprocessingKind(text: string): PreprocessingChoice {
  const parts = text.split('+');
  const steps = parts.map((part) => parseStep(part, text));
  const [only] = steps;
  if (steps.length === 1 && only !== undefined) return only;
  if (steps.length > MAX_STEPS)
    throw new DatasetError('bad-argument', `preprocessing of ${steps.length} steps; at most ${MAX_STEPS} are allowed`);
  return Object.freeze({ kind: 'chain', steps: Object.freeze(steps) });
}

/** The spelling that {@link parsePreprocessingKind} reads. */
export function spellingOf(choice: PreprocessingChoice): string {
  if (typeof choice === 'string') return choice;
  switch (choice.kind) {
    case 'pca':
      return `pca:${choice.k}${choice.whiten ? ':whiten' : ''}`;
    case 'fourier': {
      const { k, seed = 1, bandwidth = DEFAULT_BANDWIDTH } = choice;
      return `fourier:${k}${seed === 1 && bandwidth === DEFAULT_BANDWIDTH ? '' : `:${seed}:${bandwidth}`}`;
    }
    case 'chain':
      return choice.steps.map(spellingOf).join('+');
  }
}

export const DEFAULT_BANDWIDTH = 0.5;

function parseStep(text: string, whole: string): StepChoice {
  switch (text) {
    case 'none':
    case 'center':
    case 'standardize':
    case 'quantile':
    case 'degree2':
      return text;
  }
  const pca = /^pca:([1-9]\d{0,8})(:whiten)?$/.exec(text);
  if (pca !== null) return Object.freeze({ kind: 'pca', k: Number(pca[1]), whiten: pca[2] !== undefined });
  const fourier = /^fourier:([1-9]\d{0,3})(?::(\d{1,9}):(\d{1,3}(?:\.\d{1,9})?))?$/.exec(text);
  if (fourier !== null && Number(fourier[3] ?? 1) > 0) {
    const [, k, seed, bandwidth] = fourier;
    const choice: FourierChoice = { kind: 'fourier', k: Number(k) };
    if (seed === undefined || bandwidth === undefined) return Object.freeze(choice);
    return Object.freeze({ ...choice, seed: Number(seed), bandwidth: Number(bandwidth) });
  }
  throw new DatasetError(
    'bad-argument',
    `unknown preprocessing ${quoted(whole)}; use one of ${PREPROCESSING_SPELLINGS}, ` +
      'where K is the whole number of components to keep',
  );
}
