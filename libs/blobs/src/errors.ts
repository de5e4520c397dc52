import { BlindfitError, messageOf, type Digest } from '@blindfit/base';

/**
 * Base of the errors that blob stores throw on purpose. Errors about a store that is away or full, and about damaged
 * bytes, are retryable. Those about the store are the world's fault, or the host's where the host's own view of the
 * store may be the cause.
 */
export class StorageError extends BlindfitError {}

/** `DIGEST_MISMATCH`: the bytes offered to `put` hash to something else. Nothing was stored. */
export class DigestMismatchError extends StorageError {
  readonly expected: Digest;
  readonly actual: string;

  constructor(expected: Digest, actual: string) {
    super('DIGEST_MISMATCH', `the bytes hash to ${actual}, not to ${expected}`, {
      hint: 'compute the SHA-256 over exactly the bytes that are sent; nothing was stored',
      retryable: true,
      fault: 'host',
    });
    this.expected = expected;
    this.actual = actual;
  }
}

/** `BLOB_TOO_LARGE`: more bytes than the store accepts for one blob. Nothing was stored. */
export class BlobTooLargeError extends StorageError {
  readonly digest: Digest;
  /** The limit in bytes; undefined where a remote store did not say. */
  readonly maxBytes: number | undefined;

  constructor(digest: Digest, maxBytes?: number) {
    super(
      'BLOB_TOO_LARGE',
      `${digest} is larger than the ${maxBytes === undefined ? 'size' : `${maxBytes} bytes`} allowed for one blob`,
      {
        hint: 'send smaller blobs, or let the operator raise BLINDFIT_MAX_BLOB_MB',
      },
    );
    this.digest = digest;
    this.maxBytes = maxBytes;
  }
}

/** `BLOB_SIZE_MISMATCH`: fewer or more bytes arrived than were announced. Nothing was stored. */
export class BlobSizeMismatchError extends StorageError {
  constructor(digest: Digest, declared: number, received: string) {
    super('BLOB_SIZE_MISMATCH', `${digest} was announced with ${declared} bytes but ${received} arrived`, {
      hint: 'send the blob again; nothing was stored',
      fault: 'world',
    });
  }
}

/** `BLOB_NOT_FOUND`: the store does not hold this blob. */
export class BlobNotFoundError extends StorageError {
  readonly digest: Digest;

  constructor(digest: Digest, where: string) {
    super('BLOB_NOT_FOUND', `${digest} is not in ${where}`, {
      hint: 'upload it with PUT before a job refers to it',
      fault: 'host',
    });
    this.digest = digest;
  }
}

/** `BLOB_CORRUPT`: the stored bytes no longer hash to their name. */
export class CorruptBlobError extends StorageError {
  readonly digest: Digest;

  constructor(digest: Digest, actual: string, where: string) {
    super('BLOB_CORRUPT', `${digest} in ${where} now hashes to ${actual}: its bytes were damaged`, {
      hint: 'check the disk or the network path, then upload the blob again',
      retryable: true,
    });
    this.digest = digest;
  }
}

/** `STORAGE_FULL`: no room (or no quota) for the blob. Nothing was stored. */
export class StorageFullError extends StorageError {
  /** Directory (or URL) of the store. */
  readonly path: string;
  /** Bytes the file system still offers to this user; undefined where that is not known. */
  readonly freeBytes: number | undefined;

  constructor(path: string, freeBytes: number | undefined, cause?: unknown) {
    const free = freeBytes === undefined ? '' : ` (${freeBytes} bytes free)`;
    super('STORAGE_FULL', `no room left in ${path}${free}`, {
      hint: 'free space or raise the quota on the machine that holds the store, then send the blob again',
      retryable: true,
      fault: path.includes('://') ? 'world' : 'host',
      cause,
    });
    this.path = path;
    this.freeBytes = freeBytes;
  }
}

