import { formatCount, formatPercent } from './format.ts';
import { html, type Html } from './html.ts';
import type { ClassQuality, Quality, ReportInput } from './input.ts';

/** Most classes in the list; of more, those that are found worst. */
const MAX_CLASSES = 30;

/** What a reader of the accuracy alone would miss. */
export function warningList(warnings: readonly string[]): Html | undefined {
  if (warnings.length === 0) return undefined;
  return html`<ul class="warnings">${warnings.map((warning) => html`<li>${warning}</li>`)}</ul>`;
}

/** The model, the same training in the clear, and plain regression side by side. */
export function qualityTable({ quality }: ReportInput): Html {
  const { encrypted, clear, plain, majority } = quality;
  const row = (name: string, figure: (quality: Quality) => string): Html =>
    html`<tr><th scope="row">${name}</th>${[encrypted, clear, plain].map((set) => html`<td>${figure(set)}</td>`)}</tr>`;
  return html`<div class="card"><h3>How good it is</h3>
<p class="note">Naming the commonest class always would be right about ${formatPercent(majority)}. Plain softmax
regression was trained on the owner’s machine on the same samples.</p>
<div class="scroll" tabindex="0" role="region" aria-label="How good it is"><table class="numbers">
<thead><tr><th scope="col">figure</th><th scope="col">encrypted</th><th scope="col">in the clear</th>
<th scope="col">plain regression</th></tr></thead><tbody>
${row('accuracy', ({ accuracy }) => formatPercent(accuracy))}
${row('balanced over the classes', ({ balancedAccuracy }) => formatPercent(balancedAccuracy))}
${row('macro F1', ({ macroF1 }) => formatPercent(macroF1))}
${row('log-loss, nats a sample', ({ logLoss }) => logLoss.toFixed(3))}
</tbody></table></div></div>`;
}

/** Precision and recall by class. */
export function classTable({ quality, data }: ReportInput): Html {
  const rows = quality.classes.map((metrics, k) => ({ ...metrics, name: data.classes[k] }));
  const many = rows.length > MAX_CLASSES;
  const shown = many ? [...rows].sort((a, b) => rank(a) - rank(b)).slice(0, MAX_CLASSES) : rows;
  return html`<div class="card"><h3>Class by class</h3>
<p class="note">${
    many ? html`The ${MAX_CLASSES} of ${formatCount(rows.length)} classes that are found worst. ` : undefined
  }Precision: how many
predictions of a class are right. Recall: how many of its samples are found.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Class by class"><table class="numbers">
<thead><tr>${['class', 'samples', 'precision', 'recall', 'F1'].map((title) => html`<th scope="col">${title}</th>`)}</tr>
</thead><tbody>
${shown.map(
  ({ name, support, precision, recall, f1 }) =>
    html`<tr><th scope="row">${name}</th><td>${formatCount(support)}</td>${[precision, recall, f1].map(
      (part) => html`<td>${part === undefined ? '–' : formatPercent(part)}</td>`,
    )}</tr>`,
)}
</tbody></table></div></div>`;
}

/** Classes without samples or predictions come last. */
function rank({ f1 }: ClassQuality): number {
  return f1 === undefined ? Infinity : f1;
}
