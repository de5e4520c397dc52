/**
 * Every failure ends in the record of its job. Workers record the failures of their tasks. Here: failures of the
 * scheduler's own steps, entries that stalled too often, and what a comparison of records and queues finds.
 */
import { DelayedError, QueueEvents, UnrecoverableError, WaitingChildrenError, type Job } from 'bullmq';
import { BlindfitError, faultOf, messageWithHint, required } from '@blindfit/base';
import { TaskError } from '@blindfit/compute';
import {
  duplicate,
  jobOf,
  QUEUES,
  type Connection,
  type GivenBack,
  type JobStore,
  type Troubles,
} from '@blindfit/queue';
import { connectionErrors, patiently, type Intake } from '@blindfit/service';
import type { SchedulerMetrics } from './metrics.ts';
import { entryFailed, reconcile, type ReconcileDependencies } from './reconcile.ts';
import { judgeTroubles, type VerdictDependencies } from './verdicts.ts';

/** How often records are compared with the queues. */
const RECONCILE_MS = 15_000;

export interface FailureWatch {
  close(): Promise<void>;
}

/** What becomes of failures of steps. */
export interface FailureDependencies {
  readonly jobs: Pick<JobStore, 'fail'> & { readonly troubles: Pick<Troubles, 'giveBack'> };
  readonly metrics: Pick<SchedulerMetrics, 'jobEnded' | 'givenBack'>;
  readonly intake: Pick<Intake, 'closing' | 'stop' | 'stopFor'>;
  readonly isStoreRight: VerdictDependencies['isStoreRight'];
}

/** The parts of a BullMQ entry that its failure needs. */
export type FailedEntry = Pick<Job, 'id' | 'opts' | 'attemptsMade'> & GivenBack;

/**
 * What to throw for an entry that failed. One whose failure is not its own goes back to its queue as it was, and this
 * process takes no more for now. Homomorphic work that failed, and is not tried again, is recorded with its code and
 * its reason: the queue does not keep the two apart. The reason of every failure ends with its hint, which the queue
 * would drop.
 */
export async function failureOf(
  { jobs, metrics, intake, isStoreRight }: FailureDependencies,
  entry: FailedEntry,
  error: unknown,
): Promise<unknown> {
  if (error instanceof DelayedError || error instanceof WaitingChildrenError) return error;
  if (faultOf(error) !== 'task') {
    metrics.givenBack();
    // The right store may lack the blobs of one job; others go on.
    const lacksBlob = error instanceof BlindfitError && error.code === 'BLOB_NOT_FOUND' && (await isStoreRight());
    if (!lacksBlob) intake.stopFor(error);
    return jobs.troubles.giveBack(entry, error);
  }
  if (!(error instanceof TaskError))
    return error instanceof BlindfitError ? new Error(messageWithHint(error), { cause: error }) : error;
  const { attempts = 1 } = entry.opts;
  const isLast = entry.attemptsMade + 1 >= attempts;
  if (error.retryable && !isLast) return error;
  const id = required(entry.id, 'the id of the entry');
  const { code, message } = error;
  if (await patiently(intake, () => jobs.fail(jobOf(id), { code, message, task: id }))) metrics.jobEnded('failed');
  return new UnrecoverableError(error.message);
}

export function watchFailures(
  redis: Connection,
  prefix: string,
  dependencies: ReconcileDependencies & VerdictDependencies,
): FailureWatch {
  const ignore = connectionErrors(dependencies.logger, 'could not look at the queues; looking again later');
  const watchers = Object.values(QUEUES).map((name) => {
    // QueueEvents blocks its connection, and does not close one that it was given.
    const connection = duplicate(redis);
    connection.on('error', ignore);
    const events = new QueueEvents(name, { connection, prefix });
    events.on('error', ignore);
    events.on('failed', ({ jobId }) => void entryFailed(dependencies, name, jobId).catch(ignore));
    return { events, connection };
  });
  let isRunning = false;
  const run = async (): Promise<void> => {
    // With many jobs a comparison can take longer than the time to the next one.
    if (isRunning) return;
    isRunning = true;
    await reconcile(dependencies).catch(ignore);
    await judgeTroubles(dependencies).catch(ignore);
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
