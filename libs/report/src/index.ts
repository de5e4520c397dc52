export { renderReport } from './render.ts';
export { MAX_MISTAKES } from './mistakes.ts';
export type { Curve, Curves, Mistake, ReportInput, SampleImage } from './input.ts';
