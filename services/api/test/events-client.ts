import assert from 'node:assert/strict';
import { valueOf } from '@blindfit/base';
import type { JobView } from '@blindfit/protocol';
import { BEARER } from './service.ts';

export interface ServerEvent {
  /** `heartbeat` for a comment, else the name of the event. */
  name: string;
  id: number;
  data: JobView;
}

/** A client of an event stream that does not connect again by itself. */
export class EventsClient {
  readonly response: Response;
  readonly #aborter: AbortController;
  readonly #events: AsyncGenerator<ServerEvent>;

  private constructor(response: Response, aborter: AbortController) {
    this.response = response;
    this.#aborter = aborter;
    this.#events = parse(response);
  }

  static async open(url: string, headers: Record<string, string> = {}): Promise<EventsClient> {
    const aborter = new AbortController();
    const response = await fetch(url, { headers: { ...BEARER, ...headers }, signal: aborter.signal });
    assert.equal(response.status, 200, `${response.status}`);
    return new EventsClient(response, aborter);
  }

  /** The next event; undefined when the stream is over. Fails after ten seconds without one. */
  async next(): Promise<ServerEvent | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('no event for ten seconds')), 10_000);
    });
    try {
      const result = await Promise.race([this.#events.next(), late]);
      return result.done === true ? undefined : result.value;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Reads until a progress event satisfies the condition. */
  async until(condition: (view: JobView) => boolean): Promise<ServerEvent> {
    for (;;) {
      const event = await this.next();
      assert.ok(event !== undefined, 'the stream ended');
      if (event.name === 'progress' && condition(event.data)) return event;
    }
  }

  disconnect(): void {
    this.#aborter.abort();
  }
}

async function* parse(response: Response): AsyncGenerator<ServerEvent> {
  assert.ok(response.body);
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true });
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const fields = new Map(
        text
          .slice(0, end)
          .split('\n')
          .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()] as const),
      );
      text = text.slice(end + 2);
      if (fields.has('retry')) continue;
      if (fields.has('')) yield { name: 'heartbeat', id: 0, data: {} as JobView };
      else
        yield {
          name: valueOf(fields, 'event', 'fields'),
          id: Number(fields.get('id')),
          data: JSON.parse(valueOf(fields, 'data', 'fields')) as JobView,
        };
    }
  }
}
