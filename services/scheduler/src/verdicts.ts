/**
 * What becomes of entries that were given back again and again: a failure that no host escapes is the task's after all.
 * Without this a job whose blob is lost would wait for ever.
 */
import { isFinal } from '@blindfit/protocol';
import { jobOf, type JobStore, type Trouble, type Troubles } from '@blindfit/queue';
import type { Logger } from '@blindfit/service';
import type { SchedulerMetrics } from './metrics.ts';

export interface VerdictDependencies {
  readonly jobs: Pick<JobStore, 'fail' | 'get'> & { readonly troubles: Pick<Troubles, 'all' | 'clearJobs'> };
  /** Has what is left of a job that has ended leave the queues. */
  readonly promoteDelayed: (job: string) => Promise<void>;
  /** Whether the scheduler's own store holds a blob. */
  readonly hasBlob: (digest: string) => Promise<boolean>;
  /** Whether that store is the right one and can be reached. */
  readonly isStoreRight: () => Promise<boolean>;
  readonly metrics: Pick<SchedulerMetrics, 'jobEnded'>;
  readonly logger: Pick<Logger, 'warn' | 'error'>;
}

/** A blob that was not found is looked for again after so long: it may have been on its way. Milliseconds. */
const BLOB_MS = 10_000;
/** Failures by which a task ends threads, wherever it runs. */
const ENDS_THREADS: ReadonlySet<string> = new Set(['THREAD_LOST', 'HE_SEAL_CRASHED']);
/** As many hosts, or as many times on fewer, say that it is the task. */
const HOSTS = { hosts: 3, times: 4, timesOnFewer: 12 };

/** Looks at all troubles, and ends the jobs of those that no host can mend. */
export async function judgeTroubles(dependencies: VerdictDependencies, now = Date.now()): Promise<void> {
  const { jobs, metrics, logger, promoteDelayed } = dependencies;
  const over = new Set<string>();
  for (const [entry, trouble] of await jobs.troubles.all()) {
    const id = jobOf(entry);
    const view = await jobs.get(id);
    if (view === undefined || isFinal(view.state)) {
      over.add(id);
      continue;
    }
    const message = await verdictOf(dependencies, trouble, view.manifest, now);
    if (message === undefined) continue;
    over.add(id);
    if (!(await jobs.fail(id, { code: trouble.code, message, task: entry }))) continue;
    metrics.jobEnded('failed');
    logger.error({ job: id, task: entry, reason: message }, 'job failed');
  }
  for (const job of over) await promoteDelayed(job);
  if (over.size > 0) await jobs.troubles.clearJobs(over);
}

/** Why it is the task's fault; undefined while it may be that of hosts. */
async function verdictOf(
  { hasBlob, isStoreRight }: VerdictDependencies,
  { code, message, blob, hosts, count, since }: Trouble,
  manifest: string,
  now: number,
): Promise<string | undefined> {
  if (ENDS_THREADS.has(code)) {
    const tried = hosts.length >= HOSTS.hosts ? HOSTS.times : HOSTS.timesOnFewer;
    return count < tried ? undefined : `${count} threads on ${hosts.length} hosts ended over it: ${message}`;
  }
  if (blob === undefined || now - since < BLOB_MS || !(await isStoreRight()) || (await hasBlob(blob))) return undefined;
  if (blob !== manifest && !(await hasBlob(manifest))) return undefined;
  const hint = 'upload it again, or run "blindfit retry"';
  return `${blob} is lost: the store of the scheduler does not hold it either; ${hint}`;
}
