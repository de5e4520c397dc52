/** The protocol number of entries: releases that work side by side leave to the newer ones what they cannot read. */
import { DelayedError, type Job } from 'bullmq';
import { Counter, type Registry } from 'prom-client';
import { OLDEST_PROTOCOL, PROTOCOL } from '@blindfit/protocol';
import { QUEUES } from './names.ts';

/** An entry that is newer than its reader is offered again after this time. Milliseconds. */
const NEWER_MS = 2_000;

type Entry = Pick<Job<unknown>, 'name' | 'data'>;

/**
 * The name of an entry for workers. It holds the number because releases before 2 refuse a task with a field that they
 * do not know, and read no names.
 */
export function taskName(protocol: number): string {
  return `${QUEUES.tasks}/${protocol}`;
}

/** The number in which an entry is written. */
export function protocolOf({ name, data }: Entry): number {
  const [, ofTask] = name.split('/');
  const { protocol } = (data ?? {}) as { readonly protocol?: unknown };
  const number = Number(protocol ?? ofTask ?? OLDEST_PROTOCOL);
  return Number.isSafeInteger(number) ? number : OLDEST_PROTOCOL;
}

/**
 * Gives back an entry that is newer than this release. That uses up no try.
 * @throws DelayedError when it was given back, which tells BullMQ so
 */
export async function giveBackNewer(
  entry: Entry & Pick<Job<unknown>, 'moveToDelayed'>,
  token: string | undefined,
  onGivenBack: (protocol: number) => void,
): Promise<void> {
  const protocol = protocolOf(entry);
  if (protocol <= PROTOCOL) return;
  await entry.moveToDelayed(Date.now() + NEWER_MS, token);
  onGivenBack(protocol);
  throw new DelayedError(`the entry is of protocol ${protocol}; this release reads up to ${PROTOCOL}`);
}

/** Counts what {@link giveBackNewer} gave back. */
export function newerEntriesCounter(registry: Registry, queues: readonly (keyof typeof QUEUES)[]): Counter<'queue'> {
  const counter = new Counter({
    name: 'blindfit_newer_entries_total',
    help: 'Entries of queues that were given back because a newer release wrote them.',
    labelNames: ['queue'],
    registers: [registry],
  });
  for (const queue of queues) counter.inc({ queue: QUEUES[queue] }, 0);
  return counter;
}
