/** Predictions as text for people, as CSV, and as JSON. */
import { at } from '@blindfit/base';
import { formatCount, formatPercent } from '../format.ts';
import { formatTable } from '../table.ts';
import type { Prediction, Predictions, Score } from './predictions.ts';

/** Number of rows that are printed. */
const MAX_ROWS = 20;
/** Classes of the widest confusion matrix that is printed. */
const MAX_MATRIX = 30;
/** Number of unknown labels that are named. */
const MAX_NAMED = 5;

/** The first samples, and the score if there is one. */
export function predictionsText({ classes, predictions, score, unknown }: Predictions): string {
  const labelled = predictions.some(({ actual }) => actual !== undefined);
  const rows = predictions
    .slice(0, MAX_ROWS)
    .map((prediction) => [
      prediction.sample,
      ...(labelled ? [prediction.actual ?? ''] : []),
      prediction.predicted,
      formatPercent(largest(prediction)),
      labelled && prediction.actual !== prediction.predicted ? 'wrong' : '',
    ]);
  const parts = [
    formatTable(
      [
        { title: 'sample' },
        ...(labelled ? [{ title: 'actual' }] : []),
        { title: 'predicted' },
        { title: 'probability', align: 'right' },
        { title: '' },
      ],
      rows,
    ),
  ];
  const more = predictions.length - rows.length;
  if (more > 0) parts.push(`... and ${formatCount(more)} more; --out FILE writes all of them`);
  if (unknown.samples > 0) {
    const named = unknown.labels.slice(0, MAX_NAMED).join(', ') + (unknown.labels.length > MAX_NAMED ? ', ...' : '');
    parts.push(
      `${formatCount(unknown.samples)} samples have labels that are none of the model's classes (${named}): ` +
        'they are not scored',
    );
  }
  if (score !== undefined) parts.push(scoreText(score, classes));
  return parts.join('\n\n');
}

function scoreText({ samples, accuracy, confusion }: Score, classes: readonly string[]): string {
  const line = `accuracy: ${formatPercent(accuracy)} of ${formatCount(samples)} samples`;
  if (classes.length > MAX_MATRIX) return line;
  const right = { align: 'right' } as const;
  const table = formatTable(
    [{ title: 'actual \\ predicted', ...right }, ...classes.map((title) => ({ title, ...right }))],
    confusion.map((row, k) => [at(classes, k, 'classes'), ...row.map((count) => (count === 0 ? '.' : String(count)))]),
  );
  return `${line}\n\n${table}`;
}

/** One row a sample: name, label if any, predicted class, its probability, and the probabilities of all classes. */
export function predictionsCsv({ classes, predictions }: Predictions): string {
  const labelled = predictions.some(({ actual }) => actual !== undefined);
  const header = [
    'sample',
    ...(labelled ? ['actual'] : []),
    'predicted',
    'probability',
    ...classes.map((name) => `p(${name})`),
  ];
  const rows = predictions.map((prediction) => [
    prediction.sample,
    ...(labelled ? [prediction.actual ?? ''] : []),
    prediction.predicted,
    String(largest(prediction)),
    ...prediction.probabilities.map(String),
  ]);
  return [header, ...rows].map((row) => `${row.map(cell).join(',')}\n`).join('');
}

export function predictionsJson({ classes, predictions, score, unknown }: Predictions): Record<string, unknown> {
  return { classes, predictions, ...score, unknownLabels: unknown.labels };
}

function largest({ probabilities }: Prediction): number {
  return probabilities.reduce((most, value) => Math.max(most, value), 0);
}

function cell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
