import { html, type Html } from './html.ts';

export interface Bar {
  readonly name: string;
  readonly value: number;
}

/**
 * A figure of horizontal bars on a common scale from 0. Lengths are CSS, so that names and values wrap like text at any
 * width.
 */
export function barChart(title: string, note: string, bars: readonly Bar[], format: (value: number) => string): Html {
  const most = Math.max(...bars.map(({ value }) => value));
  return html`<figure class="chart">
<figcaption>${title}</figcaption>
<p class="note">${note}</p>
<dl class="bars">${bars.map(
    ({ name, value }) => html`<div><dt>${name}</dt><dd>${format(value)}</dd>
<dd class="bar" aria-hidden="true" style="--part:${(most > 0 ? (100 * value) / most : 0).toFixed(2)}%"></dd></div>`,
  )}</dl>
</figure>`;
}
