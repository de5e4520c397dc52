import { at, messageOf } from '@blindfit/base';
import { calibratedProbabilities, TEMPERATURE_RANGE } from './calibration.ts';
import { DatasetError, listed } from './dataset-error.ts';
import type { Dataset } from './dataset.ts';
import { withBias } from './design-matrix.ts';
import { argmaxRows, classProbabilities, scores } from './evaluate.ts';
import { inputWidth, parseInput, type Input } from './input/input.ts';
import { arrayOrKind, isPlainObject, jsonProblem, kindOf, type JsonObject } from './json.ts';
import { isIntegerLabel, labelProblem, normaliseLabel } from './labels.ts';
import { parsePreprocessing } from './parse-preprocessing.ts';
import { applyPreprocessing, inputFeatures, outputFeatures, type Preprocessing } from './preprocessing.ts';

/** The `format` of the model files this version reads and writes. */
export const MODEL_FORMAT = 'blindfit-model/1';

const KEYS = ['format', 'classes', 'weights', 'preprocessing', 'training'] as const;
const ALLOWED: readonly string[] = [...KEYS, 'calibration', 'input'];

/** How scores become probabilities: softmax(z / temperature). */
export interface Calibration {
  readonly temperature: number;
}

/** A trained last layer, in the clear: only its owner ever has one. */
export interface Model {
  /** Class names, at least 2, each once. */
  readonly classes: readonly string[];
  /** One row per class, [bias, w1, ..., wd], in the space of the preprocessed features. */
  readonly weights: readonly (readonly number[])[];
  /** How rows of a file become raw features; undefined where features were not read from a table. */
  readonly input?: Input | undefined;
  /** Applied to raw features first. */
  readonly preprocessing: Preprocessing;
  /** Fitted on samples that the weights were not trained on. @default none: the probabilities of one sigmoid a class */
  readonly calibration?: Calibration | undefined;
  /** How it was trained: hyperparameters, timings; anything JSON can hold. */
  readonly training: JsonObject;
}

/**
 * Reads a model file. Unknown keys are refused: a misspelt `preprocessing` must not turn into wrong predictions.
 * @param text the JSON text
 * @param file its path, for messages
 * @throws DatasetError `bad-model`
 */
export function parseModel(text: string, file?: string): Model {
  let value: unknown;
  try {
    value = JSON.parse(text.startsWith('\ufeff') ? text.slice(1) : text);
  } catch (error) {
    throw new DatasetError(
      'bad-model',
      `not a model file: it is not JSON (${messageOf(error)})`,
      { file },
      { cause: error },
    );
  }
  if (!isPlainObject(value)) throw bad(`expected a JSON object, found ${kindOf(value)}`, file);
  if (value['format'] !== MODEL_FORMAT) {
    throw bad(`format is ${kindOf(value['format'])}; this version reads ${JSON.stringify(MODEL_FORMAT)}`, file);
  }
  for (const key of KEYS) if (!Object.hasOwn(value, key)) throw bad(`the key "${key}" is missing`, file);
  const unknown = Object.keys(value).find((key) => !ALLOWED.includes(key));
  if (unknown !== undefined)
    throw bad(`has the unknown key ${kindOf(unknown)}; allowed are ${ALLOWED.join(', ')}`, file);
  return validate(value, file);
}

/**
 * Writes a model as JSON text, one line of weights per class; numbers survive exactly (-0 as 0). Classes are written as
 * numbers if all are whole numbers, else as strings.
 * @throws DatasetError `bad-model` if `model` is not valid, e.g. weights that are not finite
 */
export function serialiseModel(model: Model): string {
  const { classes, weights, input, preprocessing, calibration, training } = validate({ ...model });
  const names = classes.every(isIntegerLabel) ? classes.map(Number) : classes;
  return `{
  "format": ${JSON.stringify(MODEL_FORMAT)},
  "classes": ${JSON.stringify(names)},
  "weights": [
    ${weights.map((row) => JSON.stringify(row)).join(',\n    ')}
  ],${input === undefined ? '' : `\n  "input": ${JSON.stringify(input)},`}
  "preprocessing": ${JSON.stringify(preprocessing)},${
    calibration === undefined ? '' : `\n  "calibration": ${JSON.stringify(calibration)},`
  }
  "training": ${JSON.stringify(training)}
}
`;
}

/** The number of raw features of a sample, before preprocessing. */
export function modelFeatures(model: Model): number {
  return inputFeatures(model.preprocessing) ?? at(model.weights, 0, 'weights').length - 1;
}

/**
 * Computes the score of each sample for each class, before the sigmoid.
 * @param data raw features: the model's preprocessing is applied here
 * @returns n x c, row-major
 * @throws DatasetError `bad-shape` if the model was trained on another number of features, `not-finite` on overflow
 */
export function predictScores(model: Model, data: Dataset): Float64Array {
  const d = modelFeatures(model);
  if (data.d !== d) {
    throw new DatasetError(
      'bad-shape',
      `the model was trained on ${d} features and the data has ${data.d}; ` +
        'use data with the same features as the training',
    );
  }
  return scores(model.weights, withBias(applyPreprocessing(model.preprocessing, data)));
}

