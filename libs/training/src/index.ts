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
  shardsOfBatch,
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
  isSigmoidDegree,
  evaluateOdd,
  sigmoidLevels,
  fitSigmoid,
} from './sigmoid.ts';
export {
  type Hyperparameters,
  batchSize,
  DEFAULT_HYPERPARAMETERS,
  PAPER_HYPERPARAMETERS,
  QUADRATIC_GRADIENT_EPSILON,
  stepFactor,
  momentumSchedule,
  momentumCoefficients,
  quadraticGradientRow,
} from './method.ts';
export { PlanError } from './plan-error.ts';
export { range } from './chunked.ts';
export { batchRange, batchOf, permutation } from './batches.ts';
export { columnSteps, rowSteps } from './circuits/rotate-and-sum.ts';
export { maskAndReplicate, maskColumn } from './circuits/mask-and-replicate.ts';
export { revolveAndSum, revolve } from './circuits/revolve.ts';
export {
  type MonicOdd,
  monicOdd,
  inputScale,
  evaluateMonicOdd,
  addConstant,
  timesConstant,
} from './circuits/odd-polynomial.ts';
export { pairedInputFactor, evaluatePairedOdd } from './circuits/paired-sigmoid.ts';
export { CHEAP_ORDER_SCALE_BITS, reduceProductInPlace, reduceProductsInPlace } from './circuits/reduce.ts';
export { sumRowsAndPack, packChain, type PairCiphertext, expand, packModel } from './circuits/pack.ts';
export { sumOfProducts } from './circuits/sum-of-products.ts';
export { PREDICTION_LEVEL, type PredictInput, predictScores, pairsTogether, expandModel } from './circuits/predict.ts';
export {
  type ForwardInput,
  forwardLevels,
  forward,
  type StartInput,
  startLevels,
  startScores,
  startErrors,
} from './circuits/forward.ts';
export { type BackwardInput, BACKWARD_LEVELS, backward } from './circuits/backward.ts';
export { type MomentumTerm, type StepInput, nesterovStep, finalWeights } from './circuits/step.ts';
export {
  type Schedule,
  type Segment,
  type IterationLevels,
  segmentsOf,
  iterationLevels,
  type Refreshed,
  type ChainState,
  type MomentumTerms,
  momentumTerms,
  finalTerms,
} from './schedule.ts';
export {
  type Grouping,
  type JobShape,
  MAX_BLOCKS,
  MAX_SHARDS,
  type Plan,
  type PredictionGrouping,
  type PredictionPlan,
} from './plan/plan.ts';
export { checkBlock, checkDataShape, checkShape, derivePlan, levelsNeeded, WEIGHT_SCALE_BITS } from './plan/derive.ts';
export { choosePlan, precisionOf, type PlanRequest } from './plan/search.ts';
export { expectedError } from './plan/noise.ts';
export { expectedSeconds, transformSeconds } from './plan/cost.ts';
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
export { type ClearTraining, trainClear } from './reference/train.ts';
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
