export {
  batchOfShard,
  blockExponent,
  type BlockShape,
  cellAt,
  cellsOf,
  isFullPair,
  type Layout,
  layoutOf,
  pairExponent,
  sampleAt,
} from './layout/shape.ts';
export {
  decodeErrors,
  decodeFeatures,
  encodeFeatures,
  encodeGradientFeatures,
  encodeLabels,
  encodeWeights,
} from './layout/encode.ts';
export { decodeModel, decodePair, encodeChain, encodePair } from './layout/pack-slots.ts';
export {
  SIGMOID_DEGREES,
  type SigmoidDegree,
  type SigmoidPolynomial,
  PAPER_SIGMOID,
  sigmoid,
  evaluateOdd,
  sigmoidLevels,
  fitSigmoid,
  reachOf,
} from './sigmoid.ts';
export {
  type Hyperparameters,
  batchSize,
  DEFAULT_HYPERPARAMETERS,
  PAPER_HYPERPARAMETERS,
  stepFactor,
  momentumSchedule,
  momentumCoefficients,
  quadraticGradientRow,
} from './method.ts';
export { PlanError } from './plan-error.ts';
export { range } from './chunked.ts';
export { batchRange, batchOf, permutation } from './batches.ts';
export { columnSteps, rowSteps } from './circuits/rotate-and-sum.ts';
export { maskAndReplicate } from './circuits/mask-and-replicate.ts';
export { monicOdd, inputScale, evaluateMonicOdd } from './circuits/odd-polynomial.ts';
export { packChain, expand, packModel } from './circuits/pack.ts';
export { sumOfProducts } from './circuits/sum-of-products.ts';
export { PREDICTION_LEVEL, predictScores, expandModel } from './circuits/predict.ts';
export { forwardLevels, forward, startLevels, startScores, startErrors } from './circuits/forward.ts';
export { backward } from './circuits/backward.ts';
export { nesterovStep } from './circuits/step.ts';
export { type Schedule, type Segment, type Refreshed, momentumTerms, finalTerms } from './schedule.ts';
export { type Grouping, type JobShape, type Plan, type PredictionGrouping, type PredictionPlan } from './plan/plan.ts';
export { checkShape, derivePlan, levelsNeeded } from './plan/derive.ts';
export { choosePlan, precisionOf, type PlanRequest } from './plan/search.ts';
export { expectedError } from './plan/noise.ts';
export { expectedSeconds } from './plan/cost.ts';
export { answerBefore, type Shade, type StepCount, StepCounter } from './plan/count.ts';
export { derivePredictionPlan, predictionPlan } from './plan/prediction-plan.ts';
export {
  after,
  bind,
  chainsOf,
  finishId,
  lastOf,
  packStage,
  predictionSteps,
  refreshId,
  segmentStages,
  startStage,
  stepsOf,
  updateId,
} from './program.ts';
export type {
  BackwardWork,
  ForwardWork,
  KeyedWork,
  KeylessWork,
  PredictWork,
  RefreshWork,
  RunWork,
  Source,
  StartWork,
  Step,
  Work,
} from './work.ts';
export { type InputName, inputsOf, runPrediction, runStep, type StepIo } from './run-step.ts';
export { type ClearOptions, type ClearTraining, trainClear } from './reference/train.ts';
export {
  type PlannedTraining,
  type PlannedPrediction,
  type PlannedJob,
  planOf,
  predictionPlanOf,
  trainingPlanOf,
} from './manifest/manifest-plan.ts';
export { type ExpectedBlob, expectedBlobs, expectedRefresh } from './manifest/expected-blobs.ts';
export { PlanCache } from './manifest/plan-cache.ts';
