/** A worker without its connections: processes tasks, aborts those of jobs that end, says that it lives. */
import { randomUUID } from 'node:crypto';
import type { ThreadPool } from '@blindfit/compute';
import { PROTOCOL, type TaskResult } from '@blindfit/protocol';
import type { JobChanges, JobStore, WorkerFacts } from '@blindfit/queue';
import type { Intake } from '@blindfit/service';
import { processTask, type ProcessorDependencies, type TaskEntry } from './process-task.ts';
import { RunningTasks } from './running-tasks.ts';

const HEARTBEAT_MS = 5_000;
/** A cancellation that was announced while Redis was away is found by looking. */
const CANCEL_POLL_MS = 500;

export interface WorkerParts extends Omit<ProcessorDependencies, 'pool' | 'jobs' | 'running' | 'intake'> {
  /** What the worker says of itself. */
  readonly facts: Omit<WorkerFacts, 'id' | 'protocol'>;
  readonly pool: Pick<ThreadPool, 'run' | 'close'>;
  readonly jobs: Pick<JobStore, 'state'> &
    ProcessorDependencies['jobs'] & { readonly workers: Pick<JobStore['workers'], 'beat' | 'retire'> };
  readonly intake: ProcessorDependencies['intake'] & Pick<Intake, 'close'>;
  readonly changes: Pick<JobChanges, 'listen' | 'close'>;
  /** Begins to take tasks. */
  readonly openQueue: (process: (entry: TaskEntry) => Promise<TaskResult>) => Promise<{ close(): Promise<void> }>;
  /** Whether Redis can be reached. */
  readonly isConnected: () => boolean;
}

export interface RunningWorker {
  /** Takes no new tasks, lets those that run end, then stops threads and heartbeat. */
  close(): Promise<void>;
}

export async function runWorker(parts: WorkerParts): Promise<RunningWorker> {
  const { facts, pool, jobs, changes, logger, openQueue, isConnected } = parts;
  const running = new RunningTasks(jobs);
  const ignore = (error: unknown): void => logger.debug({ err: error }, 'could not look at a job; looking again soon');
  const abortIfEnded = (job: string): void => void running.abortIfEnded(job).catch(ignore);
  const stopListening = changes.listen(abortIfEnded);
  const poll = setInterval(() => running.jobs.forEach(abortIfEnded), CANCEL_POLL_MS);

  const self: WorkerFacts = { ...facts, id: randomUUID(), protocol: PROTOCOL };
  const beat = (): void => void jobs.workers.beat(self).catch(ignore);
  beat();
  const heartbeat = setInterval(beat, HEARTBEAT_MS);

  const queue = await openQueue((entry) => processTask({ ...parts, running }, entry));
  return {
    async close() {
      parts.intake.close();
      await queue.close();
      clearInterval(heartbeat);
      clearInterval(poll);
      stopListening();
      changes.close();
      await pool.close();
      if (isConnected()) await jobs.workers.retire(self);
    },
  };
}
