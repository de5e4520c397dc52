import { at } from '@blindfit/base';
import { html, type Html } from './html.ts';

/** Units of the view box; a chart is drawn about as wide as this many CSS pixels, so text keeps its size. */
const WIDTH = 460;
const HEIGHT = 250;
const MARGIN = { left: 52, right: 14, top: 12, bottom: 38 } as const;
/** With more iterations than this, dots would hide the line. */
const MAX_DOTS = 40;

export interface Line {
  readonly name: string;
  /** `clear` is drawn as a broad band, so that an `encrypted` line on top of it shows whether they differ. */
  readonly kind: 'clear' | 'encrypted';
  readonly samples: 'training' | 'held-out';
  /** Values by iteration. */
  readonly values: readonly number[];
}

export interface LineChart {
  readonly title: string;
  readonly lines: readonly Line[];
  /** @param step of the axis, for its ticks */
  readonly format: (value: number, step?: number) => string;
  /** The iteration that the legend tells, and that is marked if it is not the last one. @default the last one */
  readonly chosen?: number | undefined;
  /** The axis ends at these values. */
  readonly limits: { readonly low: number; readonly high: number };
}

/** A figure: the lines over the iterations, a legend with the last values, and all values as a table to unfold. */
export function lineChart({ title, lines, format, limits, chosen }: LineChart): Html {
  const drawn = lines.map((line) => ({ ...line, values: line.values.map((value) => Math.min(limits.high, value)) }));
  const iterations = Math.max(1, ...lines.map(({ values }) => values.length));
  const finite = drawn.flatMap(({ values }) => values).filter(Number.isFinite);
  const ticks = niceTicks(Math.min(...finite), Math.max(...finite), limits);
  const [low, high] = [at(ticks, 0, 'ticks'), at(ticks, ticks.length - 1, 'ticks')];
  const step = at(ticks, 1, 'ticks') - low;
  const plotWidth = WIDTH - MARGIN.left - MARGIN.right;
  const plotHeight = HEIGHT - MARGIN.top - MARGIN.bottom;
  const x = (iteration: number): number =>
    round(MARGIN.left + (iterations === 1 ? plotWidth / 2 : ((iteration - 1) / (iterations - 1)) * plotWidth));
  const y = (value: number): number => round(MARGIN.top + plotHeight * (1 - (value - low) / (high - low)));
  const last = (values: readonly number[]): string => {
    const value = values.slice(0, chosen).findLast((candidate) => !Number.isNaN(candidate));
    return value === undefined ? 'not known' : format(value);
  };
  const label = `${title} by iteration; ${lines.map((line) => `${line.name}: ${last(line.values)}`).join(', ')}`;
  return html`<figure class="chart">
<figcaption>${title}</figcaption>
<ul class="legend">${lines.map((line) => legendEntry(line, last(line.values)))}</ul>
<svg class="plot" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${label}">
${ticks.map(
  (tick) => html`<path class="grid" d="M${MARGIN.left} ${y(tick)}H${WIDTH - MARGIN.right}"/>
<text class="tick" x="${MARGIN.left - 8}" y="${y(tick)}" dy=".32em" text-anchor="end">${format(tick, step)}</text>`,
)}
${iterationTicks(iterations).map((tick) => tickLabel(x(tick), HEIGHT - MARGIN.bottom + 18, tick))}
${tickLabel(MARGIN.left + plotWidth / 2, HEIGHT - 4, 'iteration')}
${chosen === undefined || chosen >= iterations ? undefined : choiceMark(x(chosen))}
${[...drawn].sort((a, b) => a.kind.localeCompare(b.kind)).map((line) => drawLine(line, x, y, format))}
</svg>
<details><summary>All values</summary>
<div class="scroll" tabindex="0" role="region" aria-label="${title}, all values"><table class="numbers">
<thead><tr><th>iteration</th>${lines.map(({ name }) => html`<th>${name}</th>`)}</tr></thead><tbody>
${Array.from(
  { length: iterations },
  (_, t) =>
    html`<tr><td>${t + 1}</td>${lines.map(({ values }) => {
      const value = values[t];
      return html`<td>${value === undefined || Number.isNaN(value) ? '' : format(value)}</td>`;
    })}</tr>`,
)}
</tbody></table></div></details>
</figure>`;
}

function legendEntry({ kind, samples, name }: Line, value: string): Html {
  const dot = kind === 'encrypted' ? html`<circle r="3" cx="13" cy="5"/>` : undefined;
  return html`<li><svg class="${kind} ${samples}" width="26" height="10" aria-hidden="true">
<path class="line" d="M5 5H21"/>${dot}</svg>${name} <b>${value}</b></li>`;
}

/** Marks the iteration whose weights are the model. */
function choiceMark(x: number): Html {
  return html`<path class="chosen" d="M${x} ${MARGIN.top}V${HEIGHT - MARGIN.bottom}"/>
<text class="tick" x="${x + 5}" y="${HEIGHT - MARGIN.bottom - 6}">the model</text>`;
}

function tickLabel(x: number, y: number, text: string | number): Html {
  return html`<text class="tick" x="${x}" y="${y}" text-anchor="middle">${text}</text>`;
}

function drawLine(
  { name, kind, samples, values }: Line,
  x: (iteration: number) => number,
  y: (value: number) => number,
  format: (value: number) => string,
): Html {
  const points = values.map((value, t) => ({ value, t: t + 1 })).filter(({ value }) => Number.isFinite(value));
  // A path of one point, with round ends, is a dot.
  const path =
    points.map(({ value, t }, i) => `${i === 0 ? 'M' : 'L'}${x(t)} ${y(value)}`).join('') +
    (points.length === 1 ? 'h0.01' : '');
  const dots = kind === 'encrypted' && points.length <= MAX_DOTS;
  const circles = points.map(
    ({ value, t }) => html`<circle r="3.5" cx="${x(t)}" cy="${y(value)}">
<title>${`${name}, iteration ${t}: ${format(value)}`}</title></circle>`,
  );
  return html`<g class="${kind} ${samples}"><path class="line" d="${path}"><title>${name}</title></path>
${dots ? circles : undefined}</g>`;
}

/** Three to seven round numbers that enclose the values, as far as the limits let them. */
function niceTicks(min: number, max: number, limits: { readonly low: number; readonly high: number }): number[] {
  if (!(min <= max)) return [0, 1];
  // A little room, also around a single value.
  const span = Math.max(max - min, 0.02 * Math.max(Math.abs(max), 1e-6), limits.high === 1 ? 0.02 : 0);
  const [from, to] = [Math.max(limits.low, min - 0.08 * span), Math.min(limits.high, max + 0.08 * span)];
  const rough = (to - from) / 4;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * ([1, 2, 2.5, 5, 10].find((factor) => factor * unit >= rough) ?? 10);
  const first = Math.floor(from / step + 1e-9);
  const count = Math.ceil(to / step - 1e-9) - first;
  return Array.from({ length: count + 1 }, (_, i) => (first + i) * step);
}

/** At most about eight whole numbers, 1 and steps of 1, 2, 5, 10, ... */
function iterationTicks(iterations: number): number[] {
  const rough = iterations / 8;
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(rough)));
  const step = unit * ([1, 2, 5, 10].find((factor) => factor * unit >= rough) ?? 10);
  if (step === 1) return Array.from({ length: iterations }, (_, t) => t + 1);
  return [1, ...Array.from({ length: Math.floor(iterations / step) }, (_, i) => (i + 1) * step)];
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
