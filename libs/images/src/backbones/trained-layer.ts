import { inputFeatures, outputFeatures, type Preprocessing } from '@blindfit/data';
import { FeatureError } from '../feature-error.ts';
import type { OnnxDimension } from './onnx/build.ts';

/** What training made. */
export interface TrainedLayer {
  readonly featurePreprocessing: Preprocessing;
  /** One row per class, the bias first, in the space of the preprocessed features. */
  readonly weights: readonly ArrayLike<number>[];
  readonly classes: readonly string[];
  /** Probabilities are softmax(scores / temperature). @default the probabilities of one sigmoid a class */
  readonly temperature?: number | undefined;
}

/**
 * Checks that the parts of a layer fit together.
 * @param features number of the backbone's features, as far as it says
 * @throws FeatureError `bad-argument`
 */
export function requireLayer(
  { featurePreprocessing: preprocessing, weights, classes }: TrainedLayer,
  features: OnnxDimension,
): void {
  const [first] = weights;
  if (first === undefined || classes.length < 2 || weights.length !== classes.length)
    throw bad(
      `there are ${weights.length} rows of weights for ${classes.length} classes; ` +
        'there must be one per class, at least 2',
    );
  const width = first.length - 1;
  if (width < 1 || weights.some((row) => row.length !== width + 1))
    throw bad('each class needs the same number of weights: a bias and one per feature');
  const d = inputFeatures(preprocessing) ?? width;
  if (preprocessing.kind === 'standardize' && preprocessing.scale.length !== d)
    throw bad(`the preprocessing has ${d} means and ${preprocessing.scale.length} scales`);
  if (preprocessing.kind === 'pca' && preprocessing.components.some((row) => row.length !== d))
    throw bad(`each component must have ${d} numbers, one per feature`);
  const outputs = outputFeatures(preprocessing) ?? d;
  if (outputs !== width)
    throw bad(`the preprocessing gives ${outputs} features and the weights are for ${width} (and a bias)`);
  if (typeof features === 'number' && features !== d)
    throw bad(
      `the backbone gives ${features} features and the model was trained on ${d}; use the backbone it was trained with`,
    );
}

function bad(message: string): FeatureError {
  return new FeatureError('bad-argument', message);
}
