/**
 * Every failure ends in the record of its job. Workers record the failures of their tasks. Here: failures of the
 * scheduler's own steps, entries that stalled too often, and what a comparison of records and queues finds.
 */
import { QueueEvents, UnrecoverableError, type Job } from 'bullmq';
import { BlindfitError, messageWithHint, required } from '@blindfit/base';
import { TaskError } from '@blindfit/compute';
import { duplicate, jobOf, QUEUES, type Connection, type JobStore } from '@blindfit/queue';
import type { SchedulerMetrics } from './metrics.ts';
import { reconcile, recordFailure, type ReconcileDependencies } from './reconcile.ts';

/** How often records are compared with the queues. */
const RECONCILE_MS = 15_000;

export interface FailureWatch {
  close(): Promise<void>;
}

/**
 * What to throw for an entry that failed. Homomorphic work that failed, and is not tried again, is recorded with its
 * code and its reason: the queue does not keep the two apart. The reason of every failure ends with its hint, which the
 * queue would drop.
 */
export async function failureOf(
  jobs: Pick<JobStore, 'fail'>,
  metrics: Pick<SchedulerMetrics, 'jobEnded'>,
  entry: Pick<Job, 'id' | 'opts' | 'attemptsMade'>,
  error: unknown,
): Promise<unknown> {
  if (!(error instanceof TaskError))
    return error instanceof BlindfitError ? new Error(messageWithHint(error), { cause: error }) : error;
  const { attempts = 1 } = entry.opts;
  const isLast = entry.attemptsMade + 1 >= attempts;
  if (error.retryable && !isLast) return error;
  const id = required(entry.id, 'the id of the entry');
  if (await jobs.fail(jobOf(id), { code: error.code, message: error.message, task: id })) metrics.jobEnded('failed');
  return new UnrecoverableError(error.message);
}

export function watchFailures(redis: Connection, prefix: string, dependencies: ReconcileDependencies): FailureWatch {
  const ignore = (error: unknown): void =>
    dependencies.logger.warn({ err: error }, 'could not look at the queues; looking again later');
  const watchers = Object.values(QUEUES).map((name) => {
    // QueueEvents blocks its connection, and does not close one that it was given.
    const connection = duplicate(redis);
    connection.on('error', ignore);
    const events = new QueueEvents(name, { connection, prefix });
    events.on('error', ignore);
    events.on(
      'failed',
      ({ jobId, failedReason }) => void recordFailure(dependencies, jobOf(jobId), failedReason).catch(ignore),
    );
    return { events, connection };
  });
  let isRunning = false;
  const run = async (): Promise<void> => {
    // With many jobs a comparison can take longer than the time to the next one.
    if (isRunning) return;
    isRunning = true;
    await reconcile(dependencies).catch(ignore);
    isRunning = false;
  };
  void run();
  const timer = setInterval(() => void run(), RECONCILE_MS);
  return {
    async close() {
      clearInterval(timer);
      for (const { events, connection } of watchers) {
        await events.close();
        connection.disconnect();
      }
    },
  };
}
