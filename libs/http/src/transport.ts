/** Requests over undici. A bundle for browsers replaces this file by fetch-transport.ts (`browser` in package.json). */
import { Readable } from 'node:stream';
import { Agent, errors, request } from 'undici';
import type { Answer } from './read.ts';

export interface Request {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Pieces of the body. */
  readonly body: Iterable<Uint8Array> | AsyncIterable<Uint8Array> | undefined;
  readonly signal: AbortSignal | undefined;
}

export class Transport {
  readonly #agent: Agent;

  /** @param idleMs milliseconds without a byte in either direction before a request fails */
  constructor(idleMs: number) {
    this.#agent = new Agent({ headersTimeout: idleMs, bodyTimeout: idleMs, connect: { timeout: 10_000 } });
  }

  /** Sends a request. @returns the answer, whose body follows */
  async send(url: string, { method, headers, body, signal }: Request): Promise<Answer> {
    return await request(url, {
      dispatcher: this.#agent,
      method: method as 'GET',
      headers,
      body: body === undefined ? null : Readable.from(body, { objectMode: false }),
      signal: signal ?? null,
    });
  }

  /** Waits for running requests and closes idle connections. */
  async close(): Promise<void> {
    await this.#agent.close();
  }
}

/** Whether an error means that the request itself is wrong, so that no further attempt can mend it. */
export function isWrongRequest(error: unknown): boolean {
  return error instanceof errors.InvalidArgumentError;
}
