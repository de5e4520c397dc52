/** Requests to one API: bearer token, attempts with back-off, idle time-outs. */
import { backoffMs, BlindfitError } from '@blindfit/base';
import { isUntrusted, StatusError, TransientError } from './errors.ts';
import { readAtMost, type Answer } from './read.ts';
import { isWrongRequest, Transport } from './transport.ts';

/** Most that is read of the body of a failure. Bytes. */
const MAX_FAILURE_BYTES = 64 * 1024;
/** Pieces in which a body is handed to the network, so that time-outs and progress see it move. Bytes. */
const CHUNK_BYTES = 64 * 1024;

export interface ConnectionOptions {
  /** Bearer token. */
  readonly token?: string | undefined;
  /** How often a call is tried in all when the network or the server (5xx except 507, 429) fails. @default 5 */
  readonly attempts?: number | undefined;
  /** Wait before the second attempt in milliseconds; doubles from there, with jitter. @default 250 */
  readonly backoffMs?: number | undefined;
  /** Longest wait between two attempts in milliseconds. @default 5000 */
  readonly maxBackoffMs?: number | undefined;
  /**
   * For how long a call goes on when an outage keeps it from its answer, in milliseconds: the network fails, or the
   * server answers 429, 502, 503, 504 or 507. Only a server that has answered before is waited for; an address may be
   * wrong. @default 0: `attempts` only
   */
  readonly patienceMs?: number | undefined;
  /** Called when an outage has begun to delay calls, and with undefined when the server answers again. */
  readonly onOutage?: ((failure: Error | undefined) => void) | undefined;
  /** Milliseconds without a byte in either direction before an attempt counts as failed. @default 60000 */
  readonly idleTimeoutMs?: number | undefined;
}

export interface Call {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** From the leading `/`, already encoded. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Bytes, or a function that opens a stream; its errors come out of the call as they are. */
  readonly body?: Uint8Array | (() => AsyncIterable<Uint8Array>) | undefined;
  /** Called with the bytes of the body that this attempt has handed to the network; starts from 0 in every attempt. */
  readonly onSent?: ((bytes: number) => void) | undefined;
  /** Statuses that are answers rather than failures. @default any 2xx */
  readonly accept?: readonly number[] | undefined;
  /** How often the call is tried in all. @default the connection's attempts */
  readonly attempts?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Says what a failure means: a {@link StatusError}, an error of the network, or what a reader of the answer has marked
 * as transient.
 * @param attempts how often the call was tried
 */
export type Explain = (failure: unknown, call: Call, attempts: number) => Error;

export class Connection {
  /** Base URL without a trailing slash. */
  readonly base: string;
  readonly attempts: number;
  readonly patienceMs: number;
  readonly #onOutage: ConnectionOptions['onOutage'];
  readonly #closed = new AbortController();
  #answered = false;
  #inOutage = false;
  readonly #explain: Explain;
  readonly #backoffMs: number;
  readonly #maxBackoffMs: number;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #transport: Transport;

  constructor(base: string, explain: Explain, options: ConnectionOptions = {}) {
    const { token, attempts = 5, backoffMs: first = 250, maxBackoffMs = 5_000, idleTimeoutMs: idle = 60_000 } = options;
    const { patienceMs = 0, onOutage } = options;
    this.base = base;
    this.patienceMs = patienceMs;
    this.#onOutage = onOutage;
    this.attempts = Math.max(1, attempts);
    this.#explain = explain;
    this.#backoffMs = first;
    this.#maxBackoffMs = maxBackoffMs;
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    this.#transport = new Transport(idle);
  }

  /**
   * Makes a call and reads its answer, with more attempts while they may help. Every route of the API may be repeated.
   * @throws what `explain` makes of the last failure; what `read` throws; the signal's reason
   */
  async call<T>(call: Call, read: (answer: Answer) => T | Promise<T>): Promise<T> {
    const { attempts = this.attempts, signal } = call;
    let since: number | undefined;
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await this.open(call);
        const result = await transient(async () => read(answer), signal);
        this.answers();
        return result;
      } catch (error) {
        if (!(error instanceof TransientError)) throw error;
        since ??= Date.now();
        // A body that can be sent once has one attempt, whatever the reason.
        const last = attempt >= attempts && (call.attempts === 1 || !this.mayWait(error, since));
        if (last || isUntrusted(error.cause) || this.#closed.signal.aborted) throw this.explain(error, call, attempt);
        if (attempt > 1) this.failsBy(error, call, attempt);
        await this.wait(attempt, signal);
      }
    }
  }

