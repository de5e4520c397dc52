/** Requests to one API: bearer token, retries, and answers turned into values or errors. */
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, errors as undiciErrors, request, type Dispatcher } from 'undici';
import { checker, ContractError, ProblemSchema, type Problem } from '@blindfit/protocol';
import {
  ApiProblemError,
  ClientError,
  InvalidServerError,
  ServerUnreachableError,
  UnexpectedAnswerError,
} from './errors.ts';

/** Largest JSON answer that is read. Bytes. */
const MAX_JSON_BYTES = 64 * 2 ** 20;
/** Pieces in which a body is handed to the network, so that time-outs and progress see it move. Bytes. */
const CHUNK_BYTES = 64 * 1024;

export interface ConnectionOptions {
  /** Base URL of the API, e.g. `http://127.0.0.1:8080`. */
  server: string;
  /** Bearer token. */
  token?: string | undefined;
  /** How often a call is tried in all when the network or the server (5xx except 507, 429) fails. @default 5 */
  attempts?: number;
  /** Wait before the second attempt in milliseconds; doubles from there, with jitter. @default 250 */
  backoffMs?: number;
  /** Longest wait between two attempts in milliseconds. @default 5000 */
  maxBackoffMs?: number;
  /** Milliseconds without a byte in either direction before an attempt counts as failed. @default 60000 */
  idleTimeoutMs?: number;
}

export type Answer = Dispatcher.ResponseData;

export interface Call {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** From the leading `/`, already encoded. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Told how many bytes of the body this attempt has handed to the network so far; starts again from 0 on a retry. */
  readonly onSent?: (bytes: number) => void;
  /** Statuses that are answers rather than failures. @default any 2xx */
  readonly accept?: readonly number[];
  readonly signal?: AbortSignal | undefined;
}

/** A failure that another attempt may mend; `cause` is what the caller is told when none does. Never leaves the package. */
export class TransientError extends Error {
  constructor(cause: unknown) {
    super('transient', { cause });
  }
}

const asProblem = checker('problem', ProblemSchema);

export class Connection {
  /** Base URL without a trailing slash. */
  readonly base: string;
  readonly attempts: number;
  readonly #backoffMs: number;
  readonly #maxBackoffMs: number;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #agent: Agent;

  /** @throws InvalidServerError */
  constructor(options: ConnectionOptions) {
    this.base = baseOf(options.server);
    this.attempts = Math.max(1, options.attempts ?? 5);
    this.#backoffMs = options.backoffMs ?? 250;
    this.#maxBackoffMs = options.maxBackoffMs ?? 5_000;
    this.#headers = options.token === undefined ? {} : { authorization: `Bearer ${options.token}` };
    const idle = options.idleTimeoutMs ?? 60_000;
    this.#agent = new Agent({ headersTimeout: idle, bodyTimeout: idle, connect: { timeout: 10_000 } });
  }

