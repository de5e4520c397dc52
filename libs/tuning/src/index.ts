export type { Settings } from './candidate.ts';
export { BUDGETS, chooseSettings, type Budget, type Tuned, type TuningRequest } from './choose.ts';
export { parseExpansion, type Expansion } from './families.ts';
export { METRICS, type Metric, type Outcome } from './judge.ts';
