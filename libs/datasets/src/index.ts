export { classesOf, classIndices, oneHot, requireKnownLabels } from './classes.ts';
export { readCsv } from './csv.ts';
export { DATASET_ERROR_CODES, DatasetError, type DatasetErrorCode, type DatasetErrorPlace } from './dataset-error.ts';
export { createDataset, withLabels, type Dataset, type LabelledDataset } from './dataset.ts';
export { withBias } from './design-matrix.ts';
export { accuracy, argmaxScores, confusionMatrix, logLikelihoodLoss, scores, type Weights } from './evaluate.ts';
export { centrePixels, readIdxImages, readIdxLabels, type IdxImages } from './idx.ts';
export type { JsonObject, JsonValue } from './json.ts';
export { isIntegerLabel, normaliseLabel } from './labels.ts';
export { MODEL_FORMAT, parseModel, predictLabels, serialiseModel, type Model } from './model.ts';
export {
  applyPreprocessing,
  DEAD_FEATURE_RATIO,
  fitPreprocessing,
  parsePreprocessing,
  PREPROCESSING_KINDS,
  type Preprocessing,
  type PreprocessingKind,
} from './preprocessing.ts';