/**
 * Computes the probabilities of the classes from scores: calibrated where the model is, else the normalised sigmoids.
 * @param z n x c scores (`predictScores`), row-major
 * @returns n x c, row-major
 */
export function probabilitiesOf(
  { classes, calibration }: Pick<Model, 'classes' | 'calibration'>,
  z: Float64Array,
): Float64Array {
  return calibration === undefined
    ? classProbabilities(z, classes.length)
    : calibratedProbabilities(z, classes.length, calibration.temperature);
}

/**
 * Finds the most likely class of each sample.
 * @returns n class names
 * @throws DatasetError as {@link predictScores}
 */
export function predictLabels(model: Model, data: Dataset): readonly string[] {
  return Array.from(argmaxRows(predictScores(model, data), model.classes.length), (k) =>
    at(model.classes, k, 'classes'),
  );
}

function validate(value: Readonly<Record<string, unknown>>, file?: string): Model {
  const classes = parseClasses(value['classes'], file);
  const weights = parseWeights(value['weights'], classes.length, file);
  const preprocessing = inModel(() => parsePreprocessing(value['preprocessing']), file);
  const d = at(weights, 0, 'weights').length - 1;
  const prepared = outputFeatures(preprocessing) ?? d;
  if (prepared !== d)
    throw bad(
      `the preprocessing ${preprocessing.kind === 'pca' ? 'gives' : 'is for'} ${prepared} features ` +
        `and the weights are for ${d} (and a bias)`,
      file,
    );
  const calibration = parseCalibration(value['calibration'], file);
  const input = value['input'] === undefined ? undefined : inModel(() => parseInput(value['input']), file);
  const raw = inputFeatures(preprocessing) ?? d;
  if (input !== undefined && inputWidth(input) !== raw)
    throw bad(`the input gives ${inputWidth(input)} features and the preprocessing is for ${raw}`, file);
  const { training } = value;
  if (!isPlainObject(training))
    throw bad(`training must be an object, {} if nothing is known; it is ${kindOf(training)}`, file);
  const problem = jsonProblem(training, 'training');
  if (problem !== undefined) throw bad(`${problem}, which JSON cannot hold; remove it or write it as text`, file);
  // jsonProblem has just shown that this is JSON.
  const model = { classes, weights, preprocessing, training: training as JsonObject };
  const calibrated = calibration === undefined ? model : { ...model, calibration };
  return Object.freeze(input === undefined ? calibrated : { ...calibrated, input });
}

function parseClasses(value: unknown, file?: string): readonly string[] {
  if (!Array.isArray(value) || value.length < 2) {
    throw bad(`classes must be an array of at least 2 labels; it is ${arrayOrKind(value)}`, file);
  }
  const classes = Array.from(value as readonly unknown[], (item, k) => {
    if (typeof item === 'string' || (typeof item === 'number' && Number.isSafeInteger(item))) {
      const label = normaliseLabel(String(item));
      const problem = labelProblem(label);
      if (problem === undefined) return label;
      throw bad(`classes[${k}]: ${problem}`, file);
    }
    throw bad(`classes[${k}] is ${kindOf(item)}; a class is a string or a whole number`, file);
  });
  const repeated = classes.filter((label, k) => classes.indexOf(label) !== k);
  if (repeated.length > 0) throw bad(`classes names ${listed(repeated)} more than once`, file);
  return Object.freeze(classes);
}

function parseWeights(value: unknown, c: number, file?: string): readonly (readonly number[])[] {
  if (!Array.isArray(value) || value.length !== c) {
    throw bad(`weights must be an array of ${c} rows, one per class; it is ${arrayOrKind(value)}`, file);
  }
  let width = 0;
  const rows = Array.from(value as readonly unknown[], (row, k) => {
    if (!Array.isArray(row) || row.length < 2) {
      throw bad(`weights[${k}] must be an array of a bias and at least one weight; it is ${arrayOrKind(row)}`, file);
    }
    if (k === 0) width = row.length;
    if (row.length !== width)
      throw bad(`weights[${k}] has ${row.length} numbers and weights[0] has ${width}; all classes need the same`, file);
    return Object.freeze(
      Array.from(row as readonly unknown[], (weight, j) => {
        if (typeof weight === 'number' && Number.isFinite(weight)) return weight;
        throw bad(`weights[${k}][${j}] must be a finite number; it is ${kindOf(weight)}`, file);
      }),
    );
  });
  return Object.freeze(rows);
}

/** The same errors as those of the other parts of a model. */
function inModel<T>(parse: () => T, file?: string): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof DatasetError)
      throw new DatasetError('bad-model', `not a valid model: ${error.message}`, { file }, { cause: error });
    throw error;
  }
}

function parseCalibration(value: unknown, file?: string): Calibration | undefined {
  if (value === undefined) return undefined;
  const [low, high] = TEMPERATURE_RANGE;
  const temperature = isPlainObject(value) ? value['temperature'] : undefined;
  if (typeof temperature === 'number' && temperature >= low && temperature <= high)
    return Object.freeze({ temperature });
  throw bad(`calibration must be an object with a temperature from ${low} to ${high}; it is ${kindOf(value)}`, file);
}

function bad(message: string, file?: string): DatasetError {
  return new DatasetError('bad-model', `not a valid model: ${message}`, { file });
}
