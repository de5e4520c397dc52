/** The page's style sheet. Colours are variables, set for light and dark screens, and light again for paper. */
import { Html } from './html.ts';

const LIGHT = `
  --page: #f6f7f9; --card: #ffffff; --ink: #17202b; --soft: #5b6675; --line: #e1e5ea; --grid: #e9ecf0;
  --held-out: #1f5fd0; --training: #b4570a; --bar: #1f5fd0; --track: #edf0f4; --right: #1f5fd0; --wrong: #d2601a;
  --wrong-ink: #a8450a;`;
const DARK = `
  --page: #10141a; --card: #181e26; --ink: #e8ecf1; --soft: #9aa6b5; --line: #2a323d; --grid: #262e38;
  --held-out: #79a8ff; --training: #f0a35e; --bar: #79a8ff; --track: #232b35; --right: #2f5fc4; --wrong: #a0501a;
  --wrong-ink: #f5a56b;`;

export const STYLE = new Html(`
:root { color-scheme: light dark; ${LIGHT} }
@media (prefers-color-scheme: dark) { :root { ${DARK} } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 56px; }
header { margin-bottom: 28px; }
.eyebrow { margin: 0 0 6px; color: var(--soft); font-size: 13px; }
h1 { margin: 0 0 10px; font-size: 30px; line-height: 1.2; letter-spacing: -.015em; overflow-wrap: anywhere; }
.nowrap { white-space: nowrap; }
.lead { margin: 0; max-width: 68ch; font-size: 17px; overflow-wrap: anywhere; }
h2 { margin: 40px 0 14px; font-size: 19px; letter-spacing: -.005em; }
.card, .chart, .tile { background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 14px; margin: 26px 0 0;
  padding: 0; }
.tile { padding: 16px 18px; display: flex; flex-direction: column; }
.tile dt { color: var(--soft); font-size: 13px; }
.tile dd { margin: 0; }
.tile .figure { font-size: 27px; line-height: 1.3; font-weight: 650; letter-spacing: -.02em; white-space: nowrap; }
.tile .beside { color: var(--soft); font-size: 13px; }
.pair { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 16px; }
.chart, .card { margin: 0; padding: 18px 20px; min-width: 0; }
figcaption, h3 { margin: 0 0 4px; font-size: 15px; font-weight: 650; }
.note { margin: 0 0 12px; color: var(--soft); font-size: 13px; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 0 0 8px; padding: 0; list-style: none;
  font-size: 13px; color: var(--soft); }
.legend li { display: inline-flex; align-items: center; gap: 7px; }
.legend b { color: var(--ink); font-weight: 600; font-variant-numeric: tabular-nums; }
.plot { display: block; width: 100%; height: auto; }
.grid { stroke: var(--grid); stroke-width: 1; }
.tick { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
.held-out { color: var(--held-out); }
.training { color: var(--training); }
.line { fill: none; stroke: currentColor; stroke-linejoin: round; stroke-linecap: round; }
.clear .line { stroke-width: 9; opacity: .26; }
.encrypted .line { stroke-width: 2; }
circle { fill: var(--card); stroke: currentColor; stroke-width: 2; }
details { margin-top: 6px; font-size: 13px; }
summary { color: var(--soft); cursor: pointer; width: fit-content; }
summary:focus-visible { outline: 2px solid var(--held-out); outline-offset: 3px; border-radius: 4px; }
.scroll { overflow-x: auto; }
.scroll:focus-visible { outline: 2px solid var(--held-out); outline-offset: 2px; border-radius: 4px; }
.chosen { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 4 4; fill: none; }
.warnings { margin: 14px 0 0; padding: 12px 18px 12px 34px; max-width: 76ch; border: 1px solid var(--wrong);
  border-radius: 12px; background: var(--card); overflow-wrap: anywhere; }
.predictions { margin-top: 16px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.numbers { width: 100%; font-size: 13px; }
.numbers th { text-align: left; font-weight: 600; color: var(--soft); }
.numbers th, .numbers td { padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
.numbers tr:last-child td { border-bottom: 0; }
.triple { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(280px, 100%), 1fr)); gap: 16px; }
.bars { display: grid; gap: 10px; margin: 0; }
.bars > div { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 3px 12px; font-size: 14px;
  line-height: 1.35; }
.bars dd { margin: 0; font-variant-numeric: tabular-nums; }
.bar { grid-column: 1 / -1; height: 8px; border-radius: 4px; overflow: hidden; background: var(--track); }
.bar::before { content: ""; display: block; width: var(--part); min-width: 2px; height: 100%; border-radius: 4px;
  background: var(--bar); }
.predictions { display: flex; flex-wrap: wrap; gap: 16px; }
.predictions > .matrix { flex: 1 1 auto; max-width: 100%; }
/* The matrix is as wide as its table, not as its note. */
.matrix .note { width: 0; min-width: 100%; }
.predictions > .mistakes { flex: 100 1 380px; }
.confusion { border-spacing: 2px; border-collapse: separate; font-size: 13px; margin: 0 auto; }
.confusion th { font-weight: 600; padding: 0 4px; }
.confusion th[scope=row] { text-align: right; padding-right: 8px; }
.confusion th span { display: block; max-width: 9rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.confusion.upright thead th:not(.share) span { writing-mode: vertical-rl; transform: rotate(180deg); max-width: none;
  max-height: 8rem; margin: 0 auto; }
.confusion.upright thead th { vertical-align: bottom; }
.confusion tbody td { min-width: 40px; height: 46px; padding: 0 4px; text-align: center; border-radius: 5px;
  background: var(--track); }
.confusion td.right { background: color-mix(in srgb, var(--right) var(--part), var(--track)); }
.confusion td.wrong { background: color-mix(in srgb, var(--wrong) var(--part), var(--track)); }
.confusion .share, .confusion tbody td.share { background: none; color: var(--soft); text-align: right;
  font-weight: 400; padding-left: 10px; white-space: nowrap; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(70px, 1fr)); gap: 14px 12px;
  margin: 12px 0 0; padding: 0; list-style: none; }
.pictures li { display: grid; align-content: start; justify-items: center; text-align: center; min-width: 0;
  line-height: 1.35; }
.pictures img, .missing { width: 100%; aspect-ratio: 1; height: auto; object-fit: contain; border-radius: 8px;
  background: var(--track); }
.missing { display: grid; place-items: center; color: var(--soft); font-size: 12px; }
.pictures .tiny { image-rendering: pixelated; }
.verdict { margin-top: 6px; max-width: 100%; }
.verdict i { font-style: normal; font-weight: 400; color: var(--soft); }
.verdict .wrong { color: var(--wrong-ink); }
.wide { grid-template-columns: repeat(auto-fill, minmax(104px, 1fr)); }
.wide .verdict { font-size: 13px; }
.wide b { display: block; overflow-wrap: break-word; }
.pictures small { color: var(--soft); font-size: 12px; }
.facts { display: grid; grid-template-columns: fit-content(45%) minmax(0, 1fr); gap: 5px 18px; margin: 8px 0 0;
  font-size: 14px; }
.facts dt { color: var(--soft); overflow-wrap: anywhere; }
.facts dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
footer { margin-top: 40px; padding-top: 18px; border-top: 1px solid var(--line); color: var(--soft); font-size: 13px;
  max-width: 76ch; }
footer p { margin: 0 0 8px; }
@media screen and (max-width: 720px) {
  main { padding: 26px 14px 40px; }
  h1 { font-size: 25px; }
  .lead { font-size: 16px; }
  .pair { grid-template-columns: minmax(0, 1fr); }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 10px; }
  .tile { padding: 12px 14px; }
  .tile .figure { font-size: 22px; }
  .chart, .card { padding: 15px 14px; }
  .confusion { border-spacing: 1px; font-size: 12px; }
  .confusion tbody td { min-width: 25px; height: 27px; padding: 0 1px; border-radius: 3px; }
  .confusion th { padding: 0 1px; }
  .confusion th[scope=row] { padding-right: 3px; }
  .confusion .share, .confusion tbody td.share { padding-left: 4px; }
  .tile:last-child:nth-child(odd) { grid-column: 1 / -1; }
  .predictions > * { flex-basis: 100% !important; }
}
/* Charts shrink with the screen, and their text with them. */
@media screen and (max-width: 480px) { .tick { font-size: 15px; } }
@media print {
  :root { color-scheme: light; ${LIGHT} --page: #ffffff; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  body { font-size: 11pt; }
  main { max-width: none; padding: 0; }
  .chart, .matrix, .tile, .pictures li, tr, .bars > div { break-inside: avoid; }
  h2, h3, figcaption { break-after: avoid; }
  details { display: none; }
}
`);
