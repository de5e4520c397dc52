export { SecretKeyHolder } from './secret-key.ts';
export {
  ForeignAnswerError,
  JobDataError,
  KeysetError,
  ModelError,
  OwnerError,
  type KeysetErrorCode,
  type OwnerErrorCode,
} from './errors.ts';
export { MemoryKeys, type KeysetFiles, type KeysetLock, type KeyStore } from './key-store.ts';
export { keysetName, openKeyset, type KeyFile, type Keyset, type OpenKeysetOptions } from './keyset.ts';
export {
  countBlobs,
  encryptJob,
  type DataBlobs,
  type EncryptedBlob,
  type EncryptOptions,
  type TrainingSet,
} from './encrypt-job.ts';
export { manifestFor, predictManifestFor } from './manifest.ts';
export { decryptChain, decryptIterates, decryptModel } from './decrypt-model.ts';
export { encryptSamples, type Samples } from './encrypt-samples.ts';
export { decryptScores } from './decrypt-scores.ts';
export {
  type ChainWeights,
  type RefreshBlob,
  type Refreshed,
  type StepBound,
  stepBound,
  RefreshSession,
} from './refresh.ts';
export { OwnAnswers } from './own-answers.ts';
export { cancelJob, purgeJob } from './flow/cancel.ts';
export { attach, type AttachReport, type AttachRequest } from './flow/attach.ts';
export {
  CLASS_WEIGHTS,
  DEFAULT_COMPONENTS,
  hyperparametersOf,
  planChoicesOf,
  preprocessingOf,
  type ClassWeights,
  type TrainingChoices,
} from './flow/choices.ts';
export { followTraining, type FollowOptions, type Followed, type RefreshCosts } from './flow/follow.ts';
export { predict, rawFeatures, servablePlan, type PredictRequest } from './flow/predict.ts';
export type { EncryptState, FlowOptions, FlowState, JobState, StepState, UploadState } from './flow/states.ts';
export { compare, compareTraining, isParted, warningsOf, type Comparison, type Quality } from './flow/comparison.ts';
export { classifierOf, readTicket, writeTicket, type Ticket } from './flow/ticket.ts';
export { planRequestOf, train, type TrainingReport, type TrainRequest } from './flow/train.ts';
export {
  accuraciesOf,
  evaluate,
  prepareData,
  requireTrainable,
  scorableOf,
  type Accuracies,
  type Evaluation,
  type Scorable,
  type TrainingData,
} from './flow/training-data.ts';
