/** Requests over undici. A bundle for browsers replaces this file by fetch-transport.ts (`browser` in package.json). */
import { Readable } from 'node:stream';
import { Agent, type Dispatcher, EnvHttpProxyAgent, errors, request } from 'undici';
import type { Answer } from './read.ts';

export interface Request {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Pieces of the body. */
  readonly body: Iterable<Uint8Array> | AsyncIterable<Uint8Array> | undefined;
  readonly signal: AbortSignal | undefined;
}

/** This machine is never behind a proxy. */
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

export class Transport {
  readonly #agent: Dispatcher;
  /** By way of HTTP_PROXY and HTTPS_PROXY, but for the hosts of NO_PROXY. */
  readonly #proxied: Dispatcher;

  /** @param idleMs milliseconds without a byte in either direction before a request fails */
  constructor(idleMs: number) {
    const options = { headersTimeout: idleMs, bodyTimeout: idleMs, connect: { timeout: 10_000 } };
    this.#agent = new Agent(options);
    this.#proxied = new EnvHttpProxyAgent(options);
  }

  /** Sends a request. @returns the answer, whose body follows */
  async send(url: string, { method, headers, body, signal }: Request): Promise<Answer> {
    return await request(url, {
      dispatcher: LOOPBACK.test(new URL(url).hostname) ? this.#agent : this.#proxied,
      method: method as 'GET',
      headers,
      body: body === undefined ? null : Readable.from(body, { objectMode: false }),
      signal: signal ?? null,
    });
  }

  /** Waits for running requests and closes idle connections. */
  async close(): Promise<void> {
    await Promise.all([this.#agent.close(), this.#proxied.close()]);
  }
}

/** Whether an error means that the request itself is wrong, so that no further attempt can mend it. */
export function isWrongRequest(error: unknown): boolean {
  return error instanceof errors.InvalidArgumentError;
}
