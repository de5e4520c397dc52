/** Which preprocessings are worth a look for data of a shape. */
import {
  DatasetError,
  parsePreprocessingKind,
  degree2Features,
  maxComponents,
  type Dataset,
  type FourierChoice,
  type StepChoice,
} from '@blindfit/data';

/** Steps up to a last projection on principal components, of which a search tries several numbers. */
export interface Family {
  readonly steps: readonly StepChoice[];
  /** Numbers of components to try, ascending; none: no projection. */
  readonly components: readonly number[];
}

/** The most features whose products are taken: the covariance of 405 takes a second to decompose. */
const SQUARED_INPUTS = 27;
/** The most features that Fourier features are made of. */
const FOURIER_INPUTS = 40;
/** Fewer samples do not fill as many directions. */
const FEWEST_FOR_FOURIER = 200;

/** How features are made of features. */
export type Expansion = 'auto' | 'none' | 'degree2' | FourierChoice;

/** @param text `auto`, `none`, `degree2` or `fourier:K` @throws DatasetError `bad-argument` for anything else */
export function parseExpansion(text: string): Expansion {
  if (text === 'auto' || text === 'none' || text === 'degree2') return text;
  const choice = /^fourier:/.test(text) ? parsePreprocessingKind(text) : undefined;
  if (typeof choice === 'object' && choice.kind === 'fourier') return choice;
  throw new DatasetError('bad-argument', `unknown expansion "${text}"; use auto, none, degree2 or fourier:K`);
}

/**
 * @param data a sample of the training data
 * @param samples of all training data
 * @param expand a given expansion leaves no family without it
 */
export function familiesFor(data: Dataset, samples: number, expand: Expansion): Family[] {
  const { n, d } = data;
  const families: Family[] = [];
  const add = (steps: readonly StepChoice[], width: number): void => {
    const components = componentsUpTo(Math.min(maxComponents(n, width), samples - 1), width, samples);
    if (components.length > 0) families.push({ steps, components });
  };
  const narrow: readonly StepChoice[] = ['standardize'];
  const starts = skewedFeatures(data) > 0 ? [narrow, ['quantile', 'standardize'] as const] : [narrow];
  if (expand === 'auto' || expand === 'none') {
    for (const start of starts) {
      if (d <= 255) families.push({ steps: start, components: [] });
      add(start, d);
    }
    if (d > 63) add([], d);
  }
  if (expand === 'none') return families;
  /** Steps in front of an expansion of at most so many features; undefined where the data do not give as many. */
  const inputs = (most: number): readonly StepChoice[] | undefined =>
    d <= most ? [] : maxComponents(n, d) >= most && most > 0 ? [{ kind: 'pca', k: most, whiten: true }] : undefined;
  if (expand === 'auto' || expand === 'degree2') {
    // As many inputs as leave the products few enough.
    const most = Math.min(d, SQUARED_INPUTS, Math.max(2, Math.floor(Math.sqrt(samples))));
    const narrowed = inputs(most);
    if (narrowed !== undefined)
      for (const start of starts) add([...start, ...narrowed, 'degree2', 'standardize'], degree2Features(most));
  }
  const most = Math.min(d, FOURIER_INPUTS);
  const narrowed = inputs(most);
  if (narrowed === undefined) return families;
  const [start = narrow] = starts.slice(-1);
  for (const fourier of fouriers(expand, samples))
    add([...start, ...narrowed, fourier, 'standardize'], most + fourier.k);
  return families;
}

function fouriers(expand: Expansion, samples: number): FourierChoice[] {
  if (typeof expand === 'object') return [expand];
  if (expand === 'degree2' || samples < FEWEST_FOR_FOURIER) return [];
  return [0.35, 1].map((bandwidth) => ({ kind: 'fourier', k: samples >= 1000 ? 255 : 127, seed: 1, bandwidth }));
}

/** Numbers that fill ciphertexts well with the bias, and all there are. */
function componentsUpTo(most: number, width: number, samples: number): number[] {
  const wanted = [7, 15, 31, 63, 127, 255].filter((k) => k < Math.min(most, width));
  const all = Math.min(most, width);
  if (all >= 1 && all <= 255) wanted.push(all);
  // More components than a third of the samples say nothing.
  const useful = wanted.filter((k) => k <= Math.max(7, samples / 2));
  return useful.slice(-4);
}

/** Features whose skewness is beyond 1: a few values far away from the others. */
function skewedFeatures({ features, n, d }: Dataset): number {
  let count = 0;
  for (let j = 0; j < d; j++) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += features[i * d + j]! / n;
    let [second, third] = [0, 0];
    for (let i = 0; i < n; i++) {
      const difference = features[i * d + j]! - sum;
      second += (difference * difference) / n;
      third += (difference * difference * difference) / n;
    }
    if (Math.abs(third) > second * Math.sqrt(second)) count++;
  }
  return count;
}
