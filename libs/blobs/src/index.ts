export { BlobCache } from './blob-cache.ts';
export type { BlobCacheOptions, CacheEvent } from './blob-cache.ts';
export { isCollectable } from './blob-store.ts';
export type { BlobInfo, BlobSource, BlobStore, CollectableBlobStore, PutOptions, PutResult } from './blob-store.ts';
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
  StoreSetupError,
  StoreUnavailableError,
  StoreUnsupportedError,
} from './errors.ts';
export { FileBlobStore } from './file-store.ts';
export type { FileBlobStoreOptions } from './file-store.ts';
export { openBlobStore } from './open.ts';
export type { OpenBlobStoreOptions } from './open.ts';
export { withS3Settings } from './s3-url.ts';
