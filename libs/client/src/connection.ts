/** The connection to an API, whose answers become values or errors of this package. */
import { Connection, readBytes, StatusError, type Answer, type ConnectionOptions as HttpOptions } from '@blindfit/http';
import { ContractError, checker, ProblemSchema, type Problem } from '@blindfit/protocol';
import {
  ApiProblemError,
  ClientError,
  InvalidServerError,
  ServerUnreachableError,
  UnexpectedAnswerError,
} from './errors.ts';

/** Largest JSON answer that is read. Bytes. */
const MAX_JSON_BYTES = 64 * 2 ** 20;

export interface ConnectionOptions extends HttpOptions {
  /** Base URL of the API, e.g. `http://127.0.0.1:8080`. */
  readonly server: string;
}

const asProblem = checker('problem', ProblemSchema);

/** Calls throw ApiProblemError, UnexpectedAnswerError or ServerUnreachableError. */
export class ApiConnection extends Connection {
  /** @throws InvalidServerError */
  constructor({ server, ...options }: ConnectionOptions) {
    const base = baseOf(server);
    super(base, (failure, { path }, attempts) => explain(failure, base, path, attempts), options);
  }

  /** Reads a JSON answer and checks its shape. @throws UnexpectedAnswerError, AnswerTooLargeError */
  async json<T>(answer: Answer, path: string, check: (value: unknown) => T): Promise<T> {
    const text = new TextDecoder().decode(await readBytes(answer, MAX_JSON_BYTES));
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
}

function explain(failure: unknown, base: string, path: string, attempts: number): Error {
  if (failure instanceof ClientError) return failure;
  if (!(failure instanceof StatusError)) return new ServerUnreachableError(base, attempts, failure);
  const { status, location, text } = failure;
  const problem = problemIn(failure);
  // The hint of the API is for people who write requests by hand; users of the client have a variable to set.
  if (status === 401) {
    // Those of an identity provider have reasons and hints of their own.
    if (problem?.code.startsWith('TOKEN_') === true) return new ApiProblemError(problem);
    return new ApiProblemError({
      status,
      code: problem?.code ?? 'UNAUTHORIZED',
      title: problem?.title ?? 'Not authorized',
      detail: problem?.detail ?? 'the bearer token is missing or wrong',
      hint: 'set BLINDFIT_TOKEN to the token that the API was started with',
    });
  }
  if (problem !== undefined) return new ApiProblemError(problem);
  if (status >= 300 && status < 400 && location !== undefined) {
    const what = `it redirects to ${location}, and tokens are not sent after redirects`;
    return new UnexpectedAnswerError(base + path, status, what);
  }
  return new UnexpectedAnswerError(base + path, status, text === '' ? 'nothing more was said' : excerpt(text));
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

function problemIn({ text, type }: StatusError): Problem | undefined {
  if (!type.startsWith('application/problem+json')) return undefined;
  try {
    return asProblem(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function excerpt(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}...` : text);
}
