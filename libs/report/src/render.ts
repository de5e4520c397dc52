import { at } from '@blindfit/base';
import { barChart } from './bars.ts';
import { confusionTable } from './confusion.ts';
import { formatBytes, formatCount, formatPercent, formatSeconds } from './format.ts';
import { html, type Html } from './html.ts';
import type { Curve, Curves, ReportInput } from './input.ts';
import { lineChart, type Line } from './line-chart.ts';
import { MAX_MISTAKES, mistakeList } from './mistakes.ts';
import { STYLE } from './style.ts';

/**
 * Renders a training run as one HTML page. The page loads nothing and runs nothing: styles, charts and pictures are
 * inside, and a content security policy forbids everything else. All text is escaped.
 * @throws RangeError for a picture whose pixels do not fit its sizes
 */
export function renderReport(report: ReportInput): string {
  const { title, created, job, data } = report;
  const id = job === undefined ? undefined : html` · <span class="nowrap">${job}</span>`;
  const when = new Date(created);
  const date = Number.isNaN(when.getTime()) ? created : `${when.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<link rel="icon" href="data:,">
<title>${title} – Blindfit report</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<header>
<p class="eyebrow">Blindfit training report · ${date}${id}</p>
<h1>${title}</h1>
<p class="lead">${summary(report)}</p>
${tiles(report)}
</header>
<section>
<h2>How training went</h2>
<div class="pair">
${lineChart({
  title: 'Accuracy',
  lines: linesOf(report, 'accuracy'),
  format: shortPercent,
  limits: { low: 0, high: 1 },
})}
${lineChart({
  title: 'Loss, nats a sample',
  lines: linesOf(report, 'loss'),
  format: shortLoss,
  limits: { low: 0, high: Infinity },
})}
</div>
</section>
<section>
<h2>What the model gets right and wrong</h2>
<div class="predictions">
<div class="card matrix">
<h3>Confusion matrix</h3>
<p class="note">${formatCount(sum(report.predictions.confusion.flat()))} ${judgedSamples(report)} samples, by the model
trained under encryption. Rows: actual class, columns: predicted class.</p>
${confusionTable(report.predictions.confusion, data.classes)}
</div>
${mistakes(report)}
</div>
</section>
<section>
<h2>What it cost</h2>
<div class="triple">
${barChart(
  'Time',
  'Wall clock, by step.',
  report.phases.map(({ name, seconds }) => ({ name, value: seconds })),
  formatSeconds,
)}
${barChart(
  'Network',
  'Bytes between the owner and the servers.',
  report.traffic.map(({ name, bytes }) => ({ name, value: bytes })),
  formatBytes,
)}
${
  report.operations.length === 0
    ? undefined
    : barChart(
        'Homomorphic operations',
        'All of them together, on ciphertexts.',
        report.operations.map(({ name, count }) => ({ name, value: count })),
        formatCount,
      )
}
</div>
</section>
<section>
<h2>How it was set up</h2>
<div class="pair">
<div class="card"><h3>Encryption</h3>${facts(report.parameters)}</div>
<div class="card"><h3>Training</h3>${facts([
    ['training samples', formatCount(data.samples)],
    ...(data.heldOut > 0 ? [['held-out samples', formatCount(data.heldOut)] as const] : []),
    ['columns', `${formatCount(data.columns)}, with the bias`],
    ['classes', formatCount(data.classes.length)],
    ['preprocessing', data.preprocessing],
    ...report.hyperparameters,
  ])}</div>
</div>
</section>
<footer>
<p>The servers saw ciphertexts, shapes, hyperparameters and timings. Everything else on this page was decrypted or
computed on the owner’s machine: it describes private data, so share it as you would share those.</p>
<p>Decrypted weights and scores help anyone who has the ciphertexts to find the secret key, and with it the training
data (CPA-D attacks on CKKS): think before publishing them.</p>
</footer>
</main>
</body>
</html>
`.text;
}

function summary({ data, training, heldOut, predictions }: ReportInput): string {
  const { accuracy } = heldOut ?? training;
  const [encrypted, clear] = [lastOf(accuracy.encrypted), lastOf(accuracy.clear)];
  const total = sum(predictions.confusion.flat());
  const samples = heldOut === undefined ? 'training' : 'held-out';
  const twin =
    encrypted === clear
      ? 'exactly as many as the same training in the clear'
      : `where the same training in the clear reaches ${formatPercent(clear)}`;
  return (
    `${formatCount(data.samples)} samples of ${formatCount(data.classes.length)} classes were trained on while ` +
    'encrypted, by servers that hold no key to read them. The decrypted model is right about ' +
    `${formatPercent(encrypted)} of ${formatCount(total)} ${samples} samples, ${twin}.`
  );
}

function tiles({ training, heldOut, maxWeightError, phases, traffic }: ReportInput): Html {
  const tile = (name: string, figure: string, beside: string): Html =>
    html`<div class="tile"><dt>${name}</dt>
<dd><div class="figure">${figure}</div><div class="beside">${beside}</div></dd></div>`;
  const last = ({ encrypted, clear }: Curve): [string, string] => [
    formatPercent(lastOf(encrypted)),
    `in the clear ${formatPercent(lastOf(clear))}`,
  ];
  const seconds = sum(phases.map((phase) => phase.seconds));
  const bytes = sum(traffic.map((part) => part.bytes));
  return html`<dl class="tiles">
${heldOut === undefined ? undefined : tile('Accuracy, held-out', ...last(heldOut.accuracy))}
${tile('Accuracy, training', ...last(training.accuracy))}
${tile('Largest weight error', maxWeightError.toExponential(1), 'against the clear twin')}
${tile('Time', formatSeconds(seconds), 'from keys to model')}
${tile('Network', formatBytes(bytes), 'up and down')}
</dl>`;
}

function linesOf({ training, heldOut }: ReportInput, what: keyof Curves): Line[] {
  const pair = (curve: Curve, samples: Line['samples']): Line[] => [
    { name: `${samples}, encrypted`, kind: 'encrypted', samples, values: curve.encrypted },
    { name: `${samples}, clear`, kind: 'clear', samples, values: curve.clear },
  ];
  return [...(heldOut === undefined ? [] : pair(heldOut[what], 'held-out')), ...pair(training[what], 'training')];
}

function judgedSamples({ data }: ReportInput): Line['samples'] {
  return data.heldOut > 0 ? 'held-out' : 'training';
}

function mistakes(report: ReportInput): Html {
  const { predictions } = report;
  const { wrong } = predictions;
  if (wrong === 0)
    return html`<div class="card mistakes"><h3>Mistakes</h3>
<p class="note">None: every ${judgedSamples(report)} sample is classified correctly.</p></div>`;
  const shown = Math.min(predictions.mistakes.length, MAX_MISTAKES);
  const note =
    shown < wrong ? `The ${formatCount(shown)} most confident of ${formatCount(wrong)}` : `All ${formatCount(wrong)}`;
  return html`<div class="card mistakes"><h3>Mistakes</h3>
<p class="note">${note}: the actual class, the predicted one, and its probability.</p>
${mistakeList(predictions.mistakes)}</div>`;
}

function facts(pairs: readonly (readonly [name: string, value: string])[]): Html {
  return html`<dl class="facts">${pairs.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}

function shortPercent(value: number): string {
  return `${Number((100 * value).toFixed(1))} %`;
}

function shortLoss(value: number): string {
  return String(Number(value.toPrecision(3)));
}

function lastOf(values: readonly number[]): number {
  return at(values, values.length - 1, 'values by iteration');
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
