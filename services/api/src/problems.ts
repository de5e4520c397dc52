import type { IncomingMessage } from 'node:http';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { BlindfitError, defined, isRedisAway, messageOf, redisOutageOf } from '@blindfit/base';
import { ProblemSchema, type Problem } from '@blindfit/protocol';

export { ProblemSchema, type Problem };

/** How long a client may go on sending a body after an early answer. Milliseconds. */
const LINGER_MS = 5_000;

/** What clients are told to wait when something below the API is away. Seconds. */
const RETRY_AFTER_S = 5;

/** Characters. */
const MAX_DETAIL = 2_000;

/** Codes of errors from below the API, with the HTTP status of their answers. */
const CATALOGUE: ReadonlyMap<string, { readonly status: number; readonly title: string }> = new Map([
  ['INVALID_DIGEST', { status: 400, title: 'Not a blob digest' }],
  ['BLOB_SIZE_MISMATCH', { status: 400, title: 'Blob has another size than announced' }],
  ['BLOB_NOT_FOUND', { status: 404, title: 'No such blob' }],
  ['BLOB_TOO_LARGE', { status: 413, title: 'Blob is too large' }],
  ['DIGEST_MISMATCH', { status: 422, title: 'Blob does not match its digest' }],
  ['BLOB_CORRUPT', { status: 500, title: 'Stored blob is damaged' }],
  ['STORE_UNAVAILABLE', { status: 503, title: 'Blob store is unavailable' }],
  ['STORE_UNCONFIRMED', { status: 409, title: 'Blob store is not adopted yet' }],
  ['STORE_UNBOUND', { status: 503, title: 'Blob store has no identity yet' }],
  ['REDIS_UNAVAILABLE', { status: 503, title: 'Redis is unavailable' }],
  ['STORAGE_FULL', { status: 507, title: 'Blob store is full' }],
]);

/** For a client, who can do nothing else about an outage. */
const TRY_AGAIN = 'try again; submissions with an Idempotency-Key are safe to repeat';

/** Titles of requests that Fastify itself refuses. */
const CLIENT_ERRORS: ReadonlyMap<number, { readonly code: string; readonly title: string }> = new Map([
  [404, { code: 'NOT_FOUND', title: 'No such route' }],
  [413, { code: 'BODY_TOO_LARGE', title: 'Request body is too large' }],
  [415, { code: 'UNSUPPORTED_MEDIA_TYPE', title: 'Unsupported media type' }],
]);

/** An error that a route reports on purpose. */
export class ApiError extends BlindfitError {
  /** HTTP status. */
  readonly status: number;
  readonly title: string;
  /** The blobs of a manifest that it is about. */
  readonly blobs: Problem['blobs'] | undefined;

  constructor(status: number, code: string, title: string, detail: string, hint?: string, blobs?: Problem['blobs']) {
    super(code, detail, { hint });
    this.status = status;
    this.title = title;
    this.blobs = blobs;
  }
}

/** What a client may have so many of, with the code of the answer (429) when there are more. */
const LIMITED = {
  requests: { code: 'TOO_MANY_REQUESTS' },
  streams: { code: 'TOO_MANY_STREAMS' },
  'large submissions': { code: 'TOO_MANY_SUBMISSIONS' },
  uploads: { code: 'TOO_MANY_UPLOADS' },
  refusals: { code: 'TOO_MANY_REFUSALS' },
} as const;
export type Limited = keyof typeof LIMITED;

export function tooMany(what: Limited, hint: string): ApiError {
  return new ApiError(
    429,
    LIMITED[what].code,
    `Too many ${what}`,
    `there are more ${what} than one client may have at a time`,
    hint,
  );
}

