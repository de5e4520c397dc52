/** A store behind the blob routes of the Blindfit API. */
import type { Readable } from 'node:stream';
import { parseDigest, type Digest } from '@blindfit/base';
import {
  Connection,
  readAtMost,
  readBytes,
  StatusError,
  TransientError,
  type Answer,
  type Call,
  type ConnectionOptions,
} from '@blindfit/http';
import {
  openSource,
  type BlobInfo,
  type BlobSource,
  type PutOptions,
  type PutResult,
  type RootBlobStore,
} from './blob-store.ts';
import {
  BlobNotFoundError,
  BlobTooLargeError,
  CorruptBlobError,
  DigestMismatchError,
  StorageError,
  StorageFullError,
  StoreRefusedError,
  StoreUnavailableError,
  StoreUnsupportedError,
} from './errors.ts';
import type { StoreIdentity } from './identity.ts';
import { limited } from './limits.ts';
import { verifyBytes, verifyStream } from './verify.ts';

/** Blobs smaller than this are sent without asking first whether they are there: the question costs as much. Bytes. */
const ASK_FIRST_BYTES = 64 * 1024;
const ROUTE = '/v1/blobs/';
const IDENTITY_ROUTE = '/v1/store';

export type HttpBlobStoreOptions = Omit<ConnectionOptions, 'maxBackoffMs'>;

/**
 * The routes `HEAD`, `GET` and `PUT <base>/v1/blobs/<digest>`. All three are idempotent, so network errors and server
 * errors (except 507, a full disk) are retried. A `put` from a stream that can be read only once is the exception: give
 * bytes or a function for a source that survives a broken connection.
 */
export class HttpBlobStore implements RootBlobStore {
  readonly base: string;
  readonly #connection: Connection;

  constructor(base: string | URL, options: HttpBlobStoreOptions = {}) {
    this.base = String(base).replace(/\/+$/, '');
    this.#connection = new Connection(this.base, (...failure) => this.#explain(...failure), options);
  }

  get where(): string {
    return this.base;
  }

