/** All jobs of a tenant as one stream of server-sent events. */
import { Readable } from 'node:stream';
import { isFinal, JOB_STATES } from '@blindfit/protocol';
import type { JobStore } from '@blindfit/queue';
import { type SharedView, type SharedViews } from './shared-views.ts';

/** Changes are looked at together, so often. Milliseconds. */
const LOOK_MS = 200;
/** Announcements may get lost; a look at the list of open jobs repairs that. Milliseconds. */
const POLL_MS = 10_000;
/** Proxies close what is silent, typically after a minute. */
const HEARTBEAT_MS = 15_000;
/** A client that reads slower than this gets the newest states when it has caught up. */
const MAX_BACKLOG_BYTES = 64 * 1024;
/** Open jobs that a stream begins with, the newest ones. */
const MAX_OPEN = 1000;
const OPEN_STATES = JOB_STATES.filter((state) => !isFinal(state));

export interface TenantEventsOptions {
  /** Whose jobs; those of all tenants when it is undefined. */
  readonly tenant: string | undefined;
  readonly lastEventId?: number;
  /** When aborted, the stream ends: the client shall connect again, to another instance. */
  readonly closing: AbortSignal;
  /** Milliseconds between heartbeats. @default 15000 */
  readonly heartbeatMs?: number | undefined;
}

/**
 * The open jobs of a tenant, each as `progress` with its view, then every job of the tenant that changes, at most five
 * times a second; `end` with id and state after the last view of each. The stream itself does not end.
 */
export function tenantEvents(
  views: SharedViews,
  jobs: { readonly index: Pick<JobStore['index'], 'inStates'> },
  { tenant, lastEventId = 0, closing, heartbeatMs = HEARTBEAT_MS }: TenantEventsOptions,
): Readable {
  const stream = new Readable({ read: () => undefined });
  /** Content that was told last, by job that has not ended. */
  const told = new Map<string, string>();
  const changed = new Set<string>();
  let event = lastEventId;
  let stopped = false;
  const isStopped = (): boolean => stopped;

  const emit = (name: string, data: string): void => {
    event += 1;
    stream.push(`id: ${event}\nevent: ${name}\ndata: ${data}\n\n`);
  };
  const show = (shared: SharedView): void => {
    const { view, content, text } = shared;
    if (tenant !== undefined && view.tenant !== tenant) return;
    if (told.get(view.id) === content) return;
    emit('progress', text);
    if (!isFinal(view.state)) {
      told.set(view.id, content);
      return;
    }
    told.delete(view.id);
    emit('end', JSON.stringify({ id: view.id, state: view.state }));
  };
  const look = async (): Promise<void> => {
    for (const id of [...changed]) {
      // What a client has not taken in is made when it has caught up.
      if (stream.readableLength > MAX_BACKLOG_BYTES) return;
      changed.delete(id);
      try {
        const shared = await views.get(id, POLL_MS / 2);
        if (isStopped()) return;
        if (shared !== undefined) show(shared);
      } catch {
        // Redis is away; the poll asks again.
        return;
      }
    }
  };
  const poll = async (): Promise<void> => {
    try {
      // What has ended without an announcement as well.
      for (const id of told.keys()) changed.add(id);
      for (const id of (await jobs.index.inStates(OPEN_STATES, MAX_OPEN, tenant)).reverse()) changed.add(id);
      if (!isStopped()) await look();
    } catch {
      // Redis is away; the next poll asks again.
    }
  };

  const unlisten = views.listen(undefined, (job) => changed.add(job));
  let looking: Promise<void> = poll();
  const every = (milliseconds: number, action: () => Promise<void>): NodeJS.Timeout =>
    setInterval(() => {
      // One after the other: a slow Redis must not pile looks up.
      looking = looking.then(() => (isStopped() ? undefined : action()));
    }, milliseconds);
  const timers = [
    every(LOOK_MS, look),
    every(POLL_MS, poll),
    setInterval(() => {
      if (stream.readableLength <= MAX_BACKLOG_BYTES) stream.push(': heartbeat\n\n');
    }, heartbeatMs),
  ];
  const stop = (): void => {
    stopped = true;
    unlisten();
    timers.forEach(clearInterval);
    closing.removeEventListener('abort', finish);
  };
  const finish = (): void => {
    stop();
    stream.push(null);
  };
  stream.once('close', stop);
  closing.addEventListener('abort', finish);
  stream.push('retry: 1000\n\n');
  if (closing.aborted) finish();
  return stream;
}
