/** What a model makes of samples, and how right it is about those whose class is known. */
import {
  accuracy,
  argmaxRows,
  classProbabilities,
  confusionMatrix,
  predictScores,
  type Dataset,
  type Model,
} from '@blindfit/data';

export interface Prediction {
  /** What its owner knows the sample by. */
  readonly sample: string;
  readonly predicted: string;
  /** By class, 0 to 1, of sum 1. */
  readonly probabilities: readonly number[];
  readonly actual?: string;
}

export interface Score {
  /** Samples with a label that the model knows. */
  readonly samples: number;
  /** Part of them that is predicted right. */
  readonly accuracy: number;
  /** Row: actual class, column: predicted class. */
  readonly confusion: readonly (readonly number[])[];
}

export interface Predictions {
  readonly classes: readonly string[];
  readonly predictions: readonly Prediction[];
  /** Undefined if no sample has a label the model knows. */
  readonly score: Score | undefined;
  /** Labels that are none of the model's classes, and how many samples have one: they are not scored. */
  readonly unknown: { readonly labels: readonly string[]; readonly samples: number };
}

/**
 * @param data raw features, labelled or not
 * @param name what to call sample `index`
 * @throws DatasetError `bad-shape` for other features than the model's, `not-finite`
 */
export function predict(model: Model, data: Dataset, name?: (index: number) => string): Predictions {
  return predictionsOf(model.classes, predictScores(model, data), data, name);
}

/**
 * @param z samples x classes: the scores, before the sigmoid
 * @param data that were scored
 * @param name what to call sample `index`
 */
export function predictionsOf(
  classes: readonly string[],
  z: Float64Array,
  data: Pick<Dataset, 'labels'>,
  name: (index: number) => string = (index) => String(index + 1),
): Predictions {
  const c = classes.length;
  const probabilities = classProbabilities(z, c);
  const best = argmaxRows(z, c);
  const classOf = new Map(classes.map((label, k) => [label, k]));
  const known = data.labels?.flatMap((label, i) => (classOf.has(label) ? [i] : [])) ?? [];
  const unknownLabels = (data.labels ?? []).filter((label) => !classOf.has(label));
  const predicted = known.map((i) => best[i] ?? -1);
  const actual = known.map((i) => classOf.get(data.labels?.[i] ?? '') ?? -1);
  return {
    classes,
    predictions: Array.from(best, (k, i) => {
      const label = data.labels?.[i];
      return {
        sample: name(i),
        predicted: classes[k] ?? '',
        probabilities: Array.from(probabilities.subarray(i * c, (i + 1) * c)),
        ...(label === undefined ? {} : { actual: label }),
      };
    }),
    score:
      known.length === 0
        ? undefined
        : {
            samples: known.length,
            accuracy: accuracy(predicted, actual),
            confusion: confusionMatrix(predicted, actual, c),
          },
    unknown: { labels: [...new Set(unknownLabels)], samples: unknownLabels.length },
  };
}