  /** Whether an outage may be waited for. @param since when it began, in milliseconds since the epoch */
  mayWait(error: TransientError, since: number): boolean {
    const { cause } = error;
    const passes = !(cause instanceof StatusError) || cause.outage;
    return this.#answered && passes && Date.now() - since < this.patienceMs && !this.#closed.signal.aborted;
  }

  /** Whether the server has answered before. */
  get hasAnswered(): boolean {
    return this.#answered;
  }

  get closed(): boolean {
    return this.#closed.signal.aborted;
  }

  /** The server has answered: an outage is over. */
  answers(): void {
    this.#answered = true;
    if (!this.#inOutage) return;
    this.#inOutage = false;
    this.#onOutage?.(undefined);
  }

  /** An outage delays a call; says so once. */
  failsBy(error: TransientError, call: Call, attempts: number): void {
    if (this.#inOutage || !this.#answered || this.patienceMs === 0) return;
    this.#inOutage = true;
    this.#onOutage?.(this.explain(error, call, attempts));
  }

  /** One attempt, up to the head of the answer. @throws TransientError, or what {@link call} throws */
  async open(call: Call): Promise<Answer> {
    const { method, path, headers, body, onSent, signal } = call;
    let sourceFailure: { readonly error: unknown } | undefined;
    async function* watched(open: () => AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      try {
        yield* open();
      } catch (error) {
        sourceFailure = { error };
        throw error;
      }
    }
    const length = body instanceof Uint8Array ? { 'content-length': String(body.length) } : {};
    const send = (): Promise<Answer> => {
      // Bytes go in pieces, too: the time-out for the answer would otherwise run while a slow line is still sending.
      const pieces = body instanceof Uint8Array ? piecesOf(body, onSent) : body && watched(body);
      return this.#transport.send(this.base + path, {
        method,
        headers: { ...this.#headers, ...headers, ...length },
        body: pieces,
        signal,
      });
    };
    let answer: Answer;
    try {
      answer = await transient(send, signal);
    } catch (error) {
      const failure = sourceFailure as { readonly error: unknown } | undefined;
      throw failure === undefined ? error : failure.error;
    }
    const { statusCode: status } = answer;
    if (call.accept?.includes(status) ?? (status >= 200 && status < 300)) return answer;
    const failure = await statusErrorOf(this.base + path, answer);
    // A full disk is waited for where outages are, and not tried again at once.
    if (failure.transient || (failure.outage && this.patienceMs > 0)) throw new TransientError(failure);
    this.answers();
    throw this.#explain(failure, call, 1);
  }

  /** The error for the caller when there is no further attempt. */
  explain(error: TransientError, call: Call, attempts: number): Error {
    return this.#explain(error.cause, call, attempts);
  }

  /** Waits after the given number of failed attempts. @throws the signal's reason */
  async wait(failures: number, signal?: AbortSignal): Promise<void> {
    const milliseconds = backoffMs(failures, this.#backoffMs, this.#maxBackoffMs);
    const either = signal === undefined ? this.#closed.signal : AbortSignal.any([this.#closed.signal, signal]);
    await sleep(milliseconds, either);
    signal?.throwIfAborted();
  }

  /** Waits for running calls, whose further attempts are given up, and closes idle connections. */
  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort();
    await this.#transport.close();
  }
}

/**
 * Runs a step on the network and marks its failure as worth another attempt, unless it was made on purpose.
 * @throws TransientError; errors of Blindfit's and wrong arguments as they are; the signal's reason
 */
export async function transient<T>(step: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await step();
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof TransientError || error instanceof BlindfitError || isWrongRequest(error)) throw error;
    throw new TransientError(error);
  }
}

async function statusErrorOf(url: string, answer: Answer): Promise<StatusError> {
  const { statusCode, headers } = answer;
  const bytes = await readAtMost(answer, MAX_FAILURE_BYTES).catch(() => new Uint8Array());
  const [type, location] = [headers['content-type'], headers['location']].map((value) =>
    typeof value === 'string' ? value : undefined,
  );
  return new StatusError(url, statusCode, type ?? '', location, new TextDecoder().decode(bytes));
}

function* piecesOf(bytes: Uint8Array, onSent?: (bytes: number) => void): Generator<Uint8Array> {
  onSent?.(0);
  for (let from = 0; from < bytes.length; from += CHUNK_BYTES) {
    const to = Math.min(bytes.length, from + CHUNK_BYTES);
    yield bytes.subarray(from, to);
    onSent?.(to);
  }
}

/** Resolves after a while, or at once when the signal is aborted. */
function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    if (signal?.aborted === true) done();
    else signal?.addEventListener('abort', done, { once: true });
  });
}
