/** Predictions of a model, and their accuracy on the samples that are labelled. */
import { at, valueOf } from '@blindfit/base';
import {
  argmaxRows,
  classificationMetrics,
  logLoss,
  predictScores,
  probabilitiesOf,
  type ClassificationMetrics,
  type Dataset,
  type Model,
} from '@blindfit/data';

export interface Prediction {
  /** Name of the sample. */
  readonly sample: string;
  readonly predicted: string;
  /** Probabilities by class; their sum is 1. */
  readonly probabilities: readonly number[];
  readonly actual?: string | undefined;
}

/** On the samples whose label is a class of the model. */
export interface Score extends ClassificationMetrics {
  /** Of the probabilities, in nats a sample. */
  readonly logLoss: number;
}

export interface Predictions {
  readonly classes: readonly string[];
  readonly predictions: readonly Prediction[];
  /** Undefined if no sample has a label of the model. */
  readonly score: Score | undefined;
  /** Labels that are not classes of the model, and the number of samples with one. They are not scored. */
  readonly unknown: { readonly labels: readonly string[]; readonly samples: number };
}

/**
 * @param data raw features, labelled or not
 * @param name name of sample `index`
 * @throws DatasetError `bad-shape` for other features than the model's, `not-finite`
 */
export function predict(model: Model, data: Dataset, name?: (index: number) => string): Predictions {
  return predictionsOf(model, predictScores(model, data), data, name);
}

/**
 * @param model its classes, and what turns scores into probabilities
 * @param z samples x classes: the scores, before the sigmoid
 * @param data the samples that were scored
 * @param name name of sample `index`
 */
export function predictionsOf(
  model: Pick<Model, 'classes' | 'calibration'>,
  z: Float64Array,
  data: Pick<Dataset, 'labels'>,
  name: (index: number) => string = (index) => String(index + 1),
): Predictions {
  const { classes } = model;
  const c = classes.length;
  const probabilities = probabilitiesOf(model, z);
  const best = argmaxRows(z, c);
  const classOf = new Map(classes.map((label, k) => [label, k]));
  const { labels = [] } = data;
  const scored = labels.flatMap((label, i) => (classOf.has(label) ? [i] : []));
  const unknownLabels = labels.filter((label) => !classOf.has(label));
  const predicted = scored.map((i) => at(best, i, 'predictions'));
  const actual = scored.map((i) => valueOf(classOf, at(labels, i, 'labels'), 'classes'));
  return {
    classes,
    predictions: Array.from(best, (k, i) => ({
      sample: name(i),
      predicted: at(classes, k, 'classes'),
      probabilities: Array.from(probabilities.subarray(i * c, (i + 1) * c)),
      actual: labels[i],
    })),
    score:
      scored.length === 0
        ? undefined
        : {
            ...classificationMetrics(predicted, actual, c),
            logLoss: logLoss(
              Float64Array.from(scored.flatMap((i) => Array.from(probabilities.subarray(i * c, (i + 1) * c)))),
              actual,
              c,
            ),
          },
    unknown: { labels: [...new Set(unknownLabels)], samples: unknownLabels.length },
  };
}