  async has(digest: Digest): Promise<{ size: number } | undefined> {
    return await this.#call('HEAD', digest, { accept: [200, 404] }, async (answer) => {
      await answer.body.dump();
      if (answer.statusCode === 404) return undefined;
      const size = Number(answer.headers['content-length'] ?? NaN);
      if (!Number.isSafeInteger(size)) throw this.#notOurs(digest, answer, 'no Content-Length');
      return { size };
    });
  }

  /** The API touches every blob that it is asked about. */
  async touch(digest: Digest): Promise<boolean> {
    return (await this.has(digest)) !== undefined;
  }

  async put(digest: Digest, source: BlobSource, options: PutOptions = {}): Promise<PutResult> {
    const { size = source instanceof Uint8Array ? source.length : undefined, maxBytes = Infinity } = options;
    if (size !== undefined && size > maxBytes) throw new BlobTooLargeError(digest, maxBytes);
    if (size === undefined || size > ASK_FIRST_BYTES) {
      const existing = await this.has(digest);
      if (existing !== undefined) return { created: false, size: existing.size };
    }
    const bytes = source instanceof Uint8Array && source.length === size;
    const headers = {
      'content-type': 'application/octet-stream',
      ...(size !== undefined && { 'content-length': String(size) }),
    };
    const call = {
      accept: [200, 201],
      headers,
      body: bytes ? source : () => limited(openSource(source), digest, { declared: size, maxBytes }),
      attempts: source instanceof Uint8Array || typeof source === 'function' ? undefined : 1,
    };
    return await this.#call('PUT', digest, call, async (answer) => {
      const stored = fieldsOf(await readText(answer))['size'];
      if (typeof stored !== 'number') throw this.#notOurs(digest, answer, 'no size in the answer');
      return { created: answer.statusCode === 201, size: stored };
    });
  }

  async get(digest: Digest): Promise<Uint8Array> {
    return await this.#call('GET', digest, { accept: [200] }, async (answer) => {
      const bytes = await readBytes(answer, Infinity);
      try {
        verifyBytes(bytes, digest, this.base);
      } catch (error) {
        // The next attempt may bring the right bytes.
        throw error instanceof CorruptBlobError ? new TransientError(error) : error;
      }
      return bytes;
    });
  }

  async stream(digest: Digest): Promise<Readable> {
    const body = await this.#call('GET', digest, { accept: [200] }, (answer) => answer.body);
    return verifyStream(body, digest, this.base);
  }

  async readHead(digest: Digest, bytes: number): Promise<Uint8Array> {
    return await this.#call('GET', digest, { accept: [200] }, (answer) => readAtMost(answer, bytes));
  }

  delete(digest: Digest): Promise<void> {
    return Promise.reject(new StoreUnsupportedError(`deleting ${digest}`, this.base));
  }

  list(): AsyncIterable<BlobInfo> {
    throw new StoreUnsupportedError('listing blobs', this.base);
  }

  /** That of the store behind the API. One attempt: it is asked again soon. */
  async identity(): Promise<StoreIdentity | undefined> {
    const call = { method: 'GET', path: IDENTITY_ROUTE, accept: [200, 404], attempts: 1 } as const;
    return await this.#connection.call(call, async (answer) => {
      const { id, epoch } = fieldsOf(await readText(answer));
      if (answer.statusCode === 404) throw new StoreUnsupportedError('asking for the identity of the store', this.base);
      return typeof id === 'string' && typeof epoch === 'number' ? { id, epoch } : undefined;
    });
  }

  /** The API checks its store when it is asked for the identity. */
  async check(): Promise<void> {
    try {
      await this.identity();
    } catch (error) {
      if (!(error instanceof StoreUnsupportedError)) throw error;
    }
  }

  /** Closes idle connections and waits for running calls. */
  async close(): Promise<void> {
    await this.#connection.close();
  }

  #call<T>(
    method: 'HEAD' | 'GET' | 'PUT',
    digest: Digest,
    call: Omit<Call, 'method' | 'path'>,
    read: (answer: Answer) => T | Promise<T>,
  ): Promise<T> {
    // For a token that is an owner's as well: what is stored here belongs to a job, not to the tenant of the token.
    const headers = { ...call.headers, 'blindfit-scope': 'work' };
    return this.#connection.call({ ...call, headers, method, path: ROUTE + digest }, read);
  }

  #explain(failure: unknown, { path }: Call, attempts: number): Error {
    const url = this.base + path;
    if (failure instanceof StorageError) return failure;
    if (!(failure instanceof StatusError)) return new StoreUnavailableError(url, attempts, failure);
    const { status } = failure;
    const problem = fieldsOf(failure.text);
    const text = (name: string): string | undefined => {
      const value = problem[name];
      return typeof value === 'string' ? value : undefined;
    };
    const reason = text('detail') ?? text('title') ?? 'no reason given';
    if (failure.transient) return new StoreUnavailableError(url, attempts, new StoreRefusedError(url, status, reason));
    if (status === 507) return new StorageFullError(this.base, undefined, text('detail'));
    const unauthorized = status === 401 || status === 403;
    const hint = unauthorized ? 'set BLINDFIT_TOKEN to the token that the API was started with' : text('hint');
    const refused = new StoreRefusedError(url, status, reason, hint);
    if (!path.startsWith(ROUTE)) return refused;
    const digest = parseDigest(path.slice(ROUTE.length));
    if (status === 404 && (problem['code'] ?? 'BLOB_NOT_FOUND') === 'BLOB_NOT_FOUND')
      return new BlobNotFoundError(digest, this.base);
    if (status === 413) return new BlobTooLargeError(digest);
    if (status === 422 && text('code') === 'DIGEST_MISMATCH') return new DigestMismatchError(digest, 'something else');
    return refused;
  }

  #notOurs(digest: Digest, { statusCode }: Answer, what: string): StoreRefusedError {
    const hint = `check that ${this.base} is a Blindfit API`;
    return new StoreRefusedError(this.base + ROUTE + digest, statusCode, what, hint);
  }
}

async function readText(answer: Answer): Promise<string> {
  return Buffer.from(await readAtMost(answer, 64 * 1024)).toString('utf8');
}

function fieldsOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
