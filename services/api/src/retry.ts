import { BlobNotFoundError } from '@blindfit/blobs';
import type { JobView } from '@blindfit/protocol';
import { addRetry } from '@blindfit/queue';
import { checkBlobs } from './check-blobs.ts';
import { outcomeOf } from './outcome.ts';
import { ApiError } from './problems.ts';
import { assertMaySubmit } from './quotas.ts';
import type { RefreshDependencies } from './refresh.ts';
import { assertOpen, type SubmissionDependencies } from './submit.ts';

/**
 * Lets a failed job go on from its last finished step. It computes the same bytes again, so its owner need not sign.
 * @throws {ApiError} 409 when the job has not failed, 422 when its blobs are gone, and as a submission for what its
 *   tenant may use
 */
export async function retryJob(
  { store, jobs, tenants, queue, plans }: SubmissionDependencies & Pick<RefreshDependencies, 'plans'>,
  job: JobView,
): Promise<JobView> {
  if (job.state !== 'failed') throw notFailed(job);
  await assertOpen(jobs);
  await assertMaySubmit(tenants, job.tenant);
  const planned = await plans.get(job.manifest).catch((error: unknown) => {
    if (error instanceof BlobNotFoundError) throw gone(job);
    throw error;
  });
  await checkBlobs(store, planned, jobs.blobs, job.tenant);
  // Of two at a time the second finds it retried, and adds the same entry.
  await jobs.retry(job.id);
  const [retriedAt, trace] = await Promise.all([jobs.retriedAt(job.id), jobs.traceOf(job.id)]);
  if (retriedAt === undefined) throw notFailed(job);
  await addRetry(queue, jobs.turns, { job: job.id, manifest: job.manifest, ...trace }, retriedAt);
  return (await jobs.get(job.id)) ?? job;
}

function notFailed(job: JobView): ApiError {
  return new ApiError(
    409,
    'JOB_NOT_FAILED',
    'Job has not failed',
    `${job.id} ${job.state === 'succeeded' || job.state === 'cancelled' ? `has ${outcomeOf(job)}` : `is ${job.state}`}`,
    'only failed jobs are retried; submit a new one for another result',
  );
}

function gone(job: JobView): ApiError {
  return new ApiError(
    422,
    'BLOBS_MISSING',
    'Blobs are missing',
    `the manifest of ${job.id} is not in the store any more`,
    'submit the job again',
  );
}
