export { calibratedProbabilities, fitTemperature, TEMPERATURE_RANGE } from './calibration.ts';
export { balancedWeights, classesOf, classIndices, oneHot, requireKnownLabels } from './classes.ts';
export {
  classificationMetrics,
  logLoss,
  metricsOf,
  worstConfusions,
  type ClassificationMetrics,
  type ClassMetrics,
  type Confusion,
} from './classification-metrics.ts';
export { readCsv } from './csv.ts';
export { DATASET_ERROR_CODES, DatasetError, type DatasetErrorCode, type DatasetErrorPlace } from './dataset-error.ts';
export { createDataset, rowsOf, samplesAt, withLabels, type Dataset, type LabelledDataset } from './dataset.ts';
export { withBias } from './design-matrix.ts';
export {
  accuracy,
  argmaxRows,
  argmaxScores,
  classProbabilities,
  confusionMatrix,
  logLikelihoodLoss,
  scores,
  type Weights,
} from './evaluate.ts';
export { centrePixels, readIdxImages, readIdxLabels, type IdxImages } from './idx.ts';
export { applyInput, type AppliedInput, type ApplyOptions } from './input/apply-input.ts';
export {
  fitInput,
  MISSING_CHOICES,
  type FittedInput,
  type InputChoices,
  type MissingChoice,
} from './input/fit-input.ts';
export { featureNames, inputWidth, isPlainInput, parseInput, type Input } from './input/input.ts';
export type { JsonObject, JsonValue } from './json.ts';
export { isIntegerLabel, normaliseLabel } from './labels.ts';
export {
  MODEL_FORMAT,
  modelFeatures,
  parseModel,
  predictLabels,
  predictScores,
  probabilitiesOf,
  serialiseModel,
  type Calibration,
  type Model,
} from './model.ts';
export { maxComponents } from './pca.ts';
export {
  applyPreprocessing,
  DEAD_FEATURE_RATIO,
  fitPreprocessing,
  inputFeatures,
  fitAndApply,
  outputFeatures,
  preprocessingName,
  type Preprocessing,
  type PreprocessingStep,
} from './preprocessing.ts';
export { parsePreprocessing } from './parse-preprocessing.ts';
export { degree2Features, fourierFrequencies, randomFrom } from './expansion.ts';
export {
  parsePreprocessingKind,
  PREPROCESSING_KINDS,
  PREPROCESSING_SPELLINGS,
  type FourierChoice,
  type PcaChoice,
  type PreprocessingChoice,
  spellingOf,
  type PreprocessingKind,
  type StepChoice,
} from './preprocessing-choice.ts';
export { softmaxRegression, type SoftmaxOptions } from './softmax-regression.ts';
export type { QuantileCurve } from './quantile.ts';
export { readTable, type TableChoices } from './table/read-table.ts';
export { selectRows, type Table } from './table/table.ts';
