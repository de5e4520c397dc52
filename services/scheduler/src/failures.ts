/**
 * Makes sure that whatever goes wrong ends in the job's record. Workers record the failures they see; what nobody sees
 * (an entry that stalled too often, a scheduler's own step, a submission cut off before it was queued) is found here.
 */
import { QueueEvents, UnrecoverableError, type Job } from 'bullmq';
import { TaskError } from '@blindfit/compute';
import { isFinal, JOB_STATES } from '@blindfit/protocol';
import {
  addSegment,
  duplicate,
  JOB_OPTIONS,
  jobOf,
  QUEUES,
  RUNNING,
  taskId,
  type Connection,
  type JobStore,
} from '@blindfit/queue';
import type { Logger } from '@blindfit/service';
import { finishJobIfDone } from './chain.ts';
import type { SchedulerMetrics } from './metrics.ts';
import type { JobDependencies } from './training-job.ts';

/** How often records are compared with the queues. */
const RECONCILE_MS = 15_000;
/** A submission is queued right after it is recorded; later than this it was cut off. */
const GRACE_MS = 5_000;

export interface FailureWatch {
  close(): Promise<void>;
}

/**
 * What to throw for a step that failed. Homomorphic work that failed for good is recorded with its code and its reason,
 * which the queue would not keep apart.
 */
export async function failureOf(
  jobs: JobStore,
  metrics: SchedulerMetrics,
  step: Job,
  error: unknown,
): Promise<unknown> {
  if (!(error instanceof TaskError)) return error;
  const last = step.attemptsMade + 1 >= (step.opts.attempts ?? 1);
  if (error.retryable && !last) return error;
  const id = step.id ?? '';
  if (await jobs.fail(jobOf(id), { code: error.code, message: error.message, task: id })) metrics.jobEnded('failed');
  return new UnrecoverableError(error.message);
}

export function watchFailures(
  redis: Connection,
  prefix: string,
  dependencies: JobDependencies & { readonly logger: Logger },
): FailureWatch {
  const { jobs, queue, chains, metrics, logger } = dependencies;
  const ignore = (error: unknown): void =>
    logger.warn({ err: error }, 'could not look at the queues; looking again later');
  const failed = async (id: string, reason: string): Promise<void> => {
    if (await jobs.fail(id, { code: 'JOB_FAILED', message: reason })) {
      metrics.jobEnded('failed');
      logger.error({ job: id, reason }, 'job failed');
    }
  };
  const watchers = Object.values(QUEUES).map((name) => {
    // QueueEvents blocks its connection, and does not close one that it was given.
    const connection = duplicate(redis);
    connection.on('error', ignore);
    const events = new QueueEvents(name, { connection, prefix });
    events.on('error', ignore);
    events.on('failed', ({ jobId, failedReason }) => void failed(jobOf(jobId), failedReason).catch(ignore));
    return { events, connection };
  });
  const reconcile = async (): Promise<void> => {
    for (const id of await jobs.index.inStates(JOB_STATES.filter((state) => !isFinal(state)))) {
      const view = await jobs.get(id);
      if (view === undefined || isFinal(view.state)) continue;
      const data = { job: view.id, manifest: view.manifest, ...(await jobs.traceOf(view.id)) };
      const entry = await queue.getJob(view.id);
      if (entry !== undefined && (await entry.isFailed())) await failed(view.id, entry.failedReason);
      else if (!(await jobs.isPlanned(view.id))) {
        if (entry !== undefined || Date.now() - Date.parse(view.createdAt) <= GRACE_MS) continue;
        await queue.add(QUEUES.jobs, data, { ...JOB_OPTIONS, jobId: view.id });
        logger.warn({ job: view.id }, 'a recorded job was not in the queue; added');
      } else {
        for (const [chain, record] of (await jobs.chains(view.id)).entries()) {
          if ((record?.phase ?? RUNNING) !== RUNNING) continue;
          const segment = await chains.getJob(taskId(view.id, 'chain', chain, record?.segment ?? 0));
          if (segment === undefined) {
            await addSegment(chains, data, chain, record);
            logger.warn({ job: view.id, chain }, 'a chain was not in the queue; added');
          } else if (await segment.isFailed()) {
            await failed(view.id, segment.failedReason);
          }
        }
        await finishJobIfDone(dependencies, data);
        const finish = await queue.getJob(taskId(view.id, 'finish'));
        if (finish !== undefined && (await finish.isFailed())) await failed(view.id, finish.failedReason);
      }
    }
  };
  let looking = false;
  const look = async (): Promise<void> => {
    // With many jobs a look may take longer than the time to the next.
    if (looking) return;
    looking = true;
    await reconcile().catch(ignore);
    looking = false;
  };
  void look();
  const timer = setInterval(() => void look(), RECONCILE_MS);
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
