import { UnrecoverableError } from 'bullmq';
import { isFinal, type JobState } from '@blindfit/protocol';
import type { JobStore } from '@blindfit/queue';

/** @throws UnrecoverableError when the job is over, or was never recorded */
export async function assertNotEnded(jobs: Pick<JobStore, 'state'>, job: string): Promise<JobState> {
  const state = await jobs.state(job);
  if (state === undefined || isFinal(state)) throw new UnrecoverableError(`the job is ${state ?? 'unknown'}`);
  return state;
}
