/**
 * Compares the records of jobs with the queues: adds entries that are missing (a submission or an answer that was cut
 * off), and records failures that no other process recorded.
 */
import type { Queue } from 'bullmq';
import { isFinal, JOB_STATES } from '@blindfit/protocol';
import {
  addJob,
  addSegment,
  RUNNING,
  taskId,
  type ChainPayload,
  type JobPayload,
  type JobStore,
} from '@blindfit/queue';
import type { Logger } from '@blindfit/service';
import { finishJobIfDone } from './chain.ts';
import type { SchedulerMetrics } from './metrics.ts';

/** A submission is queued right after it is recorded. One that is older and not queued was cut off. */
const GRACE_MS = 5_000;

export interface ReconcileDependencies {
  readonly jobs: Pick<JobStore, 'chains' | 'fail' | 'get' | 'isNewer' | 'isPlanned' | 'traceOf' | 'turns'> & {
    readonly index: Pick<JobStore['index'], 'inStates'>;
  };
  readonly queue: Pick<Queue<JobPayload>, 'add' | 'getJob'>;
  readonly chains: Pick<Queue<ChainPayload>, 'add' | 'getJob'>;
  readonly metrics: Pick<SchedulerMetrics, 'jobEnded'>;
  readonly logger: Pick<Logger, 'debug' | 'warn'>;
}

/** Records that a job failed, once. */
export async function recordFailure(
  { jobs, metrics }: Pick<ReconcileDependencies, 'metrics'> & { readonly jobs: Pick<JobStore, 'fail'> },
  id: string,
  reason: string,
): Promise<void> {
  if (!(await jobs.fail(id, { code: 'JOB_FAILED', message: reason }))) return;
  metrics.jobEnded('failed');
}

/** All jobs that have not ended. */
export async function reconcile(dependencies: ReconcileDependencies): Promise<void> {
  const { jobs, logger } = dependencies;
  for (const id of await jobs.index.inStates(JOB_STATES.filter((state) => !isFinal(state)))) {
    try {
      await reconcileJob(dependencies, id);
    } catch (error) {
      // One job whose records are wrong must not keep the others from being looked at.
      logger.warn({ job: id, err: error }, 'a job could not be compared with the queues');
    }
  }
}

async function reconcileJob(dependencies: ReconcileDependencies, id: string): Promise<void> {
  const { jobs, queue, logger } = dependencies;
  const view = await jobs.get(id);
  if (view === undefined || isFinal(view.state) || (await jobs.isNewer(id))) return;
  const data = { job: view.id, manifest: view.manifest, ...(await jobs.traceOf(view.id)) };
  const entry = await queue.getJob(view.id);
  if (entry !== undefined && (await entry.isFailed())) {
    await recordFailure(dependencies, view.id, entry.failedReason);
  } else if (await jobs.isPlanned(view.id)) {
    await reconcileChains(dependencies, data);
  } else if (entry === undefined && Date.now() - Date.parse(view.createdAt) > GRACE_MS) {
    await addJob(queue, jobs.turns, data);
    logger.warn({ job: view.id }, 'a recorded job was not in the queue; added');
  }
}

async function reconcileChains(dependencies: ReconcileDependencies, data: JobPayload): Promise<void> {
  const { jobs, queue, chains, logger } = dependencies;
  for (const [chain, record] of (await jobs.chains(data.job)).entries()) {
    const { phase = RUNNING, segment = 0 } = record ?? {};
    if (phase !== RUNNING) continue;
    const entry = await chains.getJob(taskId(data.job, 'chain', chain, segment));
    if (entry === undefined) {
      await addSegment(chains, jobs.turns, data, chain, record);
      logger.warn({ job: data.job, chain }, 'a chain was not in the queue; added');
    } else if (await entry.isFailed()) {
      await recordFailure(dependencies, data.job, entry.failedReason);
    }
  }
  await finishJobIfDone(dependencies, data);
  const finish = await queue.getJob(taskId(data.job, 'finish'));
  if (finish !== undefined && (await finish.isFailed()))
    await recordFailure(dependencies, data.job, finish.failedReason);
}
