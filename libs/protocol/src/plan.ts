/** What plans need of this package, without what checks forms: schemas take a third of a second to load, and compute threads need none. */
export { ContractError } from './contract-error.ts';
export {
  type ExpectedBlob,
  type JobManifest,
  type PlannedManifest,
  type PlannedPrediction,
  type PlannedJob,
  planOf,
  predictionPlanOf,
  trainingPlanOf,
  expectedBlobs,
  expectedRefresh,
} from './manifest-plan.ts';
export { PlanCache } from './plan-cache.ts';
