/**
 * Compares the records of jobs with the queues: adds entries that are missing (a submission or an answer that was cut
 * off), and records failures that no other process recorded.
 */
import type { Queue } from 'bullmq';
import { isFinal, JOB_STATES } from '@blindfit/protocol';
import {
  addJob,
  addRetry,
  addSegment,
  RUNNING,
  jobOf,
  QUEUES,
  taskId,
  type ChainPayload,
  type ChainRecord,
  type JobPayload,
  type JobStore,
} from '@blindfit/queue';
import type { Logger } from '@blindfit/service';
import type { Admission, Applicant } from './admission.ts';
import { finishJobIfDone } from './chain.ts';
import type { SchedulerMetrics } from './metrics.ts';
import { assertNotEnded } from './not-ended.ts';
import { dropLostResults, dropLostTasks, reviveIfOver, type RevivalDependencies, type Revivable } from './revive.ts';

/** A submission is queued right after it is recorded. One that is older and not queued was cut off. */
const GRACE_MS = 5_000;

export interface RetryDependencies {
  readonly admission: Pick<Admission, 'start'>;
  readonly hasBlob: (digest: string) => Promise<boolean>;
}

export interface ReconcileDependencies extends RevivalDependencies {
  readonly jobs: RevivalDependencies['jobs'] &
    Pick<JobStore, 'state' | 'chains' | 'fail' | 'get' | 'isNewer' | 'isPlanned' | 'traceOf' | 'turns'> & {
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

/** What becomes of a job that has not ended and has a failed entry: the entry runs again, or the job fails. */
async function settleFailure(dependencies: ReconcileDependencies, id: string, entry: Revivable): Promise<void> {
  if (!(await reviveIfOver(dependencies, id, entry))) await recordFailure(dependencies, id, entry.failedReason);
}

/** Settles the failure of an entry by its queue and its id. */
export async function entryFailed(dependencies: ReconcileDependencies, queue: string, id: string): Promise<void> {
  const job = jobOf(id);
  const state = await dependencies.jobs.state(job);
  if (state === undefined || isFinal(state)) return;
  const { queue: jobs, chains, tasks } = dependencies;
  const entry = await (queue === QUEUES.jobs ? jobs : queue === QUEUES.chains ? chains : tasks).getJob(id);
  if (entry !== undefined && (await entry.isFailed())) await settleFailure(dependencies, job, entry);
}

/** Goes on with a job that was retried, once it may run again. */
export async function runRetry(
  dependencies: ReconcileDependencies & RetryDependencies,
  entry: Applicant,
  token: string,
): Promise<void> {
  const { jobs, queue, chains, admission, hasBlob } = dependencies;
  const { job } = entry.data;
  if ((await assertNotEnded(jobs, job)) === 'queued') await admission.start(entry, token);
  const first = await queue.getJob(job);
  if (first !== undefined && (await first.isFailed())) await dropLostTasks(dependencies, hasBlob, first);
  for (const { id } of await runningSegments(jobs, job)) {
    const failed = await chains.getJob(id);
    if (failed !== undefined && (await failed.isFailed())) await dropLostResults(dependencies, hasBlob, failed);
  }
  await reconcileJob(dependencies, job);
}

async function reconcileJob(dependencies: ReconcileDependencies, id: string): Promise<void> {
  const { jobs, queue, logger } = dependencies;
  const view = await jobs.get(id);
  if (view === undefined || isFinal(view.state) || (await jobs.isNewer(id))) return;
  const data = { job: view.id, manifest: view.manifest, ...(await jobs.traceOf(view.id)) };
  const retriedAt = view.state === 'queued' ? await jobs.retriedAt(id) : undefined;
  // It waits for its turn.
  if (retriedAt !== undefined) return addRetry(queue, jobs.turns, data, retriedAt);
  const entry = await queue.getJob(view.id);
  if (entry !== undefined && (await entry.isFailed())) {
    await settleFailure(dependencies, view.id, entry);
  } else if (await jobs.isPlanned(view.id)) {
    await reconcileChains(dependencies, data);
  } else if (entry === undefined && Date.now() - Date.parse(view.createdAt) > GRACE_MS) {
    await addJob(queue, jobs.turns, data);
    logger.warn({ job: view.id }, 'a recorded job was not in the queue; added');
  }
}

/** The chains that neither wait for their owner nor are done, with the ids of the entries of their segments. */
async function runningSegments(
  jobs: Pick<JobStore, 'chains'>,
  job: string,
): Promise<{ chain: number; record: ChainRecord | undefined; id: string }[]> {
  return (await jobs.chains(job)).flatMap((record, chain) => {
    const { phase = RUNNING, segment = 0 } = record ?? {};
    return phase === RUNNING ? [{ chain, record, id: taskId(job, 'chain', chain, segment) }] : [];
  });
}

async function reconcileChains(dependencies: ReconcileDependencies, data: JobPayload): Promise<void> {
  const { jobs, queue, chains, logger } = dependencies;
  for (const { chain, record, id } of await runningSegments(jobs, data.job)) {
    const entry = await chains.getJob(id);
    if (entry === undefined) {
      await addSegment(chains, jobs.turns, data, chain, record);
      logger.warn({ job: data.job, chain }, 'a chain was not in the queue; added');
    } else if (await entry.isFailed()) {
      await settleFailure(dependencies, data.job, entry);
    }
  }
  await finishJobIfDone(dependencies, data);
  const finish = await queue.getJob(taskId(data.job, 'finish'));
  if (finish !== undefined && (await finish.isFailed())) await settleFailure(dependencies, data.job, finish);
}
