/** What scores mean as probabilities, found out at home: by the clear twin on samples that it was not trained on. */
import { at } from '@blindfit/base';
import { fitTemperature, scores, type Weights } from '@blindfit/data';
import { permutation, trainClear, type Hyperparameters, type JobShape } from '@blindfit/training';
import type { TrainingData } from './training-data.ts';

const FOLDS = 5;
const SEED = 1;
/** Bounds the time to a second or two: products of the twin, for all folds together. */
const MAX_PRODUCTS = 5e8;
/** Products that the fit of a temperature costs per score. */
const FIT_PRODUCTS = 50;
/** With fewer samples a temperature says little. */
const MIN_SAMPLES = 200;

/**
 * The temperatures of the models of every iteration (`fitTemperature`), by cross-validation with the clear twin. Of
 * large data a sample serves. Principal components and the like are those of all training samples.
 * @returns one temperature an iteration
 */
export function foldTemperatures(
  { set, training: { actual } }: Pick<TrainingData, 'set' | 'training'>,
  hyperparameters: Hyperparameters,
): readonly number[] {
  const { samples, features, labels, rowWeights } = set;
  const { iterations } = hyperparameters;
  const classes = labels.length;
  const order = permutation(samples, SEED).slice(0, samplesServed({ samples, features, classes }, iterations));
  const foldOf = stratified(order, actual, classes);
  const scored = Array.from({ length: iterations }, () => new Float64Array(order.length * classes));
  for (let fold = 0; fold < FOLDS; fold++) {
    const learned = rowsOf(set, order, (at) => foldOf[at] !== fold);
    const heldOut = rowsOf(set, order, (at) => foldOf[at] === fold);
    if (learned.positions.length === 0 || heldOut.positions.length === 0) continue;
    const learnedOf = (column: Float64Array): Float64Array =>
      learned.positions.map((position) => at(column, at(order, position, 'order'), 'rows'));
    const { history } = trainClear(
      learned.x,
      learned.positions.length,
      features,
      labels.map(learnedOf),
      hyperparameters,
      // The model of this training is that of weighed rows.
      { rowWeights: rowWeights && learnedOf(rowWeights) },
    );
    history.forEach((weights, t) => {
      if (!areFinite(weights)) return;
      const z = scores(weights, heldOut.x);
      heldOut.positions.forEach((position, i) =>
        at(scored, t, 'iterations').set(z.subarray(i * classes, (i + 1) * classes), position * classes),
      );
    });
  }
  const ordered = order.map((sample) => at(actual, sample, 'labels'));
  return scored.map((z) => fitTemperature(z, ordered));
}

/** The number of samples that the temperatures are fitted on. */
export function samplesServed({ samples, features, classes }: JobShape, iterations: number): number {
  const perSample = iterations * classes * (2 * FOLDS * features + FIT_PRODUCTS);
  return Math.min(samples, Math.max(MIN_SAMPLES, Math.floor(MAX_PRODUCTS / perSample)));
}

/** Folds by position in the order; each class is spread over all of them. */
function stratified(order: readonly number[], actual: Int32Array, classes: number): number[] {
  const next = Array.from({ length: classes }, (_, k) => k);
  return order.map((sample) => {
    const label = at(actual, sample, 'labels');
    const fold = at(next, label, 'classes') % FOLDS;
    next[label] = fold + 1;
    return fold;
  });
}

interface Rows {
  readonly x: Float64Array;
  /** Of the rows in the order. */
  readonly positions: Float64Array;
}

function rowsOf(
  { x, features }: TrainingData['set'],
  order: readonly number[],
  wanted: (position: number) => boolean,
): Rows {
  const positions = Float64Array.from(Array.from(order.keys()).filter(wanted));
  const rows = new Float64Array(positions.length * features);
  positions.forEach((position, i) => {
    const from = at(order, position, 'order') * features;
    rows.set(x.subarray(from, from + features), i * features);
  });
  return { x: rows, positions };
}

function areFinite(weights: Weights): boolean {
  return weights.every((row) => Array.from(row).every(Number.isFinite));
}
