export { SecretKeyHolder } from './secret-key.ts';
export { JobDataError, KeysetError, ModelError, type KeysetErrorCode } from './errors.ts';
export { keysetName, openKeyset, type KeyFile, type Keyset, type OpenKeysetOptions } from './keyset.ts';
export { countBlobs, encryptJob, type DataBlobs, type EncryptedBlob, type EncryptOptions, type JobData } from './encrypt-job.ts';
export { manifestFor } from './manifest.ts';
export { decryptChain, decryptIterates, decryptModel } from './decrypt-model.ts';
export { trainEncryptedLocally, type LocalTraining } from './local-evaluation.ts';
export * from './refresh.ts';
