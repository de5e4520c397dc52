import { Readable } from 'node:stream';
import { isFinal, type JobView } from '@blindfit/protocol';
import { SharedView, type SharedViews } from './shared-views.ts';

/** At most five events a second: people cannot read faster, and a job may have thousands of tasks. */
const MIN_INTERVAL_MS = 200;
/**
 * But a request for a refresh is what a job waits for: the record is looked at so often, and only such news is told at
 * once.
 */
const MIN_LOOK_MS = 40;
/** Announcements may get lost, with their connection or with Redis; a look at the record now and then repairs that. */
const POLL_MS = 2_000;
/** Proxies close what is silent, typically after a minute. */
const HEARTBEAT_MS = 15_000;
/** With more streams than this each is told less often, so that all of them together cost no more. */
const STREAMS_AT_FULL_PACE = 400;
/** A client that reads slower than this is spared the states in between. */
const MAX_BACKLOG_BYTES = 64 * 1024;

export interface JobEventsOptions {
  /** Number of the last event the client saw, so that numbers go on increasing when it connects again. @default 0 */
  lastEventId?: number;
  /** When aborted, the stream ends without an `end` event: the client shall connect again, to another instance. */
  closing: AbortSignal;
  /** Milliseconds between heartbeats. @default 15000 */
  heartbeatMs?: number | undefined;
}

/**
 * A job as server-sent events: `progress` with its view now and at each change, `end` when it is final. Every event
 * holds the whole state, so a client that was away has missed nothing that it needs. Destroying the stream stops
 * everything.
 *
 * @param first the view to begin with
 */
export function jobEvents(views: SharedViews, first: JobView, options: JobEventsOptions): Readable {
  const { id } = first;
  const stream = new Readable({ read: () => undefined });
  let event = options.lastEventId ?? 0;
  let shown = '';
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let reading = false;
  let changed = false;
  let lastRead = Date.now();
  let lastShown = 0;
  let asked = '';

  const emit = (name: string, data: string): void => {
    event += 1;
    stream.push(`id: ${event}\nevent: ${name}\ndata: ${data}\n\n`);
  };
  // Functions, because these change during waits, which the compiler does not see.
  const isStopped = (): boolean => stopped;
  const changedMeanwhile = (): boolean => changed;
  const finish = (): void => {
    stop();
    stream.push(null);
  };
  const show = (shared: SharedView): void => {
    const { view, content } = shared;
    if (content === shown || stream.readableLength > MAX_BACKLOG_BYTES) return;
    const asks = view.refreshes.map((request) => request.id).join();
    const urgent = isFinal(view.state) || (asks !== asked && asks !== '');
    const intervalMs = MIN_INTERVAL_MS * Math.max(1, views.streams / STREAMS_AT_FULL_PACE);
    if (!urgent && Date.now() < lastShown + intervalMs) {
      // The next look comes when it may be told; by then there may be more to tell.
      schedule(lastShown + intervalMs);
      return;
    }
    [shown, asked, lastShown] = [content, asks, Date.now()];
    emit('progress', shared.text);
    if (!isFinal(view.state)) return;
    emit('end', JSON.stringify({ id, state: view.state }));
    finish();
  };
  const refresh = async (): Promise<void> => {
    if (reading) {
      changed = true;
      return;
    }
    reading = true;
    changed = false;
    lastRead = Date.now();
    try {
      const shared = await views.get(id, POLL_MS / 2);
      if (isStopped()) return;
      // Redis came back without its data: connecting again will tell the client that the job is unknown.
      if (shared === undefined) finish();
      else show(shared);
    } catch {
      // Redis is away, which its connection logs. The next poll asks again.
    } finally {
      reading = false;
      if (changedMeanwhile()) schedule();
    }
  };
  let due = Infinity;
  /** Looks at the record at the time given, or earlier if that was said before. */
  const schedule = (at = lastRead + MIN_LOOK_MS): void => {
    if (stopped || at >= due) return;
    clearTimeout(timer);
    due = at;
    timer = setTimeout(
      () => {
        due = Infinity;
        void refresh();
      },
      Math.max(0, at - Date.now()),
    );
  };

  const unlisten = views.listen(id, () => schedule());
  const poll = setInterval(() => schedule(), POLL_MS);
  const heartbeat = setInterval(() => {
    if (stream.readableLength <= MAX_BACKLOG_BYTES) stream.push(': heartbeat\n\n');
  }, options.heartbeatMs ?? HEARTBEAT_MS);
  function stop(): void {
    stopped = true;
    unlisten();
    clearTimeout(timer);
    clearInterval(poll);
    clearInterval(heartbeat);
    options.closing.removeEventListener('abort', finish);
  }
  stream.once('close', stop);
  options.closing.addEventListener('abort', finish);

  stream.push('retry: 1000\n\n');
  show(new SharedView(first));
  if (options.closing.aborted) finish();
  // The record may have changed between the first view and the listening.
  if (!isStopped()) schedule();
  return stream;
}