  /**
   * Makes a call and reads its answer, again and again while that may help. Every route of the API bears repetition.
   * @throws ApiProblemError, UnexpectedAnswerError, ServerUnreachableError, or what `read` throws; the signal's reason
   */
  async call<T>(call: Call, read: (answer: Answer) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await this.open(call);
        return await transient(() => read(answer), call.signal);
      } catch (error) {
        if (!(error instanceof TransientError)) throw error;
        if (attempt >= this.attempts) throw this.verdict(error, attempt);
        await this.wait(attempt, call.signal);
      }
    }
  }

  /** One attempt, up to the head of the answer. @throws TransientError, or what `call` throws */
  async open(call: Call): Promise<Answer> {
    const { body, onSent } = call;
    const answer = await transient(
      () =>
        request(this.base + call.path, {
          dispatcher: this.#agent,
          method: call.method,
          headers: {
            ...this.#headers,
            ...call.headers,
            ...(body === undefined ? {} : { 'content-length': String(body.length) }),
          },
          // In pieces, because the time-out for the answer would otherwise run while a slow line is still sending.
          ...(body === undefined ? {} : { body: Readable.from(pieces(body, onSent), { objectMode: false }) }),
          ...(call.signal === undefined ? {} : { signal: call.signal }),
        }),
      call.signal,
    );
    const { statusCode: status } = answer;
    if (call.accept?.includes(status) ?? (status >= 200 && status < 300)) return answer;
    const failure = await this.#failure(call, answer);
    // 507 is a full disk, which waiting does not empty.
    if ((status >= 500 && status !== 507) || status === 429) throw new TransientError(failure);
    throw failure;
  }

  /** What the caller is told when the last attempt has failed. */
  verdict(error: TransientError, attempts: number): Error {
    const { cause } = error;
    return cause instanceof ClientError ? cause : new ServerUnreachableError(this.base, attempts, cause);
  }

  /** Waits after the given number of failed attempts. */
  async wait(failures: number, signal?: AbortSignal): Promise<void> {
    const full = Math.min(this.#maxBackoffMs, this.#backoffMs * 2 ** Math.min(failures - 1, 16));
    await pause(full * (0.5 + Math.random() / 2), signal);
  }

  /** Reads a JSON answer and checks its shape. */
  async json<T>(answer: Answer, path: string, check: (value: unknown) => T): Promise<T> {
    const text = Buffer.from(await readBytes(answer, MAX_JSON_BYTES)).toString('utf8');
    try {
      return check(JSON.parse(text));
    } catch (error) {
      if (error instanceof SyntaxError)
        throw new UnexpectedAnswerError(this.base + path, answer.statusCode, `no JSON but ${excerpt(text)}`, error);
      if (error instanceof ContractError)
        throw new UnexpectedAnswerError(this.base + path, answer.statusCode, error.message, error);
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#agent.close();
  }

  async #failure(call: Call, answer: Answer): Promise<ClientError> {
    const { statusCode: status } = answer;
    const text = await readBytes(answer, 64 * 1024).then(
      (bytes) => Buffer.from(bytes).toString('utf8'),
      () => '',
    );
    const problem = problemIn(text, answer.headers['content-type']);
    // The API speaks to whoever writes requests by hand; our users have a variable to set.
    if (status === 401) {
      const detail = problem?.detail ?? 'the bearer token is missing or wrong';
      const hint = 'set BLINDFIT_TOKEN to the token that the API was started with';
      return new ApiProblemError({
        status,
        code: problem?.code ?? 'UNAUTHORIZED',
        title: problem?.title ?? 'Not authorized',
        detail,
        hint,
      });
    }
    if (problem !== undefined) return new ApiProblemError(problem);
    const location = answer.headers['location'];
    if (status >= 300 && status < 400 && typeof location === 'string') {
      return new UnexpectedAnswerError(
        this.base + call.path,
        status,
        `it redirects to ${location}, and tokens are not sent after redirects`,
      );
    }
    return new UnexpectedAnswerError(
      this.base + call.path,
      status,
      text === '' ? 'nothing more was said' : excerpt(text),
    );
  }
}

/** The whole body. @param limit in bytes @throws ClientError when it is larger; undici's errors when it ends early */
export async function readBytes(answer: Answer, limit: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of answer.body as AsyncIterable<Uint8Array>) {
    size += part.length;
    // Leaving the loop destroys the body and with it the connection.
    if (size > limit) throw new ClientError('ANSWER_TOO_LARGE', `an answer has more than ${limit} bytes`);
    parts.push(part);
  }
  return new Uint8Array(Buffer.concat(parts));
}

/** Sleeps, or throws the signal's reason. */
async function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  signal?.throwIfAborted();
}

/** Runs a step on the network and marks its failure as worth another attempt, unless it was ours or on purpose. */
export async function transient<T>(step: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await step();
  } catch (error) {
    signal?.throwIfAborted();
    if (
      error instanceof TransientError ||
      error instanceof ClientError ||
      error instanceof undiciErrors.InvalidArgumentError
    )
      throw error;
    throw new TransientError(error);
  }
}

function* pieces(bytes: Uint8Array, onSent?: (bytes: number) => void): Generator<Uint8Array> {
  onSent?.(0);
  for (let from = 0; from < bytes.length; from += CHUNK_BYTES) {
    const to = Math.min(bytes.length, from + CHUNK_BYTES);
    yield bytes.subarray(from, to);
    onSent?.(to);
  }
}

function baseOf(server: string): string {
  const url = URL.parse(server);
  if (url === null) throw new InvalidServerError(`${JSON.stringify(server)} is no URL`);
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new InvalidServerError(`${url.protocol}// is not spoken here`);
  if (url.username !== '' || url.password !== '')
    throw new InvalidServerError('it holds credentials, which belong into BLINDFIT_TOKEN');
  if (url.search !== '' || url.hash !== '') throw new InvalidServerError("it has a part after '?' or '#'");
  return (url.origin + url.pathname).replace(/\/+$/, '');
}

function problemIn(text: string, type: string | string[] | undefined): Problem | undefined {
  if (typeof type !== 'string' || !type.startsWith('application/problem+json')) return undefined;
  try {
    return asProblem(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function excerpt(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}...` : text);
}
