/** BullMQ's queues with the options every service must agree on. */
import { Queue, type JobsOptions } from 'bullmq';
import { defined } from '@blindfit/base';
import { PROTOCOL, type ChainHistory } from '@blindfit/protocol';
import type { ChainRecord } from './chain-record.ts';
import type { Connection } from './connection.ts';
import { QUEUES, taskId } from './names.ts';
import type { Turns } from './turns.ts';

/** What a job and a chain carry through the queue; the manifest is a blob. */
export interface JobPayload {
  readonly job: string;
  readonly manifest: string;
  /** The span of the request that submitted the job, where that was traced. */
  readonly traceparent?: string | undefined;
  /** In whose form the entry is. @default OLDEST_PROTOCOL */
  readonly protocol?: number | undefined;
}

/** One segment of one chain. `history` grows as it goes: where it goes on after a crash. */
export interface ChainPayload extends JobPayload, ChainHistory {
  readonly chain: number;
}

/**
 * A worker or scheduler that dies loses its locks after this long, and another takes over within the stalled check's
 * interval. The event loops never compute, so renewals (at half the time) are never late.
 */
export const LOCKS = { lockDuration: 8_000, stalledInterval: 3_000, maxStalledCount: 8 } as const;

/**
 * Workers of all queues have BullMQ count what is completed and failed; of the counts by minute nobody asks for more
 * than the last.
 */
export const QUEUE_METRICS = { maxDataPoints: 60 } as const;

/**
 * The last finished entries stay for a while, so that a step planned twice finds them; records outlive them. An entry
 * has some 2 kB, and a task that is computed twice counts once.
 */
const KEEP: JobsOptions = {
  removeOnComplete: { age: 3600, count: 2_000 },
  removeOnFail: { age: 24 * 3600, count: 5_000 },
};

/** Attempts of a task whose failure may pass (a store that is away); bad input fails at once. */
export const TASK_OPTIONS: JobsOptions = {
  ...KEEP,
  attempts: 4,
  backoff: { type: 'exponential', delay: 500 },
  failParentOnFailure: true,
};
export const JOB_OPTIONS: JobsOptions = { ...KEEP, attempts: 4, backoff: { type: 'exponential', delay: 500 } };

export function openQueue<Data>(name: keyof typeof QUEUES, connection: Connection, prefix: string): Queue<Data> {
  const queue = new Queue<Data>(QUEUES[name], { connection, prefix });
  // Its only errors are those of the connection, which logs them itself. Without a listener BullMQ prints each.
  queue.on('error', () => undefined);
  return queue;
}

/** Puts a job into the queue. Adding it twice adds it once. */
export async function addJob(
  queue: Pick<Queue<JobPayload>, 'add'>,
  turns: Pick<Turns, 'takeOne'>,
  data: JobPayload,
): Promise<void> {
  const priority = await turns.takeOne(QUEUES.jobs, data.job);
  await queue.add('job', { ...data, protocol: PROTOCOL }, { ...JOB_OPTIONS, jobId: data.job, priority });
}

/** Has a scheduler go on with a job that was retried. Adding it twice for one retry adds it once. */
export async function addRetry(
  queue: Pick<Queue<JobPayload>, 'add'>,
  turns: Pick<Turns, 'takeOne'>,
  data: JobPayload,
  retriedAt: number,
): Promise<void> {
  const jobId = taskId(data.job, 'retry', retriedAt);
  const priority = await turns.takeOne(QUEUES.jobs, jobId);
  await queue.add('retry', data, { ...JOB_OPTIONS, jobId, priority });
}

/** Puts a chain's next segment into the queue. Adding it twice adds it once. @param record none for the first one */
export async function addSegment(
  chains: Pick<Queue<ChainPayload>, 'add'>,
  turns: Pick<Turns, 'takeOne'>,
  { job, manifest, traceparent }: JobPayload,
  chain: number,
  record: ChainRecord | undefined,
): Promise<void> {
  const { segment = 0 } = record ?? {};
  const data = defined<ChainPayload>({
    job,
    manifest,
    protocol: PROTOCOL,
    traceparent,
    chain,
    segment,
    history: [],
    fresh: record?.fresh,
  });
  const jobId = taskId(job, 'chain', chain, segment);
  const priority = await turns.takeOne(QUEUES.chains, jobId);
  await chains.add('segment', data, { ...JOB_OPTIONS, jobId, priority });
}
