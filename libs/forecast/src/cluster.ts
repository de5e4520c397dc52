/** What surrounds the computing: queue, store and the owner's line. */

export interface Cluster {
  /** Compute threads of all workers together. */
  readonly threads: number;
  /** Threads of all schedulers for additions and constants. */
  readonly schedulerThreads: number;
  /** Between a compute thread and the blob store, per blob and per byte; none where the store is a local directory. */
  readonly store: Link;
  /** Between the owner and the API. */
  readonly owner: Link;
  /** Workers, schedulers and the owner compute on the same cores. */
  readonly shared: boolean;
}

export interface Link {
  /** Seconds of a round trip. */
  readonly latency: number;
  readonly bytesPerSecond: number;
}

/** As `stack.ts` starts schedulers: additions are a small part of the work. */
const WORKERS_PER_SCHEDULER = 8;

/** Everything on one machine: files for a store, and an owner next to it. */
export function localCluster(threads: number): Cluster {
  const link = { latency: 0.002, bytesPerSecond: 300e6 };
  return {
    threads,
    schedulerThreads: schedulersFor(threads),
    store: { latency: 0, bytesPerSecond: Infinity },
    owner: link,
    shared: true,
  };
}

/**
 * Machines in one network of 1 Gbit/s to a thread's store, and an owner elsewhere.
 * @param ownerBytesPerSecond either way
 */
export function remoteCluster(threads: number, ownerBytesPerSecond: number): Cluster {
  return {
    threads,
    schedulerThreads: schedulersFor(threads),
    store: { latency: 0.001, bytesPerSecond: 125e6 },
    owner: { latency: 0.02, bytesPerSecond: ownerBytesPerSecond },
    shared: false,
  };
}

function schedulersFor(threads: number): number {
  return Math.max(1, Math.ceil(threads / WORKERS_PER_SCHEDULER));
}

export function transferSeconds({ latency, bytesPerSecond }: Link, bytes: number): number {
  return latency + bytes / bytesPerSecond;
}

/**
 * BullMQ and Redis, in seconds, measured on the stack of one machine (medians of the records of a job's tasks):
 * - `task`: how long a worker is held beyond its task: the job's state, the record, completion and the next task;
 * - `wake`: from the end of the last child to the parent's running on, and from there to its children's being taken up;
 * - `child`: to add one child;
 * - `step`: records after a step;
 * - `notify`: until the owner hears of a request; events come every 200 ms at most (services/api: job-events.ts);
 * - `refresh`: checks of the answer, and the next segment's way through the queue.
 */
export const QUEUE = { task: 0.004, wake: 0.006, child: 0.0002, step: 0.004, notify: 0.1, refresh: 0.03 } as const;
