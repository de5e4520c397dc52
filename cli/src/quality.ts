/** How well classes are told apart, for a terminal. */
import { at } from '@blindfit/base';
import { worstConfusions, type ClassificationMetrics } from '@blindfit/data';
import { formatCount, formatPercent } from './format.ts';
import { formatTable } from './table.ts';

/** Classes of the widest confusion matrix that is printed; with more, the worst confusions are. */
const MAX_MATRIX = 10;
/** Rows of the longest list of classes or confusions. */
const MAX_LISTED = 10;

const right = { align: 'right' } as const;

/** Precision and recall by class, and the confusion matrix or, of many classes, the worst confusions. */
export function classesText({ classes, confusion }: ClassificationMetrics, names: readonly string[]): string {
  const name = (k: number): string => at(names, k, 'classes');
  const many = names.length > MAX_MATRIX;
  const rows = classes
    .map((metrics, k) => ({ ...metrics, k }))
    .filter(({ f1 }) => f1 !== undefined)
    .sort((a, b) => (many ? Number(a.f1) - Number(b.f1) : 0));
  const table = formatTable(
    [
      { title: many ? 'worst classes' : 'class', ...right },
      ...['samples', 'predicted', 'precision', 'recall', 'F1'].map((title) => ({ title, ...right })),
    ],
    rows
      .slice(0, MAX_LISTED)
      .map(({ k, support, predicted, precision, recall, f1 }) => [
        name(k),
        formatCount(support),
        formatCount(predicted),
        partText(precision),
        partText(recall),
        partText(f1),
      ]),
  );
  return `${table}\n\n${many ? confusionsText(confusion, name) : matrixText(confusion, names)}`;
}

function matrixText(confusion: ClassificationMetrics['confusion'], names: readonly string[]): string {
  return formatTable(
    [{ title: 'actual \\ predicted', ...right }, ...names.map((title) => ({ title, ...right }))],
    confusion.map((row, k) => [at(names, k, 'classes'), ...row.map((count) => (count === 0 ? '.' : String(count)))]),
  );
}

function confusionsText(confusion: ClassificationMetrics['confusion'], name: (k: number) => string): string {
  const worst = worstConfusions(confusion, MAX_LISTED);
  if (worst.length === 0) return 'no class is taken for another one';
  return formatTable(
    [{ title: 'actual', ...right }, { title: 'taken for' }, { title: 'samples', ...right }, { title: '', ...right }],
    worst.map(({ actual, predicted, samples, share }) => [
      name(actual),
      name(predicted),
      formatCount(samples),
      formatPercent(share),
    ]),
  );
}

function partText(part: number | undefined): string {
  return part === undefined ? '-' : formatPercent(part);
}