/** `STORE_UNAVAILABLE`: the store could not be reached, or answered with server errors, on every attempt. */
export class StoreUnavailableError extends StorageError {
  constructor(
    url: string,
    attempts: number,
    cause: unknown,
    hint = 'check that the API is running and reachable, then try again; nothing is half-stored',
  ) {
    super('STORE_UNAVAILABLE', `${url} failed ${attempts} time${attempts === 1 ? '' : 's'}: ${messageOf(cause)}`, {
      hint,
      retryable: true,
      fault: 'world',
      cause,
    });
  }
}

/** `STORE_REFUSED`: the store understood the request and said no (for example: bad token). */
export class StoreRefusedError extends StorageError {
  readonly status: number;

  constructor(url: string, status: number, reason: string, hint?: string) {
    super('STORE_REFUSED', `${url} answered ${status}: ${reason}`, { hint, fault: 'host' });
    this.status = status;
  }
}

/** `STORE_SETUP`: this process lacks what it needs to speak to the store, such as credentials. */
export class StoreSetupError extends StorageError {
  constructor(url: string, reason: string, hint: string, cause?: unknown) {
    super('STORE_SETUP', `${url} cannot be used: ${reason}`, { hint, fault: 'host', cause });
  }
}

/** `STORE_DAMAGED`: what the store says of itself cannot be read. */
export class StoreDamagedError extends StorageError {
  constructor(where: string, name: string) {
    super('STORE_DAMAGED', `${name} in ${where} is not the identity of a store that this release can read`, {
      fault: 'host',
      hint: `restore ${name} from a backup; "blindfit store show" says which id Redis knows`,
    });
  }
}

/** `STORE_MISMATCH`: Redis knows another store than this one. Both are named. */
export class StoreMismatchError extends StorageError {
  constructor(where: string, store: string, redis: string) {
    super('STORE_MISMATCH', `the store ${where} has the id ${store}, but Redis knows the store ${redis}`, {
      fault: 'host',
      hint:
        'correct BLINDFIT_STORE, BLINDFIT_REDIS_URL or BLINDFIT_QUEUE_PREFIX; if this store belongs to this Redis ' +
        '(after a restore), run: blindfit store adopt',
    });
  }
}

/** `STORE_UNKNOWN`: Redis knows a store, and this one has no identity, or the first one is just being given. */
export class StoreUnknownError extends StorageError {
  constructor(where: string, redis: string) {
    super('STORE_UNKNOWN', `the store ${where} has no id, but Redis knows the store ${redis}: ${where} is empty`, {
      fault: 'host',
      hint: 'mount the store or correct BLINDFIT_STORE; to have this empty one in its place: blindfit store adopt',
      retryable: true,
    });
  }
}

/** `STORE_UNBOUND`: the store gets its identity at the first start of a cluster, by a service that can write to it. */
export class StoreUnboundError extends StorageError {
  constructor(where: string) {
    super('STORE_UNBOUND', `the store ${where} has no id yet`, {
      fault: 'world',
      hint: 'wait for the API, which gives it one when it starts',
      retryable: true,
    });
  }
}

/** `STORE_UNCONFIRMED`: Redis has no record of having been used with this store, so nothing may be removed from it. */
export class StoreUnconfirmedError extends StorageError {
  constructor(where: string, store: string) {
    super(
      'STORE_UNCONFIRMED',
      `Redis had no data when it met the store ${where} with the id ${store}: what it does not know may be needed`,
      {
        fault: 'host',
        hint: 'restore Redis from a backup, or, if what it lost is not needed, run: blindfit store adopt',
      },
    );
  }
}

/** `STORE_UNSUPPORTED`: this kind of store cannot do that. */
export class StoreUnsupportedError extends StorageError {
  constructor(operation: string, where: string) {
    super('STORE_UNSUPPORTED', `${operation} is not possible through ${where}`, {
      hint: 'run it on the machine that holds the store, with its file:// URL',
    });
  }
}

/** `INVALID_STORE_URL`: the URL does not name a blob store. */
export class InvalidStoreUrlError extends StorageError {
  constructor(url: string, reason: string) {
    super('INVALID_STORE_URL', `${JSON.stringify(url)} is not a blob store: ${reason}`, {
      hint: 'use file:///absolute/directory, s3://bucket/prefix, http://host:port or https://host',
      fault: 'host',
    });
  }
}
