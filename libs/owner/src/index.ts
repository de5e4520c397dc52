export { SecretKeyHolder } from './secret-key.ts';
export { JobDataError, KeysetError, ModelError, type KeysetErrorCode } from './errors.ts';
export { keysetName, openKeyset, type KeyFile, type Keyset, type OpenKeysetOptions } from './keyset.ts';
export {
  countBlobs,
  encryptJob,
  type DataBlobs,
  type EncryptedBlob,
  type EncryptOptions,
  type JobData,
} from './encrypt-job.ts';
export { manifestFor, predictManifestFor } from './manifest.ts';
export { decryptChain, decryptIterates, decryptModel } from './decrypt-model.ts';
export { encryptSamples, type Samples } from './encrypt-samples.ts';
export { decryptScores } from './decrypt-scores.ts';
export { trainEncryptedLocally, type LocalTraining } from './local-evaluation.ts';
export {
  type ChainWeights,
  type RefreshBlob,
  type Refreshed,
  type StepBound,
  stepBound,
  RefreshSession,
} from './refresh.ts';
