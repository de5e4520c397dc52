/** BullMQ's queues with the options every service must agree on. */
import { Queue, type JobsOptions } from 'bullmq';
import type { Redis } from 'ioredis';
import { QUEUES } from './names.ts';

/** What a job and a chain carry through the queue; the manifest is a blob. */
export interface JobData {
  readonly job: string;
  readonly manifest: string;
}

export interface ChainData extends JobData {
  readonly pair: number;
  /** By shard, when the start is a constant: results of the `start` tasks. */
  readonly scores?: readonly string[];
  /** Packed M_1 ... M_t so far: where the chain goes on after a crash. */
  readonly history: readonly string[];
}

/**
 * A worker or scheduler that dies loses its locks after this long, and another takes over within the stalled check's
 * interval. The event loops never compute, so renewals (at half the time) are never late.
 */
export const LOCKS = { lockDuration: 8_000, stalledInterval: 3_000, maxStalledCount: 8 } as const;

/** Finished entries stay for a while, so that a step planned twice finds them; records outlive them. */
const KEEP: JobsOptions = { removeOnComplete: { age: 3600, count: 20_000 }, removeOnFail: { age: 24 * 3600, count: 5_000 } };

/** Attempts of a task whose failure may pass (a store that is away); bad input fails at once. */
export const TASK_OPTIONS: JobsOptions = { ...KEEP, attempts: 4, backoff: { type: 'exponential', delay: 500 }, failParentOnFailure: true };
export const CHAIN_OPTIONS: JobsOptions = { ...KEEP, attempts: 4, backoff: { type: 'exponential', delay: 500 }, failParentOnFailure: true };
export const JOB_OPTIONS: JobsOptions = { ...KEEP, attempts: 4, backoff: { type: 'exponential', delay: 500 } };

export function openQueue<Data>(name: keyof typeof QUEUES, connection: Redis, prefix: string): Queue<Data> {
  return new Queue<Data>(QUEUES[name], { connection, prefix });
}
