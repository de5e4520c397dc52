export { renderReport } from './render.ts';
export { MAX_MISTAKES } from './mistakes.ts';
export type { ClassQuality, Curve, Curves, Mistake, Quality, ReportInput, SampleImage } from './input.ts';
