/** Requests over fetch, for browsers: their own time-outs apply, and a body is sent as a whole. */
import { joined, type Answer } from './read.ts';
import type { Request } from './transport.ts';

export class Transport {
  async send(url: string, { method, headers, body, signal }: Request): Promise<Answer> {
    const parts: Uint8Array[] = [];
    for await (const part of body ?? []) parts.push(part);
    // A browser counts the bytes itself and refuses to be told.
    const { 'content-length': _, ...rest } = headers;
    const response = await fetch(url, {
      method,
      headers: rest,
      body: body === undefined ? null : (joined(parts) as Uint8Array<ArrayBuffer>),
      signal: signal ?? null,
      redirect: 'manual',
    });
    const answer = {
      statusCode: response.status,
      headers: Object.fromEntries(response.headers),
      body: new Body(response.body),
    };
    // Of undici's answer only these parts are used.
    return answer as unknown as Answer;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** fetch tells a wrong request from a broken connection by nothing that a program could read. */
export function isWrongRequest(): boolean {
  return false;
}

class Body implements AsyncIterable<Uint8Array> {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;

  constructor(stream: ReadableStream<Uint8Array> | null) {
    this.#reader = stream?.getReader();
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined> {
    const reader = this.#reader;
    return {
      next: async () => {
        const part = await reader?.read();
        return part === undefined || part.done ? { done: true, value: undefined } : { done: false, value: part.value };
      },
      return: async () => {
        await reader?.cancel();
        return { done: true, value: undefined };
      },
    };
  }

  async dump(): Promise<void> {
    await this.#reader?.cancel();
  }

  destroy(): void {
    void this.#reader?.cancel().catch(() => undefined);
  }
}
