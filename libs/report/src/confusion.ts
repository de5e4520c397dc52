import { at } from '@blindfit/base';
import { formatCount, formatPercent } from './format.ts';
import { html, type Html } from './html.ts';

/** Most classes of a readable matrix; with more, the most frequent confusions are listed. */
const MAX_CLASSES = 30;
const MAX_LISTED = 25;
/** Longest class name in a column heading that stands level. */
const SHORT_NAME = 3;

/** @param confusion row: actual class, column: predicted class */
export function confusionTable(confusion: readonly (readonly number[])[], classes: readonly string[]): Html {
  return classes.length > MAX_CLASSES ? listed(confusion, classes) : matrix(confusion, classes);
}

function matrix(confusion: readonly (readonly number[])[], classes: readonly string[]): Html {
  const upright = classes.some((name) => Array.from(name).length > SHORT_NAME);
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Confusion matrix">
<table class="confusion${upright ? ' upright' : ''}">
<thead><tr><td></td>${classes.map((name) => html`<th scope="col" title="${name}"><span>${name}</span></th>`)}
<th scope="col" class="share">right</th></tr></thead>
<tbody>${classes.map((name, actual) => {
    const row = at(confusion, actual, 'rows of the confusion matrix');
    const total = row.reduce((sum, count) => sum + count, 0);
    return html`
<tr><th scope="row" title="${name}"><span>${name}</span></th>${classes.map((predicted, k) => {
      const count = at(row, k, 'row of the confusion matrix');
      if (count === 0) return html`<td></td>`;
      const right = k === actual;
      return html`<td class="${right ? 'right' : 'wrong'}" style="--part:${shade(count / total, right)}%"
 title="${`${count} of ${total} samples of ${name} are taken for ${predicted}`}">${count}</td>`;
    })}<td class="share">${total === 0 ? '–' : `${Math.round((100 * at(row, actual, 'row')) / total)} %`}</td></tr>`;
  })}
</tbody></table></div>`;
}

/** Per cent of the full colour; a single error in a large class must still be seen. */
function shade(part: number, right: boolean): string {
  return (right ? 8 + 62 * part : 10 + 80 * Math.sqrt(part)).toFixed(1);
}

function listed(confusion: readonly (readonly number[])[], classes: readonly string[]): Html {
  const pairs = confusion
    .flatMap((row, actual) => row.map((count, predicted) => ({ actual, predicted, count })))
    .filter(({ actual, predicted, count }) => actual !== predicted && count > 0)
    .sort((a, b) => b.count - a.count);
  const right = confusion.reduce((sum, row, k) => sum + at(row, k, 'row of the confusion matrix'), 0);
  const total = confusion.reduce((sum, row) => sum + row.reduce((a, b) => a + b, 0), 0);
  const rate = formatPercent(total === 0 ? 0 : right / total);
  if (pairs.length === 0) return html`<p class="note">No class is taken for another one.</p>`;
  return html`<p class="note">${formatCount(classes.length)} classes are too many for a matrix:
the most frequent confusions. ${rate} are right.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Most frequent confusions"><table class="numbers">
<thead><tr><th>actual</th><th>predicted</th><th>samples</th></tr></thead><tbody>
${pairs
  .slice(0, MAX_LISTED)
  .map(({ actual, predicted, count }) => row(classes[actual], classes[predicted], formatCount(count)))}
</tbody></table></div>`;
}

function row(...cells: readonly (string | undefined)[]): Html {
  return html`<tr>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>`;
}
