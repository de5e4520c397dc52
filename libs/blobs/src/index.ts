export { BlobCache } from './blob-cache.ts';
export type { BlobCacheOptions, CacheEvent } from './blob-cache.ts';
export { isCollectable } from './blob-store.ts';
export type {
  BlobInfo,
  BlobSource,
  BlobStore,
  CollectableBlobStore,
  PutOptions,
  PutResult,
  RootBlobStore,
} from './blob-store.ts';
export { describeIdentity, isSameIdentity, type StoreIdentity } from './identity.ts';
export { digestOf, hexOf, isDigest, parseDigest } from '@blindfit/base';
export type { Digest } from '@blindfit/base';
export {
  BlobNotFoundError,
  BlobSizeMismatchError,
  BlobTooLargeError,
  CorruptBlobError,
  DigestMismatchError,
  InvalidStoreUrlError,
  StorageError,
  StorageFullError,
  StoreRefusedError,
  StoreDamagedError,
  StoreMismatchError,
  StoreSetupError,
  StoreUnavailableError,
  StoreUnboundError,
  StoreUnconfirmedError,
  StoreUnknownError,
  StoreUnsupportedError,
} from './errors.ts';
export { FileBlobStore } from './file-store.ts';
export type { FileBlobStoreOptions } from './file-store.ts';
export { meteredStore, type StoreCall } from './metered-store.ts';
export { openBlobStore } from './open.ts';
export type { OpenBlobStoreOptions } from './open.ts';
export { withS3Settings } from './s3-url.ts';
