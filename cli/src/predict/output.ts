/** Predictions as text for people, as CSV, and as JSON. */
import { formatCount, formatPercent } from '../format.ts';
import { classesText } from '../quality.ts';
import { formatPairs, formatTable } from '../table.ts';
import type { Prediction, Predictions, Score } from './predictions.ts';

/** Number of rows that are printed. */
const MAX_ROWS = 20;
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

function scoreText(score: Score, classes: readonly string[]): string {
  const { samples, accuracy, balancedAccuracy, macroF1, majority, logLoss } = score;
  const pairs = formatPairs([
    ['balanced accuracy', formatPercent(balancedAccuracy)],
    ['macro F1', formatPercent(macroF1)],
    ['log-loss', `${logLoss.toFixed(3)} nats`],
    ['commonest class', `${formatPercent(majority)} of the samples`],
  ]);
  const line = `accuracy: ${formatPercent(accuracy)} of ${formatCount(samples)} samples`;
  return `${line}\n\n${pairs}\n\n${classesText(score, classes)}`;
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
  const { classes: byClass, ...rest } = score ?? {};
  return { classes, predictions, ...rest, byClass, unknownLabels: unknown.labels };
}

function largest({ probabilities }: Prediction): number {
  return probabilities.reduce((most, value) => Math.max(most, value), 0);
}

function cell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
