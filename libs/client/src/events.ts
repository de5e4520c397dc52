/** A job's progress as it happens, over server-sent events, however often the connection breaks. */
import { createParser } from 'eventsource-parser';
import { transient, TransientError, type Answer, type Call } from '@blindfit/http';
import { isFinal, type JobView } from '@blindfit/protocol';
import type { ApiConnection } from './connection.ts';
import { UnexpectedAnswerError } from './errors.ts';

/** Longest event that is taken in. Characters. */
const MAX_EVENT = 16 * 2 ** 20;
/**
 * How long a stream waits for an absent server when its connection has no patience of its own, and at most for one that
 * has never answered. Milliseconds.
 */
const EVENTS_PATIENCE_MS = 300_000;

export interface EventsOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long to wait for an absent server, in milliseconds. @default that of the connection, or 300000 */
  readonly patienceMs?: number | undefined;
  /** Called when the connection is lost and when it is back, for a message to the user. */
  readonly onConnection?: ((connected: boolean, reason?: Error) => void) | undefined;
}

interface ServerEvent {
  readonly id: string | undefined;
  readonly name: string;
  readonly data: string;
}

/**
 * Every change of a job until it is final, beginning with its state. Reconnects with `Last-Event-ID`, waiting longer
 * from attempt to attempt. Ends after the first view whose state is final.
 *
 * @throws ApiProblemError (no such job, wrong token), ServerUnreachableError after `patienceMs`; the signal's reason
 */
export async function* jobEvents(
  connection: ApiConnection,
  path: string,
  check: (value: unknown) => JobView,
  current: () => Promise<JobView>,
  options: EventsOptions = {},
): AsyncGenerator<JobView, void> {
  const { signal, patienceMs = connection.patienceMs || EVENTS_PATIENCE_MS } = options;
  let [lastId, lastData] = ['', ''];
  let failures = 0;
  let downSince: number | undefined;
  for (;;) {
    const headers = { accept: 'text/event-stream', ...(lastId !== '' && { 'last-event-id': lastId }) };
    const call: Call = { method: 'GET', path, headers, accept: [200], signal };
    try {
      const answer = await connection.open(call);
      for await (const event of eventsOf(connection, path, answer, signal)) {
        if (downSince !== undefined) options.onConnection?.(true);
        connection.answers();
        [failures, downSince] = [0, undefined];
        if (event === undefined) continue;
        if (event.id !== undefined) lastId = event.id;
        if (event.name === 'end') {
          const view = await current();
          // A server that goes down ends its streams too.
          if (!isFinal(view.state)) break;
          yield view;
          return;
        }
        // After a reconnection the server starts with the last view again.
        if (event.name !== 'progress' || event.data === lastData) continue;
        lastData = event.data;
        const view = parse(connection, path, event.data, check);
        yield view;
        if (isFinal(view.state)) return;
      }
      throw new TransientError(new Error('the stream of events ended early'));
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      const now = Date.now();
      if (downSince === undefined) options.onConnection?.(false, connection.explain(error, call, 1));
      downSince ??= now;
      failures++;
      if (failures > 1) connection.failsBy(error, call, failures);
      const patience = connection.hasAnswered ? patienceMs : Math.min(patienceMs, EVENTS_PATIENCE_MS);
      if (connection.closed || now - downSince >= patience) throw connection.explain(error, call, failures);
      await connection.wait(failures, signal);
    }
  }
}

/** The events of one answer; undefined for any other sign of life. */
async function* eventsOf(
  connection: ApiConnection,
  path: string,
  answer: Answer,
  signal?: AbortSignal,
): AsyncGenerator<ServerEvent | undefined, void> {
  const type = answer.headers['content-type'];
  if (typeof type !== 'string' || !type.startsWith('text/event-stream')) {
    await answer.body.dump();
    throw new UnexpectedAnswerError(
      connection.base + path,
      answer.statusCode,
      `not a stream of events but ${String(type)}`,
    );
  }
  const ready: ServerEvent[] = [];
  const parser = createParser({
    maxBufferSize: MAX_EVENT,
    onEvent: ({ id, event, data }) => void ready.push({ id, name: event ?? 'message', data }),
  });
  const decoder = new TextDecoder();
  const body = answer.body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array, undefined>;
  try {
    for (;;) {
      const part = await transient(() => body.next(), signal);
      if (part.done === true) return;
      parser.feed(decoder.decode(part.value, { stream: true }));
      yield undefined;
      yield* ready.splice(0);
    }
  } finally {
    answer.body.destroy();
  }
}

function parse(connection: ApiConnection, path: string, data: string, check: (value: unknown) => JobView): JobView {
  try {
    return check(JSON.parse(data));
  } catch (error) {
    throw new UnexpectedAnswerError(
      connection.base + path,
      200,
      error instanceof Error ? error.message : String(error),
      error,
    );
  }
}
