import type { Readable } from 'node:stream';
import type { Digest } from '@blindfit/base';
import type { StoreIdentity } from './identity.ts';

/**
 * Bytes offered to `put`: an array, a stream that can be read once, or a function that opens a fresh stream, which
 * lets a store on the network send it again after a failed attempt.
 */
export type BlobSource = Uint8Array | AsyncIterable<Uint8Array> | (() => AsyncIterable<Uint8Array>);

export interface PutOptions {
  /** The number of bytes that will come, if known. Another number is an error. */
  size?: number | undefined;
  /** Most bytes to accept. @default unlimited */
  maxBytes?: number | undefined;
  /**
   * Take in and check all bytes also when the blob is there: who sends them proves to have them, and neither the answer
   * nor its time tells that others have them, too. @default false
   */
  proof?: boolean | undefined;
}

export interface PutResult {
  /** False when the blob was there already. Of two puts racing each other, both may say true. */
  created: boolean;
  /** Bytes. */
  size: number;
}

export interface BlobInfo {
  digest: Digest;
  /** Bytes. */
  size: number;
  /** When it was last written, put again or touched; in a cache: when it was last used. */
  modified: Date;
}

/** A set of immutable byte strings, each named by its SHA-256. */
export interface BlobStore {
  /** Its size in bytes, or undefined when the store does not hold it. Does not read the content. */
  has(digest: Digest): Promise<{ size: number } | undefined>;

  /**
   * Makes the blob as new as if it had just been put, so that no collection takes it for left over.
   *
   * @returns false when the store does not hold it, or cannot make it new: put it then
   */
  touch(digest: Digest): Promise<boolean>;

  /**
   * Stores bytes under their digest; all or nothing, and safe to repeat or race. When the blob is there already it is
   * touched, and the source is left unread.
   *
   * @throws {DigestMismatchError} the bytes hash to something else
   * @throws {BlobTooLargeError} as soon as `maxBytes` is exceeded
   * @throws {BlobSizeMismatchError} other than `size` bytes came
   * @throws {StorageFullError} no room
   */
  put(digest: Digest, source: BlobSource, options?: PutOptions): Promise<PutResult>;

  /**
   * The whole blob in memory, verified. A plain `Uint8Array` that owns its buffer.
   *
   * @throws {BlobNotFoundError}
   * @throws {CorruptBlobError} the bytes do not hash to the digest
   */
  get(digest: Digest): Promise<Uint8Array>;

  /**
   * The blob as a stream, verified: when the bytes are damaged the stream fails with `CorruptBlobError` before it
   * gives out its last chunk, so a damaged blob never looks complete.
   *
   * @throws {BlobNotFoundError}
   */
  stream(digest: Digest): Promise<Readable>;

  /**
   * The first `bytes` bytes (fewer when the blob is shorter), to look at a header. **Not verified.**
   *
   * @throws {BlobNotFoundError}
   */
  readHead(digest: Digest, bytes: number): Promise<Uint8Array>;

  /** Removes the blob; does nothing when it is not there. */
  delete(digest: Digest): Promise<void>;

  /** Every blob, in no particular order. */
  list(): AsyncIterable<BlobInfo>;

  /** Releases connections. The store must not be used afterwards. */
  close(): Promise<void>;
}

/** A store as a URL names it, and not a cache in front of it. */
export interface RootBlobStore extends BlobStore {
  /** The directory or the URL, without parameters. */
  readonly where: string;

  /**
   * @returns undefined when the store has none yet
   * @throws {StoreUnsupportedError} for an API of a release without identities
   */
  identity(): Promise<StoreIdentity | undefined>;

  /**
   * Whether the store can be used, for readiness: it can be reached, and has room as far as that is known.
   *
   * @throws {StorageError} or what the file system throws, with the reason
   */
  check(): Promise<void>;
}

/** A store that holds its blobs itself. The API has one and removes from it what no job needs. */
export interface CollectableBlobStore extends RootBlobStore {
  /** Gives the store an identity if it has none. Of several callers one succeeds. @returns the one that it has then */
  createIdentity(identity: StoreIdentity): Promise<StoreIdentity>;

  /** Replaces the identity: an operator adopts the store. */
  replaceIdentity(identity: StoreIdentity): Promise<void>;

  /**
   * Removes a blob unless it was put or touched at `olderThan` or later, also while this runs: a put or touch either
   * finds the blob and makes it new, or finds it gone. A reader may miss the blob for a moment and find it again later.
   *
   * @returns whether it is gone
   */
  collect(digest: Digest, olderThan: Date): Promise<boolean>;

  /** Removes what processes that died have left half done, when it is old enough to be sure of that. */
  removeLeftovers(): Promise<void>;
}

/** Whether the store holds its blobs itself. */
export function isCollectable(store: BlobStore): store is CollectableBlobStore {
  return 'collect' in store;
}

/** Opens a source for one reading. */
export function openSource(source: BlobSource): AsyncIterable<Uint8Array> {
  if (source instanceof Uint8Array) return single(source);
  return typeof source === 'function' ? source() : source;
}

// An async iterable without a pause in it, so that bytes and streams take the same path.
// eslint-disable-next-line @typescript-eslint/require-await
async function* single(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes;
}
