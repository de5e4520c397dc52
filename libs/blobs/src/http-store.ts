import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, errors as undiciErrors, request, type Dispatcher } from 'undici';
import type { Digest } from '@blindfit/base';
import {
  openSource,
  type BlobInfo,
  type BlobSource,
  type BlobStore,
  type PutOptions,
  type PutResult,
} from './blob-store.ts';
import {
  BlobNotFoundError,
  BlobSizeMismatchError,
  BlobTooLargeError,
  DigestMismatchError,
  StorageError,
  StorageFullError,
  StoreRefusedError,
  StoreUnavailableError,
  StoreUnsupportedError,
} from './errors.ts';
import { verifyBytes, verifyStream } from './verify.ts';

/** Blobs smaller than this are sent without asking first whether they are there: the question costs as much. Bytes. */
const ASK_FIRST_BYTES = 64 * 1024;
/** Of an error body, no more than this is read. Bytes. */
const MAX_PROBLEM_BYTES = 64 * 1024;
/** Longest wait between two attempts. Milliseconds. */
const MAX_BACKOFF_MS = 5_000;

export interface HttpBlobStoreOptions {
  /** Bearer token of the API. */
  token?: string | undefined;
  /** How often a call is tried in all. @default 5 */
  attempts?: number;
  /** Wait before the second attempt in milliseconds; doubles from there to 5 s, with jitter. @default 250 */
  backoffMs?: number;
  /** Milliseconds without a byte before an attempt counts as failed. @default 60000 */
  idleTimeoutMs?: number;
}

type Response = Dispatcher.ResponseData;

/** An attempt that failed in a way that another attempt may mend: the network, or a 5xx. Never leaves this file. */
class TransientError extends Error {}

/**
 * The blob routes of the Blindfit API: `HEAD`, `GET` and `PUT <base>/v1/blobs/<digest>`. All three are idempotent, so
 * network errors and server errors (except 507, a full disk) are retried. A `put` from a stream that can be read
 * only once is the exception: give bytes or a function for a source that survives a broken connection.
 */
export class HttpBlobStore implements BlobStore {
  readonly base: string;
  readonly #token: string | undefined;
  readonly #attempts: number;
  readonly #backoffMs: number;
  readonly #agent: Agent;

  constructor(base: string | URL, options: HttpBlobStoreOptions = {}) {
    this.base = String(base).replace(/\/+$/, '');
    this.#token = options.token;
    this.#attempts = Math.max(1, options.attempts ?? 5);
    this.#backoffMs = options.backoffMs ?? 250;
    const idle = options.idleTimeoutMs ?? 60_000;
    this.#agent = new Agent({ headersTimeout: idle, bodyTimeout: idle, connect: { timeout: 10_000 } });
  }

