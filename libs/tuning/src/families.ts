/** Which preprocessings are worth a look for data of a shape. */
import { degree2Features, maxComponents, type Dataset, type StepChoice } from '@blindfit/data';

/** Steps up to a last projection on principal components, of which a search tries several numbers. */
export interface Family {
  readonly steps: readonly StepChoice[];
  /** Numbers of components to try, ascending; none: no projection. */
  readonly components: readonly number[];
}

/** Expanded features: their covariance takes a second to decompose. */
const MOST_EXPANDED = 400;
/** Features that are expanded by Fourier features after a projection. */
const FOURIER_INPUTS = 40;

/**
 * @param data a sample of the training data
 * @param samples of all training data
 * @param expansions whether features may be made of features
 */
export function familiesFor(data: Dataset, samples: number, expansions: boolean): Family[] {
  const { n, d } = data;
  const families: Family[] = [];
  const add = (steps: readonly StepChoice[], width: number): void => {
    const most = Math.min(maxComponents(n, width), samples - 1);
    families.push({ steps, components: componentsUpTo(most, width, samples) });
  };
  const skewed = skewedFeatures(data) > 0;
  if (d <= 255) families.push({ steps: ['standardize'], components: [] });
  add(['standardize'], d);
  if (d > 63) add([], d);
  if (skewed) {
    if (d <= 255) families.push({ steps: ['quantile', 'standardize'], components: [] });
    add(['quantile', 'standardize'], d);
  }
  if (!expansions) return families;
  // As many inputs as leave the products few enough.
  const inputs = Math.min(d, 27, Math.floor(Math.sqrt(samples)));
  const narrowed: StepChoice[] = inputs < d && maxComponents(n, d) >= inputs ? [pca(inputs)] : [];
  const width = degree2Features(inputs < d ? inputs : d);
  if ((narrowed.length > 0 || inputs === d) && width <= MOST_EXPANDED) {
    add(['standardize', ...narrowed, 'degree2', 'standardize'], width);
    if (skewed) add(['quantile', 'standardize', ...narrowed, 'degree2', 'standardize'], width);
  }
  const most = Math.min(d, FOURIER_INPUTS);
  const few: StepChoice[] = most < d && maxComponents(n, d) >= most ? [pca(most)] : [];
  if ((few.length > 0 || most === d) && samples >= 200) {
    const k = samples >= 1000 ? 255 : 127;
    for (const bandwidth of [0.35, 1]) {
      const fourier: StepChoice = { kind: 'fourier', k, seed: 1, bandwidth };
      add(
        [
          skewed ? 'quantile' : 'standardize',
          ...(skewed ? (['standardize'] as const) : []),
          ...few,
          fourier,
          'standardize',
        ],
        most + k,
      );
    }
  }
  return families;
}

function pca(k: number): StepChoice {
  return { kind: 'pca', k, whiten: true };
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
