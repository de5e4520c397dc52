import { at, valueOf } from '@blindfit/base';
import { DatasetError, listed } from './dataset-error.ts';
import { isIntegerLabel, labelProblem, normaliseLabel } from './labels.ts';

/** Most classes in the `--classes` list that an error suggests. */
const MAX_SUGGESTED = 40;

/**
 * Determines the classes to train, sorted by value if all are whole numbers, else by UTF-16 code unit.
 *
 * Without `explicit` they are the labels that occur. Whole-number labels must then be without gaps: a digit that is
 * missing from a small training set is nearly always an accident, which would otherwise show up as bad accuracy.
 *
 * @param labels normalised training labels, one per sample
 * @param explicit the classes the user asked for, in any order; each needs a sample, and each label must be among them
 * @throws DatasetError `empty`, `bad-label`, `bad-classes` or `unknown-label`
 */
export function classesOf(labels: readonly string[], explicit?: readonly string[]): readonly string[] {
  if (labels.length === 0) throw new DatasetError('empty', 'there are no training samples');
  const present = sortClasses(new Set(labels));
  if (explicit !== undefined) return checkExplicit(explicit, labels, present);
  const missing = missingIntegers(present);
  if (missing.total > 0) {
    const many = missing.total > 1;
    const list =
      present.length > MAX_SUGGESTED ? `${present.slice(0, MAX_SUGGESTED).join(',')},...` : present.join(',');
    throw new DatasetError(
      'bad-classes',
      `no training sample has the label${many ? 's' : ''} ${listed(missing.first, 10, missing.total)}, ` +
        `though ${at(present, 0, 'labels')} to ${at(present, present.length - 1, 'labels')} occur; ` +
        `add samples, or pass \`classes\` ${list} to train without ${many ? 'them' : 'it'}`,
    );
  }
  return atLeastTwo(present);
}

/**
 * Finds the class of each label.
 * @returns n indices into `classes`
 * @throws DatasetError `unknown-label` naming the labels that are no class
 */
export function classIndices(labels: readonly string[], classes: readonly string[]): Int32Array {
  requireKnownLabels(labels, classes);
  const indexOf = new Map(classes.map((name, index) => [name, index]));
  return Int32Array.from(labels, (label) => valueOf(indexOf, label, 'classes'));
}

/**
 * The target matrix Y: 1 where the sample is of the class, else 0.
 * @returns n x c, row-major
 * @throws DatasetError `unknown-label`
 */
export function oneHot(labels: readonly string[], classes: readonly string[]): Float64Array {
  const c = classes.length;
  const y = new Float64Array(labels.length * c);
  classIndices(labels, classes).forEach((k, i) => (y[i * c + k] = 1));
  return y;
}

/**
 * Checks that labels, say those of a validation set, are all classes of the training.
 * @param what names the set in the message, e.g. `validation`
 * @throws DatasetError `unknown-label`
 */
export function requireKnownLabels(labels: readonly string[], classes: readonly string[], what?: string): void {
  const allowed = new Set(classes);
  const unknown = sortClasses(new Set(labels.filter((label) => !allowed.has(label))));
  if (unknown.length === 0) return;
  const many = unknown.length > 1;
  const set = what === undefined ? '' : `${what} `;
  throw new DatasetError(
    'unknown-label',
    `${set}label${many ? 's' : ''} ${listed(unknown)} ${many ? 'are' : 'is'} not among the classes ` +
      `${listed(classes, 20)}; correct or remove ${many ? 'these' : 'its'} samples, ` +
      `or train with ${many ? 'these classes' : 'this class'} too`,
  );
}

function checkExplicit(
  explicit: readonly string[],
  labels: readonly string[],
  present: readonly string[],
): readonly string[] {
  const names = explicit.map(normaliseLabel);
  for (const name of names) {
    const problem = labelProblem(name);
    if (problem !== undefined) throw new DatasetError('bad-label', `in the list of classes: ${problem}`);
  }
  const classes = sortClasses(new Set(names));
  if (classes.length !== names.length) {
    const repeated = classes.filter((name) => names.indexOf(name) !== names.lastIndexOf(name));
    throw new DatasetError(
      'bad-classes',
      `the list of classes names ${listed(repeated)} more than once; name each class once`,
    );
  }
  atLeastTwo(classes);
  requireKnownLabels(labels, classes, 'training');
  const occurring = new Set(present);
  const without = classes.filter((name) => !occurring.has(name));
  if (without.length > 0) {
    const many = without.length > 1;
    throw new DatasetError(
      'bad-classes',
      `no training sample has the class${many ? 'es' : ''} ${listed(without)}; ` +
        `add samples or leave ${many ? 'them' : 'it'} out of the list of classes`,
    );
  }
  return classes;
}

function atLeastTwo(classes: readonly string[]): readonly string[] {
  if (classes.length >= 2) return classes;
  const found = classes.length === 0 ? 'none was given' : `there is only ${listed(classes)}`;
  throw new DatasetError('bad-classes', `training needs at least 2 classes and ${found}; add samples of another class`);
}

function sortClasses(names: ReadonlySet<string>): readonly string[] {
  const classes = [...names];
  // Array.sort without a comparator goes by UTF-16 code unit: the same on every machine, unlike localeCompare.
  if (!classes.every(isIntegerLabel)) return Object.freeze(classes.sort());
  return Object.freeze(classes.sort((a, b) => Number(a) - Number(b)));
}

/** The first few whole numbers missing between the smallest and largest class, and how many there are in all. */
function missingIntegers(sorted: readonly string[]): { first: readonly string[]; total: number } {
  const first: string[] = [];
  if (!sorted.every(isIntegerLabel)) return { first, total: 0 };
  const values = sorted.map(Number);
  let total = 0;
  values.slice(1).forEach((next, i) => {
    const previous = at(values, i, 'labels');
    total += next - previous - 1;
    for (let value = previous + 1; value < next && first.length < 10; value++) first.push(String(value));
  });
  return { first, total };
}

/** By sample: n / (c n_k) for the n_k samples of its class, of c classes that have samples. Their mean is 1. */
export function balancedWeights(actual: Int32Array): Float64Array {
  const counts = new Map(
    Map.groupBy(actual, (label) => label)
      .entries()
      .map(([label, rows]) => [label, rows.length]),
  );
  return Float64Array.from(actual, (label) => actual.length / (counts.size * valueOf(counts, label, 'classes')));
}
