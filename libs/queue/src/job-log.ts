/** A line for each change of a job, in the log of the process that made it. */
import type { JobState } from '@blindfit/protocol';
import type { JobStore } from './job-store.ts';

const LINES: Partial<Record<JobState, string>> = {
  running: 'job started',
  'awaiting-refresh': 'job waits for its owner',
  succeeded: 'job succeeded',
  failed: 'job failed',
  cancelled: 'job cancelled',
};

interface Log {
  info(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

export function logJobs(jobs: Pick<JobStore, 'onChange'>, logger: Log): void {
  jobs.onChange((job, state, fields) => {
    const message = LINES[state];
    if (message === undefined) return;
    const { error, chain } = fields;
    if (error !== undefined) logger.error({ job, error: JSON.parse(error) as object }, message);
    else logger.info(chain === undefined ? { job } : { job, chain: Number(chain) }, message);
  });
}
