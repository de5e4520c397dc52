import { BlindfitError, messageOf } from '@blindfit/base';
import { isUntrusted } from '@blindfit/http';
import type { Problem } from '@blindfit/protocol';

/** Base of the errors that the client throws on purpose. */
export class ClientError extends BlindfitError {}

/** The API answered with a problem (RFC 9457); `code`, `detail` and `hint` are the API's own. */
export class ApiProblemError extends ClientError {
  /** HTTP status. */
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  /** The blobs of a manifest that are missing or do not fit, where that is the problem. */
  readonly blobs: Problem['blobs'];

  constructor(problem: Omit<Problem, 'type'>) {
    super(problem.code, `${problem.title}: ${problem.detail}`, {
      hint: problem.hint,
      fault: problem.status === 503 || problem.status === 507 ? 'world' : 'task',
    });
    this.status = problem.status;
    this.title = problem.title;
    this.detail = problem.detail;
    this.blobs = problem.blobs;
  }
}

/** `SERVER_UNREACHABLE`: no connection, or one that broke, on every attempt. */
export class ServerUnreachableError extends ClientError {
  readonly url: string;

  constructor(url: string, attempts: number, cause: unknown) {
    const tries = attempts === 1 ? '' : ` (${attempts} attempts)`;
    super('SERVER_UNREACHABLE', `the Blindfit API at ${url} cannot be reached${tries}: ${networkReason(cause)}`, {
      hint: isUntrusted(cause)
        ? 'if an authority of your own has signed the certificate of the API, set NODE_EXTRA_CA_CERTS to the file ' +
          'with the certificate of that authority; else do not trust this server'
        : 'check the address (`server` or BLINDFIT_SERVER) and that the API is running; ' +
          '"blindfit up" starts one on this machine',
      retryable: !isUntrusted(cause),
      fault: isUntrusted(cause) ? 'host' : 'world',
      cause,
    });
    this.url = url;
  }
}

/** `UNEXPECTED_ANSWER`: something answered, but not as a Blindfit API of this version does. */
export class UnexpectedAnswerError extends ClientError {
  /** HTTP status. */
  readonly status: number;

  constructor(url: string, status: number, what: string, cause?: unknown) {
    super('UNEXPECTED_ANSWER', `${url} answered ${status}: ${what}`, {
      hint: 'check that the address (`server` or BLINDFIT_SERVER) is that of a Blindfit API of the same version',
      cause,
    });
    this.status = status;
  }
}

/** `RESULT_DAMAGED`: the bytes of a model are not those the job's record names. */
export class ResultDamagedError extends ClientError {
  constructor(job: string, model: number, expected: string, actual: string) {
    super('RESULT_DAMAGED', `model ${model} of ${job} hashes to ${actual}, not to ${expected} as its record says`, {
      hint: 'try again; if it stays, the blob store of the server is damaged',
      retryable: true,
    });
  }
}

/** `INVALID_SERVER`: the address cannot be that of an API. */
export class InvalidServerError extends ClientError {
  constructor(reason: string) {
    super('INVALID_SERVER', `the address of the API cannot be used: ${reason}`, {
      hint: 'write it as http://HOST:PORT or https://HOST',
    });
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there (ECONNREFUSED)',
  ENOTFOUND: 'there is no such host (ENOTFOUND)',
  EAI_AGAIN: 'the host name could not be looked up (EAI_AGAIN)',
  ECONNRESET: 'the connection was cut (ECONNRESET)',
  UND_ERR_SOCKET: 'the connection was cut',
  UND_ERR_CONNECT_TIMEOUT: 'no connection came about in time',
  UND_ERR_HEADERS_TIMEOUT: 'no answer came in time',
  UND_ERR_BODY_TIMEOUT: 'the answer stopped in the middle',
};

/** A network failure in words. Node's error for a name with several addresses has no message, only a code. */
function networkReason(cause: unknown): string {
  if (!(cause instanceof Error)) return messageOf(cause);
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  return REASONS[code] ?? (cause.message === '' ? code : cause.message);
}