  async has(digest: Digest): Promise<{ size: number } | undefined> {
    return await this.#retry(digest, async () => {
      const response = await this.#send('HEAD', digest);
      await response.body.dump();
      if (response.statusCode === 404) return undefined;
      if (response.statusCode !== 200) throw await this.#failure(digest, response);
      const size = Number(response.headers['content-length']);
      if (!Number.isSafeInteger(size)) throw this.#notOurs(digest, response, 'no Content-Length');
      return { size };
    });
  }

  /** The API touches every blob that it is asked about. */
  async touch(digest: Digest): Promise<boolean> {
    return (await this.has(digest)) !== undefined;
  }

  async put(digest: Digest, source: BlobSource, options: PutOptions = {}): Promise<PutResult> {
    const declared = options.size ?? (source instanceof Uint8Array ? source.length : undefined);
    const maxBytes = options.maxBytes ?? Infinity;
    if (declared !== undefined && declared > maxBytes) throw new BlobTooLargeError(digest, maxBytes);
    if (declared === undefined || declared > ASK_FIRST_BYTES) {
      const existing = await this.has(digest);
      if (existing !== undefined) return { created: false, size: existing.size };
    }
    const repeatable = source instanceof Uint8Array || typeof source === 'function';
    return await this.#retry(
      digest,
      () => this.#putOnce(digest, source, declared, maxBytes),
      repeatable ? this.#attempts : 1,
    );
  }

  async get(digest: Digest): Promise<Uint8Array> {
    return await this.#retry(digest, async () => {
      const response = await this.#getOnce(digest);
      const bytes = await transient(async () => new Uint8Array(await response.body.arrayBuffer()));
      await transient(() => verifyBytes(bytes, digest, this.base));
      return bytes;
    });
  }

  async stream(digest: Digest): Promise<Readable> {
    const response = await this.#retry(digest, () => this.#getOnce(digest));
    return verifyStream(response.body, digest, this.base);
  }

  async readHead(digest: Digest, bytes: number): Promise<Uint8Array> {
    return await this.#retry(digest, async () => {
      const { body } = await this.#getOnce(digest);
      return await transient(() => readAtMost(body, bytes));
    });
  }

  delete(digest: Digest): Promise<void> {
    return Promise.reject(new StoreUnsupportedError(`deleting ${digest}`, this.base));
  }

  list(): AsyncIterable<BlobInfo> {
    throw new StoreUnsupportedError('listing blobs', this.base);
  }

  /** Closes idle connections and waits for running calls. */
  async close(): Promise<void> {
    await this.#agent.close();
  }

  async #getOnce(digest: Digest): Promise<Response> {
    const response = await this.#send('GET', digest);
    if (response.statusCode !== 200) throw await this.#failure(digest, response);
    return response;
  }

  async #putOnce(
    digest: Digest,
    source: BlobSource,
    declared: number | undefined,
    maxBytes: number,
  ): Promise<PutResult> {
    // A source that fails is the caller's own error: it must come out as it is and not be retried as if it were
    // the network's.
    let sourceFailure: { error: unknown } | undefined;
    async function* watched(): AsyncGenerator<Uint8Array> {
      let size = 0;
      try {
        for await (const chunk of openSource(source)) {
          size += chunk.length;
          if (size > maxBytes) throw new BlobTooLargeError(digest, maxBytes);
          if (declared !== undefined && size > declared) throw new BlobSizeMismatchError(digest, declared, 'more');
          yield chunk;
        }
        if (declared !== undefined && size < declared)
          throw new BlobSizeMismatchError(digest, declared, `only ${size}`);
      } catch (error) {
        sourceFailure = { error };
        throw error;
      }
    }
    const body = source instanceof Uint8Array ? source : Readable.from(watched(), { objectMode: false });
    const headers = {
      'content-type': 'application/octet-stream',
      ...(declared === undefined ? {} : { 'content-length': String(declared) }),
    };
    let response: Response;
    try {
      response = await this.#send('PUT', digest, headers, body);
    } catch (error) {
      const failure = sourceFailure as { error: unknown } | undefined;
      throw failure === undefined ? error : failure.error;
    }
    if (response.statusCode !== 200 && response.statusCode !== 201) throw await this.#failure(digest, response);
    const answer = parseJson(await transient(() => readText(response.body)));
    const size = answer['size'];
    if (typeof size !== 'number') throw this.#notOurs(digest, response, 'no size in the answer');
    return { created: response.statusCode === 201, size };
  }

  async #send(
    method: 'HEAD' | 'GET' | 'PUT',
    digest: Digest,
    headers: Record<string, string> = {},
    body: Uint8Array | Readable | null = null,
  ): Promise<Response> {
    const authorization = this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
    const response = await transient(() =>
      request(this.#url(digest), { dispatcher: this.#agent, method, headers: { ...authorization, ...headers }, body }),
    );
    // 507 is a server error that no retry mends.
    if ((response.statusCode >= 500 && response.statusCode !== 507) || response.statusCode === 429) {
      throw new TransientError((await this.#failure(digest, response)).message);
    }
    return response;
  }

  /** What an answer other than success means. Reads (and so releases) the body. */
  async #failure(digest: Digest, response: Response): Promise<StorageError> {
    const { statusCode: status } = response;
    const problem = parseJson(await readText(response.body).catch(() => ''));
    if (status === 404 && (problem['code'] ?? 'BLOB_NOT_FOUND') === 'BLOB_NOT_FOUND')
      return new BlobNotFoundError(digest, this.base);
    const text = (key: string): string | undefined => (typeof problem[key] === 'string' ? problem[key] : undefined);
    if (status === 413) return new BlobTooLargeError(digest);
    if (status === 422 && text('code') === 'DIGEST_MISMATCH') return new DigestMismatchError(digest, 'something else');
    if (status === 507) return new StorageFullError(this.base, undefined, text('detail'));
    const reason = text('detail') ?? text('title') ?? 'no reason given';
    const hint =
      status === 401 || status === 403 ? 'set BLINDFIT_TOKEN to the token that the API was started with' : text('hint');
    return new StoreRefusedError(this.#url(digest), status, reason, hint);
  }

  #notOurs(digest: Digest, response: Response, what: string): StoreRefusedError {
    return new StoreRefusedError(
      this.#url(digest),
      response.statusCode,
      what,
      `check that ${this.base} is a Blindfit API`,
    );
  }

  #url(digest: Digest): string {
    return `${this.base}/v1/blobs/${digest}`;
  }

  async #retry<T>(digest: Digest, once: () => Promise<T>, attempts = this.#attempts): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await once();
      } catch (error) {
        if (!(error instanceof TransientError)) throw error;
        if (attempt >= attempts) {
          // Damaged bytes on every attempt are not an unreachable store.
          throw error.cause instanceof StorageError
            ? error.cause
            : new StoreUnavailableError(this.#url(digest), attempts, error.cause ?? error);
        }
        const wait = Math.min(MAX_BACKOFF_MS, this.#backoffMs * 2 ** (attempt - 1));
        await sleep(wait * (0.5 + Math.random() / 2));
      }
    }
  }
}

/** Runs a step on the network and marks its failure as worth another attempt, unless the request itself was wrong. */
async function transient<T>(step: () => T | Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (error instanceof undiciErrors.InvalidArgumentError) throw error;
    throw new TransientError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

async function readAtMost(body: Readable, bytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop early destroys the body and with it the connection: the rest is never transferred.
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    parts.push(chunk);
    size += chunk.length;
    if (size >= bytes) break;
  }
  return new Uint8Array(Buffer.concat(parts).subarray(0, bytes));
}

async function readText(body: Readable): Promise<string> {
  return Buffer.from(await readAtMost(body, MAX_PROBLEM_BYTES)).toString('utf8');
}

function parseJson(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
