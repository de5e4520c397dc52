import { barChart } from './bars.ts';
import { confusionTable } from './confusion.ts';
import { formatBytes, formatCount, formatPercent, formatSeconds } from './format.ts';
import { html, type Html } from './html.ts';
import type { Curve, Curves, ReportInput } from './input.ts';
import { lineChart, type Line } from './line-chart.ts';
import { MAX_MISTAKES, mistakeList } from './mistakes.ts';
import { classTable, qualityTable, warningList } from './quality.ts';
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
${warningList(report.warnings)}
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
  chosen: report.iteration,
})}
${lineChart({
  title: 'Loss of the sigmoids, nats a sample',
  lines: linesOf(report, 'loss'),
  format: shortLoss,
  limits: { low: 0, high: Infinity },
  chosen: report.iteration,
})}
</div>
</section>
<section>
<h2>What the model gets right and wrong</h2>
<div class="pair">
${qualityTable(report)}
${classTable(report)}
</div>
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

function summary({ data, heldOut, quality, predictions }: ReportInput): string {
  const [encrypted, clear] = [quality.encrypted.accuracy, quality.clear.accuracy];
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

function tiles({ heldOut, quality, maxWeightError, phases, traffic }: ReportInput): Html {
  const tile = (name: string, figure: string, beside: string): Html =>
    html`<div class="tile"><dt>${name}</dt>
<dd><div class="figure">${figure}</div><div class="beside">${beside}</div></dd></div>`;
  const { encrypted, plain, majority } = quality;
  const seconds = sum(phases.map((phase) => phase.seconds));
  const bytes = sum(traffic.map((part) => part.bytes));
  return html`<dl class="tiles">
${tile(
  heldOut === undefined ? 'Accuracy, training' : 'Accuracy, held-out',
  formatPercent(encrypted.accuracy),
  `plain regression ${formatPercent(plain.accuracy)}`,
)}
${tile('Balanced accuracy', formatPercent(encrypted.balancedAccuracy), `commonest class ${formatPercent(majority)}`)}
${tile('Largest weight error', maxWeightError.toExponential(1), 'against the clear twin')}
${tile('Time', formatSeconds(seconds), 'from keys to model')}
${tile('Network', formatBytes(bytes), 'up and down')}
</dl>`;
}

function linesOf({ training, heldOut }: ReportInput, what: keyof Curves): Line[] {
  const pair = (curve: Curve, samples: Line['samples']): Line[] => {
    const { encrypted, clear } = curve;
    // A second line on top of the first would say nothing more.
    if (coincide(curve))
      return [{ name: `${samples}, encrypted and clear`, kind: 'encrypted', samples, values: clear }];
    return [
      { name: `${samples}, encrypted`, kind: 'encrypted', samples, values: encrypted },
      { name: `${samples}, clear`, kind: 'clear', samples, values: clear },
    ];
  };
  return [...(heldOut === undefined ? [] : pair(heldOut[what], 'held-out')), ...pair(training[what], 'training')];
}

/** Largest difference of two curves that a chart does not show, in parts of the value. */
const INVISIBLE = 1e-4;

/** Whether the curves are the same wherever both are known. */
function coincide({ encrypted, clear }: Curve): boolean {
  return (
    encrypted.length === clear.length &&
    clear.every((value, t) => {
      const other = encrypted[t];
      return other === undefined || Number.isNaN(other) || Math.abs(value - other) <= INVISIBLE * Math.abs(value);
    })
  );
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

/** @param step of an axis, whose ticks have as many digits as it needs */
function shortPercent(value: number, step?: number): string {
  return step === undefined ? formatPercent(value) : `${(100 * value).toFixed(digitsOf(100 * step))} %`;
}

function shortLoss(value: number, step?: number): string {
  return step === undefined ? String(Number(value.toPrecision(3))) : value.toFixed(digitsOf(step));
}

/** Digits behind the point that tell multiples of a step apart. */
function digitsOf(step: number): number {
  let digits = 0;
  while (digits < 9 && Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > 1e-6) digits++;
  return digits;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