/** What a client is told about an error: of one that nothing foresaw, only that there was one. */
export function problemOf(error: unknown): Problem {
  if (error instanceof ApiError)
    return problem(error.status, error.code, error.title, error.message, error.hint, error.blobs);
  if (error instanceof BlindfitError) {
    const entry = CATALOGUE.get(error.code);
    if (entry !== undefined) {
      // The hints of these are for the operator, who finds them in the log and in /readyz.
      const hint = entry.status === 503 ? TRY_AGAIN : error.hint;
      return problem(entry.status, error.code, entry.title, error.message, hint);
    }
  } else if (isRedisAway(error)) {
    const outage = redisOutageOf(error);
    return problem(
      503,
      'REDIS_UNAVAILABLE',
      'Redis is unavailable',
      outage === undefined ? 'Redis did not answer in time' : `Redis cannot serve now: it answers ${outage}`,
      TRY_AGAIN,
    );
  } else if (error instanceof Error) {
    const { statusCode: status, validation } = error as Partial<FastifyError>;
    if (validation !== undefined) return problem(400, 'INVALID_REQUEST', 'Invalid request', error.message);
    if (status !== undefined && status >= 400 && status < 500) {
      const { code, title } = CLIENT_ERRORS.get(status) ?? { code: 'INVALID_REQUEST', title: 'Invalid request' };
      return problem(status, code, title, error.message);
    }
  }
  return problem(
    500,
    'INTERNAL',
    'Internal error',
    'The server ran into an error that it did not foresee.',
    'try again; the reason is in the log of the API',
  );
}

/** What a client sent must not come back at any length, nor fill the log. */
function shortened(text: string): string {
  return text.length <= MAX_DETAIL ? text : `${text.slice(0, MAX_DETAIL)}...`;
}

function problem(
  status: number,
  code: string,
  title: string,
  detail: string,
  hint?: string,
  blobs?: Problem['blobs'],
): Problem {
  const type = `urn:blindfit:problem:${code.toLowerCase().replaceAll('_', '-')}`;
  return defined<Problem>({ type, title, status, code, detail: shortened(detail), hint, blobs });
}

/** Why requests were refused, for the lines of their answers. */
export const REASONS = new WeakMap<FastifyRequest, { readonly code: string; readonly detail: string }>();

/** Fastify error handler: logs (5xx as errors, 4xx as information) and answers with a problem. */
export async function handleError(error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const answer = problemOf(error);
  if (request.raw.destroyed && !request.raw.complete)
    request.log.info({ reason: messageOf(error) }, 'the client went away');
  else if (answer.status === 503) request.log.warn({ code: answer.code, detail: answer.detail }, answer.title);
  else if (answer.status >= 500) request.log.error({ err: error, code: answer.code }, answer.title);
  else {
    const facts = { code: answer.code, status: answer.status, detail: answer.detail };
    // The line of the answer tells it, too.
    request.log.debug(facts, answer.title);
    REASONS.set(request, { code: answer.code, detail: answer.detail });
  }
  discardBody(request.raw);
  if (answer.status === 503) void reply.header('retry-after', String(RETRY_AFTER_S));
  await reply
    .code(answer.status)
    .type('application/problem+json')
    // Not through the schema of the route's success answer.
    .serializer((value) => JSON.stringify(value))
    .send(answer);
}

/** Answers every error and every unknown route below this instance with a problem. Call it on the root instance. */
export function useProblems(app: FastifyInstance): void {
  app.setErrorHandler(handleError);
  app.setNotFoundHandler((request, reply) =>
    handleError(
      new ApiError(
        404,
        'NOT_FOUND',
        'No such route',
        `${request.method} ${pathOf(request.url)} is not part of this API`,
      ),
      request,
      reply,
    ),
  );
}

/** Without the query, into which people put tokens. */
export function pathOf(url: string): string {
  return url.slice(0, 200).replace(/\?.*$/s, '');
}

/**
 * Takes in the rest of a body that is no longer wanted. Closing the connection at once would be cheaper, but the reset
 * it causes can overtake the answer, and the client would never learn what was wrong. A client that goes on sending for
 * longer than it takes to read the answer is cut off.
 */
function discardBody(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return;
  const timer = setTimeout(() => request.destroy(), LINGER_MS).unref();
  request.once('close', () => clearTimeout(timer));
  request.resume();
}
