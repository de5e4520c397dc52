import { oneHot } from '@blindfit/data';

/** One column a class: 1 for the samples of the class, 0 for the others. */
export function labelColumns(labels: readonly string[], classes: readonly string[]): Float64Array[] {
  const targets = oneHot(labels, classes);
  return classes.map((_, k) => targets.filter((_value, i) => i % classes.length === k));
}
