/**
 * Entries of a job that goes on after a failure: what failed runs again, what is done stays done. Results are there by
 * their digests; one that the store has lost is computed again.
 */
import type { Job, Queue } from 'bullmq';
import { outageIn } from '@blindfit/base';
import type { TaskResult } from '@blindfit/protocol';
import type { ChainPayload, JobStore } from '@blindfit/queue';

/** Reasons that say that the job had ended when the entry was looked at, which it has not any more. */
const ENDED = /^(the task was cancelled|the job is [a-z]+)$/;
/** What BullMQ says of the parent of a failed entry. */
const CHILD = /^child .*:([^:]+) failed$/;

/** The parts of an entry of a queue that its revival needs. */
export type Revivable = Pick<
  Job,
  'failedReason' | 'finishedOn' | 'isFailed' | 'queueQualifiedName' | 'id' | 'retry'
> & {
  readonly queueName: string;
};

export interface RevivalDependencies {
  readonly jobs: Pick<JobStore, 'retriedAt'>;
  readonly tasks: Pick<Queue, 'getJob'>;
  /** Forgets which children of an entry have failed: BullMQ lets it wait for no others while it knows of some. */
  readonly forgetFailed: (entry: Pick<Job, 'queueQualifiedName' | 'id'>) => Promise<void>;
}

/**
 * Puts a failed entry back into its queue if its failure is over: it is from before a retry of its job, or only says
 * that the job had ended, or that Redis could not serve.
 * @returns false when the failure is one of the job
 */
export async function reviveIfOver(dependencies: RevivalDependencies, job: string, entry: Revivable): Promise<boolean> {
  const retriedAt = await dependencies.jobs.retriedAt(job);
  if (!(await isOver(dependencies, retriedAt, entry))) return false;
  await dependencies.forgetFailed(entry);
  await revive(entry, retriedAt !== undefined);
  return true;
}

/** Puts failed entries of tasks back into their queue. @param ids of entries, some of which may have failed */
export async function reviveTasks(tasks: Pick<Queue, 'getJob'>, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const entry = await tasks.getJob(id);
    if (entry !== undefined && (await entry.isFailed())) await revive(entry, true);
  }
}

/**
 * Has a segment of a chain compute again what the store has lost.
 * @param hasBlob whether the store holds a blob
 */
export async function dropLostResults(
  { tasks }: Pick<RevivalDependencies, 'tasks'>,
  hasBlob: (digest: string) => Promise<boolean>,
  entry: Pick<Job<ChainPayload>, 'data' | 'updateData' | 'getChildrenValues'>,
): Promise<void> {
  const { history } = entry.data;
  if (!(await areThere(hasBlob, history))) await entry.updateData({ ...entry.data, history: [] });
  await dropLostTasks({ tasks }, hasBlob, entry);
}

/** Has the tasks of an entry run again of which the store has lost a result. */
export async function dropLostTasks(
  { tasks }: Pick<RevivalDependencies, 'tasks'>,
  hasBlob: (digest: string) => Promise<boolean>,
  entry: Pick<Job, 'getChildrenValues'>,
): Promise<void> {
  const values = await entry.getChildrenValues<TaskResult>();
  for (const [key, { outputs }] of Object.entries(values)) {
    if (await areThere(hasBlob, outputs)) continue;
    const child = await tasks.getJob(key.slice(key.lastIndexOf(':') + 1));
    await child?.retry('completed', { resetAttemptsMade: true });
  }
}

async function areThere(hasBlob: (digest: string) => Promise<boolean>, digests: readonly string[]): Promise<boolean> {
  return (await Promise.all(digests.map(hasBlob))).every((isThere) => isThere);
}

async function isOver(
  { tasks }: Pick<RevivalDependencies, 'tasks'>,
  retriedAt: number | undefined,
  { failedReason, finishedOn }: Pick<Revivable, 'failedReason' | 'finishedOn'>,
): Promise<boolean> {
  if (retriedAt !== undefined && finishedOn !== undefined && finishedOn < retriedAt) return true;
  if (ENDED.test(failedReason) || outageIn(failedReason) !== undefined) return true;
  const child = CHILD.exec(failedReason)?.[1];
  if (child === undefined) return false;
  const entry = await tasks.getJob(child);
  return entry === undefined || !(await entry.isFailed()) || isOver({ tasks }, retriedAt, entry);
}

/** Another scheduler may be faster. */
async function revive(entry: Pick<Job, 'retry' | 'isFailed'>, isRetried: boolean): Promise<void> {
  try {
    await entry.retry('failed', { resetAttemptsMade: isRetried });
  } catch (error) {
    if (await entry.isFailed()) throw error;
  }
}
