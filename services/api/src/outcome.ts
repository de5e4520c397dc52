import type { JobView } from '@blindfit/protocol';

/** The state in words, with the reason of a failure. */
export function outcomeOf(job: JobView): string {
  if (job.state === 'cancelled') return 'been cancelled';
  return job.error === undefined ? job.state : `${job.state} (${job.error.code}: ${job.error.message})`;
}
